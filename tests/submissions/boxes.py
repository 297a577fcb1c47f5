"""A participant's program: fills the boxes, marks the newest clicks; numpy alone, as they read."""

import sys
from pathlib import Path

import numpy as np

inputs, outputs = map(Path, sys.argv[1:3])
mode = sys.argv[3] if len(sys.argv) > 3 else ""
for file in inputs.glob("*.npz"):
    case = np.load(file, allow_pickle=True)
    assert "gts" not in case.files
    segs = np.zeros(case["imgs"].shape, np.uint8)
    if "boxes" in case.files:
        for label, box in enumerate(case["boxes"], start=1):
            segs[
                box["z_min"] : box["z_max"] + 1,
                box["z_mid_y_min"] : box["z_mid_y_max"] + 1,
                box["z_mid_x_min"] : box["z_mid_x_max"] + 1,
            ] = label
    if "clicks" in case.files:
        assert len(case["clicks_order"]) == len(case["clicks"])
        assert case["prev_pred"].shape == segs.shape
        for label, clicks in enumerate(case["clicks"], start=1):
            for z, y, x in clicks["fg"]:
                segs[z, y, x] = label
    if mode == "fail" and "clicks" in case.files and len(case["clicks_order"][0]) == 2:
        sys.exit("out of memory, says the model")
    if mode == "silent" and "clicks" in case.files and len(case["clicks_order"][0]) == 2:
        continue
    np.savez_compressed(outputs / file.name, segs=segs)
