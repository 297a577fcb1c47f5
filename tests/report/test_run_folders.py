"""Which run folders a path stands for, and what is said of any other."""

import pytest

import segbench
from segbench.errors import RunError
from segbench.report import write_report
from segbench.report.run_folders import left_out_text, without_replaced
from tests.report.small_runs import case


@pytest.fixture
def parent(run, tmp_path):
    """Return a folder of three run folders and a file."""
    for name in ("b", "a", "c"):
        run(name, [case("CT_1")], folder=f"runs/{name}")
    (tmp_path / "runs" / "notes.txt").write_text("mine")
    return tmp_path / "runs"


def methods(*folders):
    return segbench.load(*folders).methods["method"].tolist()


def test_a_folder_of_run_folders_stands_for_them_in_name_order(parent):
    assert methods(parent) == ["a", "b", "c"]


def test_it_may_stand_next_to_other_runs(parent, run):
    assert methods(run("z", [case("CT_1")]), parent) == ["z", "a", "b", "c"]


def test_a_run_is_not_taken_twice_through_its_parent(parent):
    with pytest.raises(
        RunError, match=r"runs/b: expected each run once, found it 2 times; give it once"
    ):
        segbench.load(parent, parent / "b")


def test_a_run_that_was_put_aside_counts_only_if_it_is_given_itself(parent, run):
    old = run("a", [case("CT_1")], folder="runs/a.old-1")
    hidden = run("h", [case("CT_1")], folder="runs/.h")
    assert methods(parent) == ["a", "b", "c"]
    assert methods(old) == ["a"]
    assert methods(hidden) == ["h"]


def test_a_run_that_was_put_aside_is_left_out_next_to_the_one_that_replaced_it(parent, run):
    olds = [run("a", [case("CT_1")], folder=f"runs/a.old-{number}") for number in (1, 12)]
    alone = run("x", [case("CT_1")], folder="runs/x.old-1")
    given = [*olds, parent / "a", alone, parent / "b"]
    kept, replaced = without_replaced(given)
    assert (kept, replaced) == ([parent / "a", alone, parent / "b"], olds)
    assert without_replaced([*olds, alone]) == ([*olds, alone], [])
    assert len(methods(*given)) == 5  # from Python, exactly what is given
    assert left_out_text(olds[:1]) == (
        f"left out {olds[0]}, which --fresh moved away; "
        f"`segbench compare {olds[0]} {parent / 'a'}` compares the two"
    )


def test_a_run_folder_that_contains_runs_stands_for_itself(run):
    outer = run("outer", [case("CT_1")])
    run("inner", [case("CT_1")], folder="outer/inner")
    assert methods(outer) == ["outer"]


def test_anything_else_is_named(parent, tmp_path):
    runs = parent
    write_report([runs / "a"], tmp_path / "report")
    (tmp_path / "val").mkdir()
    for name in ("CT_a.npz", "CT_b.npz"):
        (tmp_path / "val" / name).touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "home").mkdir()
    for number in range(7):
        (tmp_path / "home" / f"{number}.txt").touch()
    (tmp_path / "old").mkdir()
    (runs / "c").rename(tmp_path / "old" / "c.old-2")
    for name, found in {
        "val": "a folder with 2 .npz files; give a folder that segbench run has written",
        "empty": "an empty folder; give a folder that segbench run has written",
        "home": "a folder with 0.txt, 1.txt, 2.txt, 3.txt, 4.txt and 2 more and no run.json; give",
        "report": "a report; give the run folders that it was made from",
        "runs/a/cases": f"a part of a run folder; give {runs / 'a'}",
        "runs/notes.txt": "a file; check the path",
        "nowhere": "no such folder; check the path",
        ".": f"run folders only below it, in old; give {tmp_path / 'old'}",
        "old": "a folder with the run folders c.old-2; give one of them",
    }.items():
        with pytest.raises(RunError) as error:
            segbench.load(tmp_path / name)
        expected = f"{tmp_path / name}: expected a run folder or a folder of run folders, found "
        assert str(error.value).startswith(expected + found)
