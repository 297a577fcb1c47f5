"""Phantoms as files: the challenge's ``.npz``, or NIfTI in the folders of nnU-Net."""

from __future__ import annotations

import importlib.util
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from segbench.core import Case
from segbench.data.challenge_npz import write_case
from segbench.data.dataset import PHANTOM_DATASET
from segbench.errors import CaseError
from segbench.files import write_text
from segbench.phantoms.cases import case_name, numbered_phantom
from segbench.phantoms.orientations import grid_of, orientation

PhantomFormat = Literal["npz", "nifti"]
DESCRIPTION = "Phantoms of segbench: generated, no scans."
MOST_LABELS = 5  # of a phantom


def make_phantoms(
    folder: Path, *, cases: int, seed: int, format: PhantomFormat = "npz"
) -> list[Path]:
    """Write ``cases`` phantoms into ``folder``, cycling over the modalities; return their files.

    A phantom depends only on the seed and its own number, so a larger ``cases`` keeps the first
    ones and adds more. Every second CT and MR phantom has no boxes, as in the challenge.

    Parameters
    ----------
    folder : Path
        Created if it is missing.
    cases, seed : int
        How many, and what decides their shapes.
    format : {"npz", "nifti"}
        npz: cases as `segbench run` reads them. nifti: ``imagesTr/NAME_0000.nii.gz`` and
        ``labelsTr/NAME.nii.gz``, in seven orientations, without boxes; with a ``dataset.json``
        (names of labels) and ``scans.csv``, a list for `segbench convert`.

    Raises
    ------
    CaseError
        If ``cases`` is below 1, ``seed`` is negative, nibabel is missing (nifti), or ``folder`` has
        cases other than these phantoms; then nothing is written.
    """
    if cases < 1:
        raise CaseError(f"{folder}: expected a number of phantoms of at least 1, found {cases}")
    if seed < 0:
        raise CaseError(f"{folder}: expected a seed of at least 0, found {seed}")
    names_of, write = FORMATS[format]
    _refuse_without_nibabel(format)
    files = [folder / name for index in range(cases) for name in names_of(index)]
    _refuse_other_cases(folder, files)
    tables = _tables(cases) if format == "nifti" else {}
    for name in tables:
        _refuse_other_table(folder / name)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".phantoms-") as scratch:
        for index in range(cases):
            write(Path(scratch), index, numbered_phantom(index, seed))
        new_files = [Path(scratch) / file.relative_to(folder) for file in files]
        _refuse_other_seed(new_files, files, seed)
        for new, file in zip(new_files, files, strict=True):
            file.parent.mkdir(exist_ok=True)
            new.replace(file)
    for name, text in tables.items():
        write_text(folder / name, text)
    return files


def _npz_names(index: int) -> tuple[str, ...]:
    return (f"{case_name(index)}.npz",)


def _write_npz(folder: Path, index: int, case: Case) -> None:
    write_case(folder / _npz_names(index)[0], case)


def _nifti_names(index: int) -> tuple[str, ...]:
    name = case_name(index)
    return f"imagesTr/{name}_0000.nii.gz", f"labelsTr/{name}.nii.gz"


def _write_nifti(folder: Path, index: int, case: Case) -> None:
    from segbench.data.convert.nifti import write_nifti
    from segbench.data.convert.volume import from_case_order

    grid = grid_of(case, orientation(index))
    arrays = case.image.voxels, case.reference
    for name, array in zip(_nifti_names(index), arrays, strict=True):
        (folder / name).parent.mkdir(exist_ok=True)
        voxels = from_case_order(array, grid)
        said = f"segbench phantom, {orientation(index)}"
        write_nifti(folder / name, voxels, np.array(grid.affine), description=said)


FORMATS: dict[str, tuple[Callable[[int], tuple[str, ...]], Callable[[Path, int, Case], None]]] = {
    "npz": (_npz_names, _write_npz),
    "nifti": (_nifti_names, _write_nifti),
}


def _tables(n_cases: int) -> dict[str, str]:
    """Return what describes NIfTI files: the text of each file by its name."""
    rows = [_list_row(index) for index in range(n_cases)]
    return {
        "dataset.json": _dataset_json(n_cases),
        "scans.csv": "\n".join(["image,labels,name,modality,dataset", *rows, ""]),
    }


def _list_row(index: int) -> str:
    name = case_name(index)
    return ",".join((*_nifti_names(index), name, name.partition("_")[0], PHANTOM_DATASET))


def _dataset_json(n_cases: int) -> str:
    """Return nnU-Net's description of the folder, and the orientation of each phantom."""
    facts = {
        "name": "Phantoms",
        "description": DESCRIPTION,
        "channel_names": {"0": "image"},
        "labels": {"background": 0}
        | {f"structure {label}": label for label in range(1, MOST_LABELS + 1)},
        "numTraining": n_cases,
        "file_ending": ".nii.gz",
        "orientations": {case_name(index): orientation(index) for index in range(n_cases)},
    }
    return json.dumps(facts, indent=1) + "\n"


def _refuse_without_nibabel(format_: str) -> None:
    if format_ == "nifti" and importlib.util.find_spec("nibabel") is None:
        raise CaseError(
            "format nifti: expected the package nibabel, found none; "
            "pip install 'segbench[convert]', or choose npz"
        )


def _refuse_other_cases(folder: Path, files: Sequence[Path]) -> None:
    there = {path for place in {file.parent for file in files} for path in place.glob("*")}
    others = sorted(
        path for path in there - {*files} if path.name.endswith((".npz", ".nii.gz", ".nii"))
    )
    if others:
        raise CaseError(
            f"{folder}: expected a folder without other cases, because phantoms must not mix"
            f" with them, found {others[0].name} ({len(others)} such "
            f"file{'s' * (len(others) > 1)}); choose another folder"
        )


def _refuse_other_table(file: Path) -> None:
    """Refuse to replace a description or list that is not that of phantoms."""
    mark = DESCRIPTION if file.suffix == ".json" else _list_row(0)
    if file.exists() and mark not in file.read_text(encoding="utf-8", errors="replace"):
        raise CaseError(
            f"{file}: expected nothing or the file of earlier phantoms, found another one; choose "
            "another folder"
        )


def _refuse_other_seed(new_files: Sequence[Path], files: Sequence[Path], seed: int) -> None:
    """Refuse to replace phantoms of the same names that another seed generated."""
    for new, old in zip(new_files, files, strict=True):
        if old.exists() and old.read_bytes() != new.read_bytes():
            raise CaseError(
                f"{old}: expected the phantom of seed {seed}, found a file with other content;"
                " choose another folder or delete the old phantoms"
            )
