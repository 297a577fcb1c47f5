"""`segbench convert` as a command."""

import csv
import json
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from segbench.cli import cli
from segbench.data.case_folder import find_cases
from segbench.data.convert.nifti import write_nifti
from tests.data.convert.sources import affine_of, scan, write_pair


def invoke(*words):
    return CliRunner().invoke(cli, ["convert", *map(str, words)], catch_exceptions=False)


@pytest.fixture
def dataset(tmp_path):
    """Return a data set in the layout of nnU-Net with three cases and an image without labels."""
    folder = tmp_path / "Dataset007_Toy"
    for number in range(4):
        image, labels = scan(number)
        (folder / "imagesTr").mkdir(parents=True, exist_ok=True)
        (folder / "labelsTr").mkdir(exist_ok=True)
        write_nifti(folder / "imagesTr" / f"t_{number}_0000.nii.gz", image, affine_of("RAS"))
        if number < 3:
            write_nifti(folder / "labelsTr" / f"t_{number}.nii.gz", labels, affine_of("RAS"))
    facts = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1, "tumor": 3}}
    (folder / "dataset.json").write_text(json.dumps(facts))
    return folder


def test_a_data_set_becomes_cases_an_index_and_a_report(dataset, tmp_path):
    out = tmp_path / "val"
    result = invoke(dataset, "--out", out, "--jobs", 2)
    assert result.exit_code == 0, result.output
    cases = [case.read() for case in find_cases(out)]
    assert [case.name for case in cases] == [f"CT_Toy_t_{number}" for number in range(3)]
    assert {(case.modality, case.dataset, len(case.boxes)) for case in cases} == {("CT", "Toy", 2)}
    assert {tuple(label["name"] for label in case.grid.facts["labels"]) for case in cases} == {
        ("liver", "tumor")
    }
    with (out / "index.csv").open(newline="") as stream:
        assert [row["name"] for row in csv.DictReader(stream)] == [case.name for case in cases]
    assert result.stdout.splitlines()[0] == "3 converted"
    assert "left out: t_3_0000.nii.gz: no labels of that name" in result.stdout
    assert "guessed: CT_Toy_t_0 and 2 more: modality CT" in result.stdout
    assert "convert 3/3 CT_Toy_" in result.stderr
    assert "CT_Toy_t_1: converted" in (out / "conversion.txt").read_text()
    again = invoke(dataset, "--out", out)
    assert again.stdout.splitlines()[0] == "3 unchanged"


def test_a_dry_run_shows_the_pairs_and_writes_nothing(dataset, tmp_path):
    result = invoke(dataset, "--out", tmp_path / "val", "--dry-run")
    assert result.exit_code == 0
    assert "nnU-Net: 3 cases, of which " in result.stdout
    assert "CT_Toy_t_0  t_0_0000.nii.gz  t_0.nii.gz" in result.stdout
    assert not (tmp_path / "val").exists()


