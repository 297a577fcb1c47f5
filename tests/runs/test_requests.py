"""What a user asks for, and how it is answered: dry runs, forgotten references, a fresh start."""

import re
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

import segbench
from segbench.cli import cli
from segbench.data.challenge_boxes import boxes_to_array
from segbench.data.challenge_npz import write_arrays
from segbench.errors import AdapterError, CaseError, RunError
from segbench.runs import run_folder
from segbench.runs.case_locks import case_lock
from segbench.runs.job import close_models

ADAPTER = """
import subprocess
import sys

import numpy as np
from segbench.core import AdapterInfo

class Mine:
    info = AdapterInfo("mine", version="1", licence="MIT")

    def set_image(self, image, labels):
        self.shape = image.voxels.shape

    def predict(self, interactions):
        return np.zeros(self.shape, np.uint8)


make_adapter = Mine
"""


@pytest.fixture(autouse=True)
def no_model_is_left():
    yield
    close_models()


def command(*words):
    return CliRunner().invoke(cli, [str(word) for word in ("run", "--in-process", *words)])


@pytest.fixture
def apart(data, tmp_path):
    """Return the folder of the images and that of the references."""
    images, references = tmp_path / "images", tmp_path / "gts"
    for folder in (images, references):
        folder.mkdir()
    for file in data.glob("*.npz"):
        with np.load(file, allow_pickle=True) as raw:
            arrays = dict(raw)
        write_arrays(references / file.name, {"gts": arrays.pop("gts")})
        write_arrays(images / file.name, arrays)
    return images, references


def test_forgotten_references_are_named_before_anything_is_written(apart, tmp_path):
    images, references = apart
    with pytest.raises(CaseError, match=r"found none in 3 cases.*--references"):
        segbench.evaluate("boxfill", images, out=tmp_path / "run", in_process=True)
    assert not (tmp_path / "run").exists()
    result = segbench.evaluate(
        "boxfill", images, references=references, out=tmp_path / "run", in_process=True
    )
    assert result.all_ok


def test_a_folder_of_references_without_any_of_them_is_refused(apart, tmp_path):
    images, _ = apart
    (tmp_path / "other").mkdir()
    with pytest.raises(CaseError, match=r"such as .*other/CT_Toy_001\.npz, found none"):
        segbench.evaluate(
            "boxfill", images, references=tmp_path / "other", out=tmp_path / "run", in_process=True
        )


def test_references_that_are_added_later_are_tried(apart, data, tmp_path):
    """One case has its reference, two have none: they are invalid, and then they are not."""
    images, references = apart
    (images / "CT_Toy_001.npz").write_bytes((data / "CT_Toy_001.npz").read_bytes())
    asked = {"out": tmp_path / "run", "in_process": True}
    first = segbench.evaluate("boxfill", images, **asked)
    assert [case.status for case in first.case_results] == ["ok", "invalid", "invalid"]
    assert "--references" in first.case_results[1].reason
    (references / "CT_Toy_001.npz").write_bytes((data / "CT_Toy_001.npz").read_bytes())
    (images / "CT_Toy_001.npz").unlink()
    (images / "CT_Toy_001.npz").write_bytes((data / "CT_Toy_001.npz").read_bytes())
    second = segbench.evaluate("boxfill", images, references=references, **asked)
    assert [case.status for case in second.case_results] == ["ok", "ok", "ok"]


def test_an_invalid_case_that_was_mended_runs_without_an_option(data, make_case, tmp_path):
    broken, case = data / "US_Toy_004.npz", make_case("US_Toy_004")
    broken.write_bytes(b"not a zip archive")
    asked = {"out": tmp_path / "run", "in_process": True}
    assert segbench.evaluate("boxfill", data, **asked).case_results[3].status == "invalid"
    again = segbench.evaluate("boxfill", data, **asked)  # it has not changed
    assert again.case_results[3].status == "invalid"
    write_arrays(
        broken,
        {
            "imgs": case.image.voxels,
            "gts": case.reference,
            "spacing": np.array(case.image.spacing),
            "boxes": boxes_to_array(case.boxes),
        },
    )
    assert segbench.evaluate("boxfill", data, **asked).all_ok


def test_a_dry_run_names_what_would_be_refused(data, tmp_path):
    with np.load(data / "CT_Toy_001.npz", allow_pickle=True) as raw:
        write_arrays(data / "CT_Toy_009.npz", dict(raw) | {"gts": raw["gts"][:-1]})
    done = command("--model", "boxfill", "--data", data, "--out", tmp_path / "run", "--dry-run")
    assert done.exit_code == 1
    assert "invalid   CT_Toy_009: CT_Toy_009.npz: imgs and gts: expected one shape" in (done.output)
    assert "3 to run, 1 invalid, 0 done: 4 of 4 cases asked for" in done.output
    assert not (tmp_path / "run").exists()


