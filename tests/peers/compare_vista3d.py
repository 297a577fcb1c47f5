"""Compare the authors' infer_cvpr.py and the adapter step by step; one line of JSON per step.

    PYTHONPATH=. python tests/peers/compare_vista3d.py CHECKOUT [small|published]

In the environment of the adapter, from the root of the repository. CHECKOUT is a clone of
github.com/Project-MONAI/VISTA. A copy of the script runs with its device, "cuda", replaced by
"cpu"; modules that it imports but does not use for inference (its training script, nibabel) are
replaced by empty ones, with ROI_SIZE.
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
from segbench.models.loading import import_adapter_file
from tests.peers.comparison import (
    N_CLICKS,
    cases,
    interact,
    only_first_label,
    predict_with_script,
    report,
)
from tests.peers.vista3d import ROOT, SMALL, SMALL_ROI_SIZE, write_weights

MODULES = {"train_cvpr": ModuleType("train_cvpr"), "nibabel": ModuleType("nibabel")}
ARGUMENTS = ["infer.py", "--test_img_path", "inputs", "--save_path", "outputs", "--model"]
OPTIONS = {"no_clicks": "submission"}  # so that the box step is the script's, too


def main(checkout: Path, size: str = "small") -> None:
    """Compare step by step."""
    network, roi_size = (SMALL, SMALL_ROI_SIZE) if size == "small" else ({}, (128, 128, 128))
    MODULES["train_cvpr"].ROI_SIZE = list(roi_size)
    with tempfile.TemporaryDirectory() as name:
        weights, script = Path(name, "model.pth"), Path(name, "infer.py")
        theirs = checkout / "vista3d" / "cvpr_workshop" / "infer_cvpr.py"
        script.write_text(theirs.read_text().replace('"cuda"', '"cpu"'))
        write_weights(weights, network)
        module = import_adapter_file(ROOT / "adapters" / "vista3d.py")
        module.NETWORK.update(network)
        module.ROI_SIZE = roi_size
        adapter = module.make_adapter(weights=str(weights), **OPTIONS)
        create_small = functools.partial(published.vista3d132, **network)
        with (
            mock.patch.object(published, "vista3d132", create_small),
            mock.patch.dict(sys.modules, MODULES),
            mock.patch.object(sys, "argv", [*ARGUMENTS, str(weights)]),
        ):
            for case in cases_for(size):
                adapter.set_image(case.image, case.labels)

                def predict(interactions: Interactions, case=case) -> LabelMap:
                    ours = adapter.predict(interactions)
                    theirs = predict_with_script(script, Path(name), case, interactions)
                    report(case.name, interactions, ours, theirs)
                    return np.asarray(theirs, np.uint8)

                n_clicks = N_CLICKS if size == "small" else 1
                # the long case is for the script's hard-coded click
                interact(case, predict, n_clicks=0 if case.name == "CT_long" else n_clicks)


def cases_for(size: str) -> list[Case]:
    """Return three volumes for the small network, one label of one for the published."""
    if size == "small":
        return cases("CT_long", "MR_wide", "US_deep")
    return [only_first_label(case) for case in cases("MR_wide")]


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), *sys.argv[2:])
