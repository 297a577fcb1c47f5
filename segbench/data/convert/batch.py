"""Convert many scans, several at a time."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from segbench.data.convert.conversion import convert_scan
from segbench.data.convert.conversion_record import Conversion
from segbench.data.convert.rules import Rules
from segbench.data.convert.scan import Scan
from segbench.data.pool import each


@dataclass(frozen=True)
class Batch:
    """What is the same for all scans of a call."""

    rules: Rules
    out: Path
    replace_changed: bool = False

    def convert(self, scan: Scan) -> Conversion:
        """Convert one scan."""
        return convert_scan(scan, self.rules, self.out, replace_changed=self.replace_changed)


def convert_scans(
    scans: Sequence[Scan], batch: Batch, *, jobs: int = 1
) -> Generator[Conversion, None, None]:
    """Yield what becomes of each scan, as they are finished.

    With several jobs, a scan whose process dies, such as for lack of memory, is refused; the
    others go on.
    """
    batch.out.mkdir(parents=True, exist_ok=True)
    with closing(each(batch.convert, scans, jobs)) as results:
        for scan, done in results:
            yield done or _died(scan)


def _died(scan: Scan) -> Conversion:
    reason = "the process that converted it died; is there enough memory?"
    return Conversion(scan.name, scan.image.name, "refused", reason)