def test_a_dry_run_shows_which_done_cases_are_not_ok(data, tmp_path, scripted):
    (data / "US_Toy_004.npz").write_bytes(b"not a zip archive")
    words = ("--model", scripted, "--data", data, "--out", tmp_path / "run")
    words += ("--option", "fail=raise", "--option", "at=0")  # the MR case has no step 0
    assert command(*words).exit_code == 1
    done = command(*words, "--dry-run")
    assert done.output.splitlines() == [
        "done      CT_Toy_001 (failed)",
        "done      MR_Toy_002",
        "done      PET_Toy_003 (failed)",
        "done      US_Toy_004 (invalid)",
        "0 to run, 0 invalid, 4 done (2 of them failed, 1 of them invalid; --retry-failed runs "
        "them again): 4 of 4 cases asked for",
    ]


def test_failures_of_one_reason_are_one_line_and_say_what_to_do(data, tmp_path, scripted):
    words = ("--model", scripted, "--data", data, "--out", tmp_path / "run")
    done = command(*words, "--option", "fail=raise", "--option", "at=1")
    lines = [line for line in done.stderr.splitlines() if line.startswith(("failed:", "every"))]
    assert len(lines) == 2
    assert re.fullmatch(
        r"failed: 3 cases: step 1: raised ValueError: the model is confused.*: "
        r"CT_Toy_001, MR_Toy_002, PET_Toy_003",
        lines[0],
    )
    assert lines[1] == (
        "every case failed for one reason; to test the model alone: segbench models check "
        f"{scripted} --option fail=raise --option at=1"
    )
    assert "asked for 3 of 3 cases: 0 ok; the run folder has 3" in done.stdout


def test_a_failure_of_some_cases_does_not_blame_the_model(data, tmp_path, scripted):
    words = ("--model", scripted, "--data", data, "--out", tmp_path / "run")
    done = command(*words, "--option", "fail=raise", "--option", "at=0")
    assert "failed: 2 cases: step 0: raised ValueError" in done.stderr
    assert "models check" not in done.stderr


def test_labels_that_a_case_does_not_have_are_named(data, tmp_path, scripted):
    words = ("--model", scripted, "--data", data, "--out", tmp_path / "run")
    done = command(*words, "--option", "fail=foreign", "--option", "at=2", "--limit", 2)
    said = (
        "scripted returned a label that the case does not have: 9 (in 2 cases); it counts as "
        "wrong voxels where the case has a label"
    )
    assert done.exit_code == 0, done.output
    assert said in done.stderr.splitlines()
    result = segbench.evaluate(
        scripted,
        data,
        out=tmp_path / "run",
        option={"fail": "foreign", "at": 2},
        limit=2,
        in_process=True,
    )
    assert said in repr(result).splitlines()
    assert f"<li>{said}</li>" in result._repr_html_()
    words = ("--model", "boxfill", "--data", data, "--out", tmp_path / "other")
    assert "does not have" not in command(*words).stderr


def test_counts_are_printed_only_if_they_say_something(data, tmp_path):
    words = ("--model", "boxfill", "--data", data, "--out", tmp_path / "run")
    assert "asked for" not in command(*words).output
    assert "asked for 1 of 3 cases: 1 ok" in command(*words, "--limit", 1).output


@pytest.mark.parametrize("words", [(), ("--name", "second")])
def test_the_progress_has_the_name_that_tables_have(data, tmp_path, words):
    file = tmp_path / "my_adapter.py"
    file.write_text(ADAPTER)
    done = command("--model", file, "--data", data, "--out", tmp_path / "run", *words)
    name = words[1] if words else "mine"
    assert f"{name} 1/3 CT_Toy_001 ok" in done.stderr
    assert "my_adapter 1/3" not in done.stderr
    assert name in done.stdout


def test_a_path_in_other_words_is_no_difference(data, tmp_path, monkeypatch):
    file = tmp_path / "mine.py"
    file.write_text(ADAPTER.replace("make_adapter = Mine", MAKER))
    words = ("--data", data, "--out", tmp_path / "run", "--limit", 1)
    assert command("--model", file, *words).exit_code == 0
    monkeypatch.chdir(tmp_path)
    assert command("--model", "mine.py", *words).exit_code == 0
    other = command("--model", "mine.py", *words, "--option", "device=cpu")
    assert "found another (options.device was not given, is now 'cpu');" in other.stderr
    file.write_text(file.read_text() + "\n")
    edited = command("--model", file, *words, "--option", "device=cpu")
    assert f"model was 'mine.py', is now '{file}'" in edited.stderr
    assert "adapter_source_sha256 was" in edited.stderr


