"""A participant's program: fills the boxes and marks the clicks; needs numpy only.

    boxes.py INPUTS OUTPUTS [MODE [NOTES]]

MODE is the failure at step 2; NOTES is a file that gets a line at each start.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

inputs, outputs = map(Path, sys.argv[1:3])
mode = sys.argv[3] if len(sys.argv) > 3 else ""
if len(sys.argv) > 4:
    with open(sys.argv[4], "a") as notes:
        notes.write(f"{os.getpid()}\n")


def segment(case):
    segs = np.zeros(case["imgs"].shape, np.float32 if mode == "float" else np.uint8)
    for label, box in enumerate(case.get("boxes", ()), start=1):
        segs[
            box["z_min"] : box["z_max"] + 1,
            box["z_mid_y_min"] : box["z_mid_y_max"] + 1,
            box["z_mid_x_min"] : box["z_mid_x_max"] + 1,
        ] = label
    for label, clicks in enumerate(case.get("clicks", ()), start=1):
        for z, y, x in clicks["fg"]:
            segs[z, y, x] = label
    return segs


def hang():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    print("thinking", flush=True)  # noqa: T201
    pid = Path(sys.argv[4]).with_suffix(".pid")
    pid.write_text(str(child.pid))
    pid.rename(pid.with_suffix(".child"))  # it appears when all of it is there
    time.sleep(60)


def leave_a_child():
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    sys.exit(3)


def leave_a_link(file, segs):
    np.savez_compressed(outputs.parent / "old.npz", segs=segs)
    (outputs / file.name).symlink_to(outputs.parent / "old.npz")


def segment_file(file):
    case = np.load(file, allow_pickle=True)
    assert "gts" not in case.files
    if "clicks" in case.files:
        assert len(case["clicks_order"]) == len(case["clicks"])
        assert case["prev_pred"].shape == case["imgs"].shape
    segs = segment(case)
    wrong = {
        "fail": lambda: sys.exit("out of memory, says the model"),
        "silent": lambda: None,
        "hang": hang,
        "orphan": leave_a_child,
        "link": lambda: leave_a_link(file, segs),
    }
    if mode in wrong and "clicks" in case.files and len(case["clicks_order"][0]) == 2:
        wrong[mode]()
    else:
        np.savez_compressed(outputs / file.name, segs=segs)


if os.environ.get("SEGBENCH_PERSISTENT"):
    for line in sys.stdin:
        print("progress " * 10_000)  # noqa: T201
        segment_file(inputs / line.strip())
        if mode == "dots":
            print("...", end="", file=sys.stderr, flush=True)  # noqa: T201
        for repetition in range(2 if mode == "twice" else 1):
            time.sleep(0.05 * repetition)  # the second line comes when the next step has started
            print("segbench: done", flush=True)  # noqa: T201
else:
    for each in inputs.glob("*.npz"):
        segment_file(each)
