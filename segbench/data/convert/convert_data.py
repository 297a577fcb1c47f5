"""Convert all that was found, and keep index and report true to what is there meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from segbench.data.convert.batch import Batch, convert_scans
from segbench.data.convert.conversion_record import (
    Conversion,
    read_record,
    read_records,
    remove_record_folder,
    remove_records,
)
from segbench.data.convert.conversion_report import (
    TEXT,
    require_report,
    summary,
    write_report,
)
from segbench.data.convert.index_csv import NAME, require_index, write_index
from segbench.data.convert.scan import Found

OnCase = Callable[[str, int, int], None]  # name and status, how many are done, of how many
SHARE = 0.05  # of the time, at most, for writing index and report while cases are converted
SHOWN = 12  # lines of a result


@dataclass(frozen=True, repr=False)
class ConvertedData:
    """What a conversion has done; it shows itself in a few lines.

    Attributes
    ----------
    folder : Path
        The folder of the cases.
    layout : str
        As what the sources were taken, such as ``nnU-Net``.
    conversions : tuple of Conversion
        What became of each scan, in the order of names.
    left_out : tuple of str
        Files that have no partner, and why.
    unknown : tuple of str
        Labels that were to have no box and that no case has.
    """

    folder: Path
    layout: str
    conversions: tuple[Conversion, ...]
    left_out: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def all_ok(self) -> bool:
        """Whether no scan was refused."""
        return all(done.status != "refused" for done in self.conversions)

    @property
    def index(self) -> Path:
        """The file with modality, patient and data set of each case."""
        return self.folder / NAME

    @property
    def report(self) -> Path:
        """The file that says for each case what was decided and guessed."""
        return self.folder / TEXT

    def lines(self) -> list[str]:
        """Return numbers, refusals, guesses and warnings."""
        unknown = (
            f"warning: --no-box {name}: no case has a label of that name or value"
            for name in self.unknown
        )
        return [*summary(self.conversions, self.left_out), *unknown]

    def __repr__(self) -> str:
        """Return a few lines, and where all of it is."""
        first, *rest = self.lines()
        more = [f"and {len(rest) - SHOWN} more lines"] if len(rest) > SHOWN else []
        where = [f"all of it: {self.report}"] if self.report.exists() else []
        title = f"{self.layout} to {self.folder}: {first}"
        return "\n".join([title, *rest[:SHOWN], *more, *where])


def silent(name: str, done: int, total: int) -> None:
    """Show no progress."""


def convert_found(
    found: Found, batch: Batch, *, jobs: int = 1, on_case: OnCase = silent
) -> ConvertedData:
    """Convert scans; also when interrupted, index and report have all that is finished.

    Raises
    ------
    CaseError
        If the index or report that is in the folder is another's; then nothing is converted.
    """
    require_index(batch.out)
    require_report(batch.out)
    _Books(found, batch.out).close()  # for a call that was ended before it could do so
    books = _Books(found, batch.out)
    try:
        with closing(convert_scans(found.scans, batch, jobs=jobs)) as conversions:
            for number, done in enumerate(conversions, 1):
                status = books.enter(done).status
                on_case(f"{done.name} {status}", number, len(found.scans))
    finally:
        books.close()
    unknown = _unknown(batch.rules.boxes.without, books.conversions)
    return ConvertedData(batch.out, found.layout, books.conversions, found.unpaired, unknown)


def _unknown(without: Collection[str], conversions: Sequence[Conversion]) -> tuple[str, ...]:
    """Return the labels without a box that no converted case has."""
    labels = [each for done in conversions for each in done.decided.get("labels", ())]
    known = {label.get(key) for label in labels for key in ("name", "component_of")}
    known |= {str(value) for label in labels for value in label["values"]}
    return tuple(name for name in without if labels and name not in known)


def planned(found: Found, out: Path) -> ConvertedData:
    """Return what a conversion would do, and write nothing."""
    conversions = (
        Conversion(
            scan.name,
            scan.image.name,
            "planned",
            modality=scan.modality,
            patient=scan.patient,
            dataset=scan.dataset,
            guessed=scan.guessed,
        )
        for scan in found.scans
    )
    return ConvertedData(out, found.layout, tuple(conversions), found.unpaired)


@dataclass
class _Books:
    """Index and report of a folder, written as cases are finished."""

    found: Found
    out: Path
    done: dict[str, Conversion] = field(default_factory=dict)
    next_at: float = 0.0

    @property
    def conversions(self) -> tuple[Conversion, ...]:
        return tuple(self.done[name] for name in sorted(self.done))

    def enter(self, done: Conversion) -> Conversion:
        # a process that dies takes others with it, which may have finished their cases just before
        found = read_record(self.out, done.name) if done.status == "unchanged" else None
        self.done[done.name] = found or done
        if time.monotonic() >= self.next_at:
            self.write()
        return self.done[done.name]

    def write(self) -> None:
        """Write all that is done, with what other processes have finished and not handed over."""
        began = time.monotonic()
        for record in read_records(self.out):
            self.done.setdefault(record.name, record)
        if not self.done:
            return
        write_report(self.out, self.found.layout, self.found.unpaired, self.conversions)
        write_index(self.out, self.conversions)
        remove_records(self.out, self.done.keys())
        self.next_at = time.monotonic() + (time.monotonic() - began) / SHARE

    def close(self) -> None:
        """Write it all, when nothing is converted any more."""
        self.write()
        remove_record_folder(self.out)
