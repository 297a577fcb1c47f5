"""The learning curves as a picture, if matplotlib is installed."""

from __future__ import annotations

import csv
import importlib.util
from pathlib import Path


def draw_curves(out: Path) -> None:
    """Draw the training loss and the tune sets' DSC over time, next to the checkpoint ``out``."""
    log, tune = (_rows(out.with_suffix(suffix)) for suffix in (".log.csv", ".tune.csv"))
    if importlib.util.find_spec("matplotlib") is None or not (log or tune):
        return
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.5), layout="constrained")
    losses, scores = figure.subplots(1, 2)
    losses.plot([float(row["minutes"]) for row in log], [float(row["loss"]) for row in log])
    losses.set(xlabel="minutes", ylabel="training loss")
    for name in sorted({row["set"] for row in tune}):
        rows = [row for row in tune if row["set"] == name]
        last = max(key for key in rows[0] if key.startswith("click_"))
        minutes = [float(row["minutes"]) for row in rows]
        (line,) = scores.plot(minutes, [float(row["opening"]) for row in rows], "--")
        values = [float(row[last]) for row in rows]
        scores.plot(minutes, values, color=line.get_color(), label=name.replace("_", " "))
    scores.set(xlabel="minutes", ylabel="mean DSC on tune patients and scenes")
    scores.set_title("dashed: first prompt, solid: after all clicks", fontsize="medium")
    if tune:
        scores.legend(fontsize="small")
    figure.savefig(out.with_suffix(".png"), dpi=110)


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