MAKER = """
def make_adapter(device: str = "auto"):
    return Mine()
"""


def test_limit_and_case_count_what_was_asked_for(data, tmp_path):
    words = ("--model", "boxfill", "--data", data, "--out", tmp_path / "run")
    done = command(*words, "--limit", 2)
    assert "boxfill 2/2 MR_Toy_002 ok" in done.output
    assert "asked for 2 of 3 cases: 2 ok; the run folder has 2" in done.output
    done = command(*words, "--case", "PET_*")
    assert "boxfill 1/1 PET_Toy_003 ok" in done.output
    assert "asked for 1 of 3 cases: 1 ok; the run folder has 3" in done.output


def test_the_exit_status_is_that_of_the_cases_asked_for(data, tmp_path):
    (data / "US_Toy_004.npz").write_bytes(b"not a zip archive")
    words = ("--model", "boxfill", "--data", data, "--out", tmp_path / "run")
    assert command(*words).exit_code == 1
    done = command(*words, "--case", "CT_*")
    assert done.exit_code == 0
    assert "US_Toy_004" not in done.output.replace("boxfill", "")


def test_an_edited_adapter_is_named_with_its_cases_and_a_fresh_start(data, tmp_path):
    model, out = tmp_path / "mine.py", tmp_path / "run"
    model.write_text(ADAPTER)
    words = ("--model", model, "--data", data, "--out", out)
    assert command(*words).exit_code == 0
    model.write_text(ADAPTER + "# edited\n")
    for more in ((), ("--dry-run",)):
        done = command(*words, *more)
        assert done.exit_code == 2
        assert "its 3 cases (CT_Toy_001, MR_Toy_002, PET_Toy_003)" in done.output
        assert f"--fresh moves it to {out}.old-1" in done.output
    done = command(*words, "--fresh")
    assert done.exit_code == 0
    assert f"moved {out} to {out}.old-1" in done.output
    assert len(run_folder.read_run(tmp_path / "run.old-1").case_results) == 3
    assert command(*words, "--fresh").exit_code == 0
    assert (tmp_path / "run.old-2").is_dir()


def test_a_fresh_start_that_fails_moves_nothing(data, tmp_path):
    segbench.evaluate("boxfill", data, out=tmp_path / "run", in_process=True)
    (tmp_path / "broken.py").write_text("raise ValueError('no')\n")
    done = command(
        *("--model", tmp_path / "broken.py", "--data", data, "--out", tmp_path / "run", "--fresh")
    )
    assert done.exit_code == 2
    assert not (tmp_path / "run.old-1").exists()


def test_a_folder_that_another_runner_works_on_is_not_moved_away(data, tmp_path):
    asked = {"out": tmp_path / "run", "in_process": True, "fresh": True}
    segbench.evaluate("boxfill", data, **asked)
    refused = pytest.raises(RunError, match="CT_Toy_001 is locked; end that runner first")
    with case_lock(tmp_path / "run" / "cases", "CT_Toy_001"), refused:
        segbench.evaluate("boxfill", data, **asked)
    assert segbench.evaluate("boxfill", data, **asked).all_ok


@pytest.mark.parametrize("fresh", [False, True])
def test_a_folder_of_somebody_else_is_not_a_run_folder(data, tmp_path, fresh):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("mine")
    with pytest.raises(RunError, match=r"home: expected a run folder.*found thesis\.txt"):
        segbench.evaluate("boxfill", data, out=tmp_path / "home", in_process=True, fresh=fresh)
    assert [file.name for file in (tmp_path / "home").iterdir()] == ["thesis.txt"]


def test_an_environment_that_in_process_ignores_is_named(data, tmp_path):
    model = tmp_path / "own.py"
    model.write_text('# /// script\n# dependencies = ["numpy"]\n# ///\n' + ADAPTER)
    done = command("--model", model, "--data", data, "--out", tmp_path / "run", "--limit", 1)
    assert done.exit_code == 0
    assert "own.py: expected to run in an environment of its own (PEP 723)" in done.output


def test_references_inside_the_data_folder_are_no_cases(apart, tmp_path):
    images, references = apart
    references.rename(images / "gts")
    result = segbench.evaluate(
        "boxfill", images, references=images / "gts", out=tmp_path / "run", in_process=True
    )
    assert [case.case for case in result.case_results] == [
        "CT_Toy_001",
        "MR_Toy_002",
        "PET_Toy_003",
    ]
    assert result.all_ok