def test_options_decide(tmp_path):
    files = write_pair(tmp_path / "in")
    names = tmp_path / "names.csv"
    names.write_text("name,value\nliver,1\ntumor,3\n")
    result = invoke(
        *files, "--modality", "mri", "--name", "x", "--patient", "p", "--dataset", "D", "--raw",
        "--labels", "tumor,liver", "--label-names", names, "--no-box", "tumor", "--no-box", "lung",
        "--out", tmp_path / "val",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    (case,) = find_cases(tmp_path / "val")
    assert (case.metadata.modality, case.metadata.patient) == ("MR", "p")
    read = case.read()
    assert read.boxes == ()
    assert read.image.voxels.dtype == np.int16
    assert [label["values"] for label in read.grid.facts["labels"]] == [[3], [1]]
    assert "warning: --no-box lung: no case has a label of that name or value" in result.stdout


@pytest.mark.parametrize(
    ("word", "n_boxes", "is_known"),
    [("2", 0, True), ("3", 0, True), ("1", 2, False)],  # 1 is the label that value 2 became
)
def test_a_label_without_a_box_is_named_by_its_value_not_by_its_number(
    tmp_path, word, n_boxes, is_known
):
    labels = scan()[1]
    labels[labels == 1] = 2
    files = write_pair(tmp_path / "in", labels=labels)
    result = invoke(*files, "--modality", "CT", "--no-box", word, "--out", tmp_path / "val")
    (case,) = find_cases(tmp_path / "val")
    assert len(case.read().boxes) == n_boxes
    assert (f"warning: --no-box {word}:" not in result.stdout) == is_known


def test_components_of_a_label_are_named_by_it(tmp_path):
    files = write_pair(tmp_path / "in")
    words = ["--labels", "vessel=1,organ=3", "--split", "--no-box", "vessel"]
    result = invoke(*files, "--modality", "CT", *words, "--out", tmp_path / "val")
    (case,) = find_cases(tmp_path / "val")
    assert case.read().boxes == ()
    assert "--no-box" not in result.stdout


def test_the_terminal_says_that_a_case_lost_its_boxes_by_a_guess(tmp_path):
    labels = scan()[1]
    labels[::2, ::3, ::4] = 1
    files = write_pair(tmp_path / "in", labels=labels)
    result = invoke(*files, "--modality", "CT", "--out", tmp_path / "val")
    expected = "guessed: CT_scan_img: 1 is scattered, so no label of the case has a box; --labels"
    assert expected in result.stdout


def test_a_refused_scan_is_exit_status_1(tmp_path):
    files = write_pair(tmp_path / "in")
    files[1].write_bytes(b"nothing")
    result = invoke(*files, "--modality", "CT", "--out", tmp_path / "val")
    assert result.exit_code == 1
    assert "refused: CT_scan_img: scan_seg.nii.gz: expected a NIfTI file" in result.stdout


def test_another_option_on_the_same_folder_needs_replace(tmp_path):
    words = [*write_pair(tmp_path / "in"), "--modality", "CT", "--out", tmp_path / "val"]
    assert invoke(*words).exit_code == 0
    result = invoke(*words, "--window", "lung")
    assert result.exit_code == 1
    assert "--replace converts it again" in result.stdout
    assert invoke(*words, "--window", "lung", "--replace").stdout.startswith("1 converted")
    (case,) = find_cases(tmp_path / "val")
    assert case.read().grid.facts["intensity"]["level"] == -160


def entry(out):
    (case,) = json.loads((out / "conversion.json").read_text())["cases"]
    return case


def test_a_refusal_leaves_what_was_said_of_a_case_that_is_there(tmp_path):
    words = [*write_pair(tmp_path / "in"), "--modality", "CT", "--out", tmp_path / "val"]
    invoke(*words)
    before = entry(tmp_path / "val")
    assert invoke(*words, "--window", "lung").exit_code == 1
    since = entry(tmp_path / "val").pop("refused_since")
    assert "found one of another rule" in since
    assert f"refused since, and left as it is: {since}" in (
        (tmp_path / "val" / "conversion.txt").read_text()
    )
    assert invoke(*words).exit_code == 0
    assert entry(tmp_path / "val") == before
    assert before["decided"]["intensity"]["level"] == 40


def test_a_refusal_without_a_case_is_all_that_is_said(tmp_path):
    words = [*write_pair(tmp_path / "in"), "--modality", "CT", "--out", tmp_path / "val"]
    invoke(*words)
    (tmp_path / "val" / "CT_scan_img.npz").unlink()
    words[1].write_bytes(b"nothing")
    assert invoke(*words).exit_code == 1
    assert entry(tmp_path / "val")["status"] == "refused"
    assert entry(tmp_path / "val")["decided"] == {}


def test_a_case_whose_report_is_missing_says_so(tmp_path):
    words = [*write_pair(tmp_path / "in"), "--modality", "CT", "--out", tmp_path / "val"]
    invoke(*words)
    (tmp_path / "val" / "conversion.json").unlink()
    invoke(*words)
    assert "the report of its conversion is missing" in entry(tmp_path / "val")["warnings"][0]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("index.csv", "no,table\n1,2\n", "expected a table with a column 'name'"),
        ("conversion.json", '{"cases": "mine"}', "expected no file or the report of a conversion"),
        ("conversion.json", "no JSON", "expected no file or the report of a conversion"),
    ],
)
def test_files_that_cannot_be_continued_are_named_before_anything_is_converted(
    tmp_path, name, text, message
):
    out = tmp_path / "val"
    out.mkdir()
    (out / name).write_text(text)
    result = invoke(*write_pair(tmp_path / "in"), "--modality", "CT", "--out", out)
    assert result.exit_code == 2
    assert message in result.stderr
    assert [file.name for file in out.iterdir()] == [name]
    assert (out / name).read_text() == text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--window", "liver"],
            "--window: expected one of soft-tissue, lung, brain, bone, or WIDTH",
        ),
        (["--window", "0,40"], "--window: expected one of"),
        (["--axes", "LPP"], "--axes: expected one of L R, one of P A and one of I S"),
        (["--modality", "A_B"], "--modality: expected a modality without _"),
        (["--raw", "--intensity", "keep"], "--raw: expected neither --window nor --intensity"),
        (["--window", "lung", "--intensity", "keep"], "--window: expected no --intensity keep"),
        (["--split", "--keep-values"], "--split: expected no --keep-values"),
        (["--no-box", "1", "--box-rule", "none"], "--no-box: expected no --box-rule none"),
        (["--seed", "1", "--box-rule", "exact"], "--seed: expected no --box-rule exact"),
        (
            ["--modality", "MR", "--window", "lung"],
            "--window: expected a scan of CT, found only MR; leave it out",
        ),
        (
            ["--modality", "CT", "--series", "1.2"],
            "--series: expected a DICOM series, found only other files; leave it out",
        ),
        (["--modality", "MR", "--bids-suffix", "T1w"], "--bids-suffix T1w: expected a data set in"),
        (["--labels", "a=1,a=2"], "expected each name once"),
        ([], "expected a modality, found none, because only DICOM files say it"),
    ],
)
def test_wrong_requests_are_one_line(tmp_path, words, message):
    files = write_pair(tmp_path / "in")
    result = invoke(*files, *words, "--out", tmp_path / "val")
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "val").exists()


