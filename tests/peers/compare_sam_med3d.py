"""Compare the authors' medim_infer.py and the adapter step by step; one line of JSON per step.

    PYTHONPATH=. python tests/peers/compare_sam_med3d.py CHECKOUT [small|published]

In the environment of the adapter, from the root of the repository. CHECKOUT is a clone of
github.com/uni-medical/SAM-Med3D on its branch CVPR25_3DFM. The script runs unchanged, except that
its random voxels are replaced by those that the adapter recorded.
"""

from __future__ import annotations

import functools
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import medim
import numpy as np

from segbench.core import Case, Interactions, LabelMap
from segbench.models.loading import import_adapter_file
from tests.peers.comparison import (
    N_CLICKS,
    cases,
    interact,
    only_first_label,
    predict_with_script,
    report,
)
from tests.peers.sam_med3d import ROOT, SMALL, write_weights

WEIGHTS = "ckpt/sam_med3d_turbo_cvpr_all.pth"  # where the script expects them


def replay_draws(record: Path) -> Callable[[int], int]:
    """Return a randint that replays the recorded draws; each must be from the same range."""
    draws = [json.loads(line) for line in record.read_text().splitlines()]

    def randint(of: int) -> int:
        found = draws.pop(0)
        assert found["of"] == of, (found, of)
        return found["index"]

    return randint


def predict_with_both(adapter: object, script: Path, folder: Path, case: Case) -> Callable:
    """Return a function that predicts with both, reports, and returns the script's output."""
    record = folder / "record.jsonl"

    def predict(interactions: Interactions) -> LabelMap:
        record.write_text("")
        ours = adapter.predict(interactions)
        with mock.patch("numpy.random.randint", replay_draws(record)):
            theirs = predict_with_script(script, folder, case, interactions)
        report(case.name, interactions, ours, theirs)
        return np.asarray(theirs, np.uint8)

    return predict


def main(checkout: Path, size: str = "small") -> None:
    """Compare step by step, with boxes and once without."""
    network = {} if size == "published" else SMALL
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "ckpt").mkdir()
        write_weights(folder / WEIGHTS, network)
        module = import_adapter_file(ROOT / "adapters" / "sam_med3d.py")
        module.NETWORK.update(network)
        options = {"weights": str(folder / WEIGHTS), "record": str(folder / "record.jsonl")}
        adapter = module.make_adapter(**options)
        create_small = functools.partial(medim.create_model, **network)
        with mock.patch("medim.create_model", create_small):
            for case in cases_for(size):
                adapter.set_image(case.image, case.labels)
                predict = predict_with_both(adapter, checkout / "medim_infer.py", folder, case)
                interact(case, predict, n_clicks=N_CLICKS if size == "small" else 0)
                if size == "small":
                    interact(case, predict, boxes=False, n_clicks=2)


def cases_for(size: str) -> list[Case]:
    """Return two volumes for the small network, one label of one for the published."""
    if size == "small":
        return cases("CT_small", "MR_wide")
    return [only_first_label(case) for case in cases("CT_small")]


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), *sys.argv[2:])
