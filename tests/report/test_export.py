"""Exported files: whole, equal each time, and the same numbers as the frames."""

import importlib.util
import re

import pandas as pd
import pytest

import segbench
from segbench.core import Click
from segbench.errors import RunError
from segbench.report import write_export
from segbench.report.written_files import EXPORT_LIST, exported_files
from tests.report.small_runs import case

NAMES = ("cases", "steps", "prompts", "methods")


@pytest.fixture
def results(run):
    dsc = (0.1, 1 / 3, 2 / 3, 0.1 + 0.2, 0.7, 1 / 7)
    clicks = ((), (Click(1, (1, 2, 3), True),))
    return segbench.load(
        run("ours", [case("CT_1", dsc, rounds=clicks), case("CT_2", failed=(3,))]),
        run("other", [case("CT_1"), case("CT_2", boxes=False)]),
    )


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_two_exports_have_the_same_files_byte_by_byte(results, tmp_path, kind):
    first = write_export(results, tmp_path / "a", format=kind)
    second = write_export(results, str(tmp_path / "b"), format=kind)
    assert [file.name for file in first] == [f"{name}.{kind}" for name in NAMES]
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in second]
    there = {file.name for file in (tmp_path / "a").iterdir()}
    assert there == {EXPORT_LIST, *(file.name for file in first)}


def test_csv_has_the_exact_numbers_of_the_frames(results, tmp_path):
    write_export(results, tmp_path)
    read = pd.read_csv(tmp_path / "cases.csv")
    for name in ("dsc_auc", "nsd_auc", "dsc_final", "nsd_final", "seconds"):
        assert read[name].tolist() == results.cases[name].tolist()


def test_parquet_gives_the_frames_back(results, tmp_path):
    write_export(results, tmp_path, format="parquet")
    for name in NAMES:
        read = pd.read_parquet(tmp_path / f"{name}.parquet")
        pd.testing.assert_frame_equal(read, getattr(results, name))


def test_parquet_without_pyarrow_names_the_extra_and_writes_nothing(results, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RunError, match=r"needs pyarrow.*pip install 'segbench\[parquet\]'"):
        write_export(results, tmp_path / "out", format="parquet")
    assert not (tmp_path / "out").exists()


def test_only_files_of_earlier_exports_are_replaced(results, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    files = {file.name for file in write_export(results, tmp_path)}
    (tmp_path / "cases.csv").write_text("cut")
    write_export(results, tmp_path, format="challenger")
    assert exported_files(tmp_path) == {*files, "challenger.csv", EXPORT_LIST}
    write_export(results, tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert (tmp_path / "cases.csv").read_text().startswith("method,case,")


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("csv", "steps.csv"),
        ("parquet", "cases.parquet"),
        ("challenger", "challenger.csv"),
        ("card", "card-other.md"),
        ("csv", EXPORT_LIST),
    ],
)
def test_a_file_of_somebody_else_is_not_replaced(results, tmp_path, kind, name):
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text("mine")
    message = rf"out/{re.escape(name)}: expected nothing or a file that segbench wrote here, found"
    with pytest.raises(RunError, match=message):
        write_export(results, out, format=kind)
    assert (out / name).read_text() == "mine"
    assert [file.name for file in out.iterdir()] == [name]


def test_a_folder_in_the_place_of_a_file_is_named(results, tmp_path):
    (tmp_path / "out" / "steps.csv").mkdir(parents=True)
    with pytest.raises(RunError, match=r"steps\.csv: .* found another folder; "):
        write_export(results, tmp_path / "out")


def test_a_run_folder_and_an_unknown_format_are_refused(results, tmp_path):
    with pytest.raises(RunError, match="found a run folder"):
        write_export(results, tmp_path / "ours")
    with pytest.raises(RunError, match="csv, parquet, challenger, card; found 'xlsx'"):
        write_export(results, tmp_path / "out", format="xlsx")
