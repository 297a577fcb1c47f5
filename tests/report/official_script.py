"""Folders as the official script writes them: its rules for files, casts, failures and rows.

Written from the rules in docs/protocol.md, not from the code that is tested; clicks are left out,
because the scripted predictions do not depend on them.
"""

import csv
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from segbench.protocol.metrics import surface_dice
from segbench.runs.metrics_csv import columns


@dataclass
class Run:
    """An official run: cases by name, with reference, spacing, box, and what the model writes."""

    cases: dict[str, dict] = field(default_factory=dict)
    rows: list[dict] = field(default_factory=list)
    files: dict[str, dict] = field(default_factory=dict)

    def add(self, name, reference, spacing, writes, *, boxes=True):
        """Add a case; ``writes`` has a label map per step, or None where nothing is written."""
        self.cases[name] = {"gts": reference, "spacing": spacing, "boxes": boxes, "writes": writes}

    def evaluate(self):
        """Run all cases in the order of their names."""
        for number, (name, case) in enumerate(sorted(self.cases.items())):
            self._evaluate(number, name, case)
        return self

    def _evaluate(self, number, name, case):
        reference, output, maps = case["gts"], None, []
        row = {"CaseName": f"{name}.npz"}
        dscs, nsds, total = [], [], 0
        for step in range(6):
            if step == 0 and not case["boxes"]:
                row |= {"RunningTime_1": 0, "DSC_1": 0, "NSD_1": 0}
                dscs.append(0), nsds.append(0)
                continue
            wrote = case["writes"][step]
            output = output if wrote is None else wrote  # the file of the step before is left
            seconds = 1 + number / 7 + step / 13
            total += seconds
            scored = np.zeros(reference.shape, np.uint8) if output is None else output
            maps.append(scored.astype(np.uint8))
            dsc, nsd = official_scores(reference, scored, case["spacing"])
            row |= {f"RunningTime_{step + 1}": seconds}
            row |= {f"DSC_{step + 1}": dsc, f"NSD_{step + 1}": nsd}
            dscs.append(dsc), nsds.append(nsd)
            if output is not None:
                self.files[name] = {"segs": output, "all_segs": np.stack(maps)}
        if name not in self.files:  # no row for a case that was never predicted
            return
        n_classes = len(np.unique(reference)) - 1
        row |= {"TotalRunningTime": total, "num_class": n_classes}
        row |= {"runtime_upperbound": 90 * n_classes}
        row |= {"DSC_AUC": area(dscs[1:]), "NSD_AUC": area(nsds[1:])}
        row |= {"DSC_Final": dscs[-1], "NSD_Final": nsds[-1]}
        self.rows.append(row)

    def row(self, name):
        """Return the row of a case, to be changed."""
        return next(row for row in self.rows if row["CaseName"] == f"{name}.npz")

    def write(self, folder: Path, team="team"):
        """Write the outputs and the CSV, as the script leaves them."""
        folder.mkdir(parents=True)
        for name, arrays in self.files.items():
            np.savez_compressed(folder / f"{name}.npz", **arrays)
        with (folder / f"{team}_metrics.csv").open("w", newline="") as stream:
            writer = csv.DictWriter(stream, columns(5))
            writer.writeheader()
            writer.writerows(
                {key: "" if value != value else value for key, value in row.items()}
                for row in self.rows
            )
        return folder

    def write_data(self, folder: Path):
        """Write the cases, in the challenge's format."""
        folder.mkdir()
        for name, case in self.cases.items():
            arrays = {"imgs": np.zeros(case["gts"].shape, np.uint8), "gts": case["gts"]}
            arrays["spacing"] = np.array(case["spacing"])
            if case["boxes"]:
                arrays["boxes"] = np.array([{"z_min": 0}], object)  # its content is never read
            np.savez_compressed(folder / f"{name}.npz", **arrays)
        return folder


def official_scores(reference, prediction, spacing):
    """Return mean DSC and NSD over the labels; NSD only above a mean DSC of 0.2."""
    pairs = [(prediction == label, reference == label) for label in np.unique(reference)[1:]]
    dsc = float(np.mean([2 * int((a & b).sum()) / int(a.sum() + b.sum()) for a, b in pairs]))
    if not dsc > 0.2:
        return dsc, 0.0
    nsd = [surface_dice(a, b, spacing=spacing, tolerance_mm=2.0, exact_sum=True) for a, b in pairs]
    return dsc, float(np.mean(nsd))


def area(values):
    """Return the area under five values, added from left to right."""
    total = 0.0
    for left, right in zip(values[:-1], values[1:], strict=True):
        total += (left + right) / 2
    return total
