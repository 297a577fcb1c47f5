"""Everything that decides how a scan becomes a case, as one object that JSON can hold."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from typing import Any

from segbench.data.convert.box_rule import BoxRule
from segbench.data.convert.intensity import IntensityRule
from segbench.data.convert.label_rule import LabelRule
from segbench.data.convert.readers import ReadingOptions
from segbench.data.convert.scan import Scan

VERSION = 2  # of the rules in this package; raise it when equal options may give another case


@dataclass(frozen=True)
class Rules:
    """How scans become cases."""

    reading: ReadingOptions = field(default_factory=ReadingOptions)
    intensity: IntensityRule = field(default_factory=IntensityRule)
    labels: LabelRule = field(default_factory=LabelRule)
    boxes: BoxRule = field(default_factory=BoxRule)
    split: bool = False  # each component of a label is a label of its own
    resample: bool = False  # labels on another grid: take the nearest

    def of(self, scan: Scan) -> dict[str, Any]:
        """Return what decides about one scan, for its file: two equal ones make equal cases."""
        facts = asdict(self)
        facts["boxes"]["without"] = sorted(self.boxes.without)
        facts["labels"]["names"] = {**scan.label_names, **self.labels.names}
        facts["reading"]["channel"] = scan.channel
        if self.reading.series:  # the UID of a series may say where and when it was made
            facts["reading"]["series"] = hashlib.sha256(self.reading.series.encode()).hexdigest()
        return {"version": VERSION, "modality": scan.modality, **facts}
