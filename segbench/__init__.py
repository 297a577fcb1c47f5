"""segbench: replay the interactive 3D segmentation protocol, bit for bit, against any model.

From Python (docs/python.md)::

    outcome = segbench.evaluate("boxfill", "val/", jobs=2)
    scores = segbench.score(prediction, reference, spacing=(3.0, 1.0, 1.0))

Nothing heavy is imported here: the worker runs this file in foreign environments.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segbench.core import LabelMap, Settings, Spacing, StepScore
    from segbench.runs.runner import RunSummary

__all__ = ["evaluate", "score"]


def evaluate(
    model: str, data: str | Path, out: str | Path | None = None, **request: Any
) -> RunSummary:
    """Run a model over a folder of cases, as ``segbench run`` does.

    Parameters
    ----------
    model : str
        An adapter's name, or a path to its file or folder.
    data : path
        A folder of ``.npz`` cases.
    out : path, optional
        The run folder, continued if it exists; ``runs/<model>`` by default.
    **request
        Any further field of `segbench.runs.runner.Request`: ``options``, ``jobs``, ``limit``, ...

    Returns
    -------
    Outcome
        ``outcome.run.cases`` are the finished cases; ``outcome.clean`` says whether all answered.

    Raises
    ------
    SegbenchError
        If the request is bad; a failing case is a result, not an error.
    """
    from segbench.runs.runner import RunConfig, default_out, run

    folder = default_out(model) if out is None else Path(out)
    return run(RunConfig(model=model, data=Path(data), out=folder, **request))


def score(
    prediction: LabelMap,
    reference: LabelMap,
    spacing: Spacing,
    *,
    settings: Settings | None = None,
    exact_sum: bool = False,
) -> tuple[StepScore, ...]:
    """Score one label map by the protocol: DSC and NSD of every label of the reference.

    Parameters
    ----------
    prediction, reference : unsigned integer array, shape (z, y, x)
        0 is background.
    spacing : tuple of float
        Voxel size in mm, (z, y, x).
    settings : Settings, optional
        Another tolerance or gate than the protocol's.
    exact_sum : bool
        NSD to the official script's last bit.

    Returns
    -------
    tuple of StepScore
        One a label, ascending; NSD is 0 unless the mean DSC is above the gate of 0.2.

    Raises
    ------
    CaseError
        If an array is no label map, the shapes differ, or the spacing is not three positive mm.
    """
    import numpy as np

    from segbench.core import Settings
    from segbench.errors import CaseError
    from segbench.protocol.scoring import Scorer, evaluated_labels
    from segbench.protocol.validation import label_map, spacing_mm

    prediction = label_map(np.asarray(prediction), "prediction")
    reference = label_map(np.asarray(reference), "reference")
    if prediction.shape != reference.shape:
        raise CaseError(f"prediction {prediction.shape} and reference {reference.shape} differ")
    spacing = spacing_mm(np.asarray(spacing), "score")
    labels, rules = evaluated_labels(reference), settings or Settings()
    return Scorer(reference, labels, spacing, rules, exact_sum=exact_sum).score(0, prediction)
