"""segbench: evaluate any model by the protocol of the interactive 3D segmentation challenge.

From Python (docs/python.md)::

    result = segbench.evaluate("boxfill", "val/", jobs=2)
    results = segbench.load("runs/boxfill", "runs/ellipsoid")
    segbench.rescore("runs/boxfill", "runs/ellipsoid", metric=["nsd@1mm", "hd95"])
    scores = segbench.score(prediction, reference, spacing=(3.0, 1.0, 1.0))
    done = segbench.convert("ct.nii.gz", "labels.nii.gz", modality="CT", out="val/")
    findings = segbench.check("val/", against="train/")
    found = segbench.parity("seg/team", "val/")
    case = segbench.case_from_arrays("CT_1", voxels, reference, spacing=(3.0, 1.0, 1.0))

Nothing is imported here before it is used: the worker runs this file in foreign environments.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segbench.case_conversion import convert
    from segbench.core import AdapterInfo, Box, Case, Image, Settings
    from segbench.data.case_arrays import case_from_arrays
    from segbench.data.check.check_data import check
    from segbench.data.convert.convert_data import ConvertedData
    from segbench.evaluation import evaluate
    from segbench.protocol.scoring import score
    from segbench.report.frames import Results, load
    from segbench.report.parity import parity
    from segbench.rescoring import rescore
    from segbench.run_result import RunResult

_MODULES = {
    **dict.fromkeys(("AdapterInfo", "Box", "Case", "Image", "Settings"), "segbench.core"),
    "ConvertedData": "segbench.data.convert.convert_data",
    "Results": "segbench.report.frames",
    "RunResult": "segbench.run_result",
    "case_from_arrays": "segbench.data.case_arrays",
    "check": "segbench.data.check.check_data",
    "convert": "segbench.case_conversion",
    "evaluate": "segbench.evaluation",
    "load": "segbench.report.frames",
    "parity": "segbench.report.parity",
    "rescore": "segbench.rescoring",
    "score": "segbench.protocol.scoring",
}
__all__ = [
    "AdapterInfo",
    "Box",
    "Case",
    "ConvertedData",
    "Image",
    "Results",
    "RunResult",
    "Settings",
    "case_from_arrays",
    "check",
    "convert",
    "evaluate",
    "load",
    "parity",
    "rescore",
    "score",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in _MODULES:
        raise AttributeError(f"module 'segbench' has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
