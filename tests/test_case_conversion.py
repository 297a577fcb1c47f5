"""`segbench.convert` from Python: the same as the command, option by option."""

import inspect

import pytest

import segbench
from segbench.cli import cli
from segbench.data.case_folder import find_cases
from segbench.errors import CaseError
from tests.data.convert.sources import write_pair


def convert(folder, **keywords):
    files = write_pair(folder / "in")
    return segbench.convert(*files, out=folder / "val", progress=False, **keywords)


def test_every_option_of_the_command_is_a_keyword():
    options = {param.name for param in cli.commands["convert"].params} - {"help"}
    keywords = set(inspect.signature(segbench.convert).parameters)
    assert keywords == {*options, "progress"}
    defaults = {p.name: p.default for p in cli.commands["convert"].params}
    for name, parameter in inspect.signature(segbench.convert).parameters.items():
        if isinstance(defaults.get(name), str | int):
            assert parameter.default == defaults[name], name


def test_the_result_shows_itself_in_few_lines(tmp_path):
    done = convert(tmp_path, modality="CT", patient="p")
    assert done.all_ok
    (conversion,) = done.conversions
    assert (conversion.status, conversion.patient) == ("converted", "p")
    assert repr(done).splitlines() == [
        f"one image to {tmp_path / 'val'}: 1 converted",
        f"all of it: {tmp_path / 'val' / 'conversion.txt'}",
    ]
    assert done.index.exists()
    assert convert(tmp_path, modality="CT", patient="p").conversions[0].status == "unchanged"


def test_options_decide_as_they_do_in_the_command(tmp_path):
    names = {"liver": 1, "tumor": 3}
    done = convert(
        tmp_path, modality="ct", window="lung", labels="tumor,liver", label_names=names,
        no_box=["tumor", "lung"], seed=3,
    )  # fmt: skip
    (case,) = (file.read() for file in find_cases(tmp_path / "val"))
    assert case.grid.facts["intensity"]["level"] == -160
    assert [label["name"] for label in case.grid.facts["labels"]] == ["tumor", "liver"]
    assert case.boxes == ()
    assert done.unknown == ("lung",)
    assert "--no-box lung" in repr(done)
    again = convert(tmp_path, modality="CT", window=(1500, -160), labels="1", replace=True)
    assert again.conversions[0].status == "converted"


def test_a_dry_run_writes_nothing(tmp_path):
    done = convert(tmp_path, modality="CT", dry_run=True)
    assert [(each.name, each.status) for each in done.conversions] == [("CT_scan_img", "planned")]
    assert "1 planned" in repr(done)
    assert not (tmp_path / "val").exists()


def test_a_refused_scan_is_a_result(tmp_path):
    files = write_pair(tmp_path / "in")
    files[1].write_bytes(b"nothing")
    done = segbench.convert(*files, out=tmp_path / "val", modality="CT", progress=False)
    assert not done.all_ok
    assert "refused: CT_scan_img: scan_seg.nii.gz: expected a NIfTI file" in repr(done)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"window": "liver"}, "window: expected one of soft-tissue"),
        ({"window": (0, 40)}, "window: expected one of soft-tissue"),
        ({"axes": "LPP"}, "axes: expected one of L R"),
        ({"modality": "A_B"}, "modality: expected a modality without _"),
        ({"box_rule": "exakt"}, "box_rule: expected one of .*; did you mean 'exact'"),
        ({"intensity": "raw"}, "intensity: expected one of"),
        ({"resample_labels": True}, "resample_labels: expected one of"),
        ({"jobs": 0}, "jobs: expected a number of at least 1, found 0"),
        ({"channel": -1}, "channel: expected a number of at least 0"),
        ({"raw": True, "window": "lung"}, "--raw: expected neither --window"),
        ({"modality": None}, "expected a modality, found none"),
    ],
)
def test_wrong_values_are_refused_by_name(tmp_path, keywords, message):
    with pytest.raises(CaseError, match=message):
        convert(tmp_path, **{"modality": "CT", **keywords})
    assert not (tmp_path / "val").exists()


def test_a_wrong_keyword_is_answered_with_the_right_one(tmp_path):
    with pytest.raises(TypeError, match="convert: `workers`: did you mean `jobs`?"):
        convert(tmp_path, workers=2)
