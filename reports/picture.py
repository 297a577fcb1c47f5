"""Draw picture.png: one real scan, and the scores of the runs in real-scans.

Usage: python reports/picture.py val runs/ours, with the development scans and the run of ``ours``.
"""

import csv
import json
import sys
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from PIL import Image

HERE = Path(__file__).parent
CASE, SLICE, NEAR = "CT_STS_014", 45, 3  # clicks at most 3 slices away are drawn
METHODS = {"ours": "o-", "random_walker": "s--", "ellipsoid": "^:", "boxfill": "v:"}
STEPS = ["box", "1", "2", "3", "4", "5 clicks"]


def draw_slice(axes: Axes, data: Path, run: Path, step: int | None) -> None:
    """Draw the slice with its reference and, unless step is None, a step's segmentation."""
    case = json.loads((run / "cases" / f"{CASE}.json").read_text())
    (box,) = case["rounds"][0]
    (_, top, left), (_, bottom, right) = box["low"], box["high"]
    with np.load(data / f"{CASE}.npz") as scan:
        axes.imshow(scan["imgs"][SLICE], cmap="gray")
        axes.contour(scan["gts"][SLICE] > 0, [0.5], colors="#4daf4a", linewidths=1.5)
    if step is None:
        axes.add_patch(
            plt.Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor="#4a9fd8")
        )
        axes.set_title("CT, reference, box")
    else:
        with np.load(run / "predictions" / f"{CASE}.npz") as predictions:
            mask = predictions["all_segs"][step, SLICE] > 0
        axes.contour(mask, [0.5], colors="#ff7f00", linewidths=1.5)
        dsc = case["steps"][step]["scores"][0]["dsc"]
        axes.set_title(f"after {'the box' if step == 0 else f'{step} clicks'}: DSC {dsc:.2f}")
        for (click,) in case["rounds"][1 : step + 1]:
            z, y, x = click["voxel"]
            if abs(z - SLICE) <= NEAR:
                mark = "+" if click["positive"] else "_"
                axes.scatter(x, y, 150, color="white", marker=mark, linewidths=4)
                axes.scatter(x, y, 130, color="red", marker=mark, linewidths=2)
    axes.set(xlim=(left - 25, right + 25), ylim=(bottom + 25, top - 20))
    axes.axis("off")


def draw_scores(axes: Axes) -> None:
    """Draw the mean DSC of each method at each step, over the cases that have boxes."""
    for method, style in METHODS.items():
        with (HERE / "real-scans" / method / "metrics.csv").open() as file:
            cases = [row for row in csv.DictReader(file) if "OpenMS" not in row["CaseName"]]
        means = [np.mean([float(case[f"DSC_{step}"]) for case in cases]) for step in range(1, 7)]
        axes.plot(STEPS, means, style, label=method, markersize=4)
    axes.set(ylabel="mean DSC", title=f"{len(cases)} scans with boxes", ylim=(0.55, 0.9))
    axes.legend(fontsize=8, loc=(0.5, 0.2))


def main(data: Path, run: Path) -> None:
    """Draw three slices and the scores next to each other."""
    matplotlib.rcParams |= {"font.size": 9, "axes.titlesize": 9}
    figure, axes = plt.subplots(
        1, 4, figsize=(10, 2.5), width_ratios=[1, 1, 1, 1.5], layout="constrained"
    )
    for each, step in zip(axes[:3], (None, 0, 5), strict=True):
        draw_slice(each, data, run, step)
    draw_scores(axes[3])
    file = HERE / "picture.png"
    figure.savefig(file, dpi=110)
    Image.open(file).convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE).save(
        file, optimize=True
    )


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