def test_the_oracle_knows_nested_cases(data, tmp_path):
    (data / "deep").mkdir()
    (data / "MR_Toy_002.npz").rename(data / "deep" / "MR_Toy_002.npz")
    option = {"references": data}
    result = segbench.evaluate("oracle", data, option=option, out=tmp_path / "run", in_process=True)
    assert all(case.steps[0].scores[0].dsc == 1 for case in result.case_results)


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("in_process", [True, False])
def test_the_oracle_takes_references_from_a_folder_of_their_own(
    apart, tmp_path, in_process, inside
):
    images, references = apart
    if inside:
        references = references.rename(images / "0_gts")  # before the images by name
    option = {"references": references, "images": images}
    result = segbench.evaluate(
        *("oracle", images),
        references=references,
        option=option,
        out=tmp_path / "run",
        in_process=in_process,
    )
    assert result.all_ok
    assert all(step.scores[0].dsc == 1 for case in result.case_results for step in case.steps)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (
            {"references": "gts"},
            r"oracle: .*references: expected files with images \(the key imgs\), found none in "
            r".*gts; name their folder: --option images=DIR",
        ),
        (
            {"references": "imgs", "images": "gts"},
            r"images: expected files with images \(the key imgs\), found none in .*gts$",
        ),
        ({"references": "gts", "images": "none"}, "images: expected a folder of cases, found"),
    ],
)
def test_an_oracle_without_images_says_how_to_name_them(apart, tmp_path, option, message):
    folders = dict(zip(("imgs", "gts", "none"), (*apart, tmp_path / "none"), strict=True))
    given = {key: folders[name] for key, name in option.items()}
    with pytest.raises(AdapterError, match=message):
        segbench.evaluate("oracle", apart[0], references=apart[1], option=given, out=tmp_path / "r")


def test_references_that_are_added_to_a_finished_run_are_named(data, apart, tmp_path):
    asked = {"out": tmp_path / "run", "in_process": True}
    segbench.evaluate("boxfill", data, **asked)
    with pytest.raises(RunError, match=r"expected none of its own as reference \(--references\)"):
        segbench.evaluate("boxfill", data, references=apart[1], **asked)


def test_the_working_directory_is_not_moved_away(data, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    segbench.evaluate("boxfill", data, out=".", in_process=True)
    with pytest.raises(RunError, match="found that it is or holds the working directory"):
        segbench.evaluate("boxfill", data, out=".", in_process=True, fresh=True)
    with pytest.raises(RunError, match=r"--fresh moves it to .*here\.old-1"):
        segbench.evaluate("ellipsoid", data, out=".", in_process=True)


def test_a_run_json_of_another_program_is_not_a_run_folder(data, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "run.json").write_text("{}")
    (tmp_path / "other" / "thesis.doc").write_text("mine")
    with pytest.raises(RunError, match=r"found thesis\.doc and no run\.json of segbench"):
        segbench.evaluate("boxfill", data, out=tmp_path / "other", in_process=True, fresh=True)


def test_a_case_that_kills_its_process_is_shown_and_named_in_one_line(data, tmp_path):
    model = tmp_path / "killer.py"
    model.write_text(
        ADAPTER.replace(
            "        return", "        os.kill(os.getppid(), 9); time.sleep(5)\n        return"
        ).replace("import numpy", "import os, time\nimport numpy")
    )
    words = ("run", "--model", model, "--data", data, "--out", tmp_path / "run", "--jobs", 2)
    done = CliRunner().invoke(cli, list(map(str, words)))
    assert done.exit_code == 1
    assert done.output.count("crashed: the process that ran this case died: SIGKILL(-9)") >= 3
    assert "3/3 " in done.output
    lines = [line for line in done.output.splitlines() if line.startswith("crashed: ")]
    assert len(lines) == 3


def test_waiting_for_another_runner_is_said(data, tmp_path):
    out = tmp_path / "run"
    segbench.evaluate("boxfill", data, out=out, in_process=True, case="CT_*")
    with case_lock(out / "cases", "MR_Toy_002") as still_mine:
        assert still_mine is not None
        words = [sys.executable, "-m", "segbench", "run", "--model", "boxfill", "--in-process"]
        process = subprocess.Popen(
            [*words, "--data", data, "--out", out], stderr=subprocess.PIPE, text=True
        )
        lines = iter(process.stderr.readline, "")
        assert any("waiting for 1 case that another runner has locked" in line for line in lines)
    process.communicate()
    assert process.returncode == 0
