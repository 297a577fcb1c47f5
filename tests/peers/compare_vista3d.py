"""Ask the authors' infer_cvpr.py and the adapter the same questions; one line of JSON a step.

    PYTHONPATH=. python tests/peers/compare_vista3d.py CHECKOUT [small|published]

In the environment of the adapter, from the root of the repository. CHECKOUT is a clone of
github.com/Project-MONAI/VISTA. A copy of the script runs with its device, "cuda", replaced by
"cpu"; of the modules it imports and does not use for an answer (its training script, nibabel) it
gets empty ones, with ROI_SIZE.
"""

from __future__ import annotations

import functools
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from unittest import mock

import monai.networks.nets.vista3d as published
import numpy as np

from segbench.core import Case, Interactions, LabelMap
from segbench.models.loading import import_file
from tests.peers.dialogue import N_CLICKS, ask_script, cases, dialogue, only_first_label, report
from tests.peers.vista3d import ROOT, SMALL, SMALL_WINDOW, write_weights

MODULES = {"train_cvpr": ModuleType("train_cvpr"), "nibabel": ModuleType("nibabel")}
ARGUMENTS = ["infer.py", "--test_img_path", "inputs", "--save_path", "outputs", "--model"]
DEPARTURES = {"no_clicks": "submission"}  # the box step is the script's, too


def main(checkout: Path, size: str = "small") -> None:
    """Compare step by step."""
    network, window = (SMALL, SMALL_WINDOW) if size == "small" else ({}, (128, 128, 128))
    MODULES["train_cvpr"].ROI_SIZE = list(window)
    with tempfile.TemporaryDirectory() as name:
        weights, script = Path(name, "model.pth"), Path(name, "infer.py")
        theirs = checkout / "vista3d" / "cvpr_workshop" / "infer_cvpr.py"
        script.write_text(theirs.read_text().replace('"cuda"', '"cpu"'))
        write_weights(weights, network)
        module = import_file(ROOT / "adapters" / "vista3d.py")
        module.NETWORK.update(network)
        module.WINDOW = window
        adapter = module.make_adapter(weights=str(weights), **DEPARTURES)
        small = functools.partial(published.vista3d132, **network)
        with (
            mock.patch.object(published, "vista3d132", small),
            mock.patch.dict(sys.modules, MODULES),
            mock.patch.object(sys, "argv", [*ARGUMENTS, str(weights)]),
        ):
            for case in cases_for(size):
                adapter.set_image(case.image, case.labels)

                def ask(interactions: Interactions, case=case) -> LabelMap:
                    ours = adapter.predict(interactions)
                    found = ask_script(script, Path(name), case, interactions)
                    report(case.name, interactions, ours, found)
                    return np.asarray(found, np.uint8)

                n_clicks = N_CLICKS if size == "small" else 1
                # the long one is for the click that the script makes up
                dialogue(case, ask, n_clicks=0 if case.name == "CT_long" else n_clicks)


def cases_for(size: str) -> list[Case]:
    """Return three volumes for the small network, one label of one for the published."""
    if size == "small":
        return cases("CT_long", "MR_wide", "US_deep")
    return [only_first_label(case) for case in cases("MR_wide")]


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), *sys.argv[2:])