@pytest.mark.parametrize("option", ["--channel", "--label-channel"])
def test_a_channel_that_a_file_does_not_have_is_refused(tmp_path, option):
    words = [*write_pair(tmp_path / "in"), "--modality", "CT", "--out", tmp_path / "val"]
    result = invoke(*words, option, 3)
    assert result.exit_code == 1
    assert "expected a channel 0, as the file is one volume, found 3" in result.stdout
    assert invoke(*words, option, 0).exit_code == 0


def test_a_window_is_for_the_ct_of_a_list(tmp_path):
    rows = ["image,labels,modality"]
    for modality in ("CT", "MR"):
        files = write_pair(tmp_path, modality)
        rows.append(f"{files[0].name},{files[1].name},{modality}")
    (tmp_path / "list.csv").write_text("\n".join(rows))
    result = invoke(tmp_path / "list.csv", "--window", "lung", "--out", tmp_path / "val")
    assert result.exit_code == 0
    facts = [case.read().grid.facts["intensity"] for case in find_cases(tmp_path / "val")]
    assert [each["rule"] for each in facts] == ["window", "percentile"]


def test_axes_that_a_file_states_itself_are_noted(tmp_path):
    words = [*write_pair(tmp_path / "in"), "--modality", "CT", "--out", tmp_path / "val"]
    stated = "warning: CT_scan_img: the file states its axes, LPS; --axes RAS was not used"
    assert invoke(*words, "--axes", "RAS").stdout.count(stated) == 1
    assert "states its axes" not in invoke(*words, "--axes", "LPS", "--replace").stdout


def test_without_the_extra_the_command_says_what_to_install(tmp_path, monkeypatch):
    files = write_pair(tmp_path / "in")
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = invoke(*files, "--out", tmp_path / "val")
    assert result.exit_code == 2
    assert "pip install 'segbench[convert]'" in result.stderr
