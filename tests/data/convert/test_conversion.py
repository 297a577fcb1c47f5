"""From scans to cases: what the file says, what is done again, what is refused."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from segbench.data.case_folder import find_cases
from segbench.data.case_grid import KEYS
from segbench.data.challenge_npz import write_case
from segbench.data.convert.batch import Batch, convert_scans
from segbench.data.convert.box_rule import BoxRule
from segbench.data.convert.conversion import convert_scan, reason_of
from segbench.data.convert.conversion_report import summary, write_report
from segbench.data.convert.convert_data import convert_found
from segbench.data.convert.index_csv import write_index
from segbench.data.convert.intensity import IntensityRule
from segbench.data.convert.label_rule import LabelRule, parse_labels
from segbench.data.convert.nifti import write_nifti
from segbench.data.convert.rules import Rules
from segbench.data.convert.scan import Found, Scan
from segbench.data.convert.volume import Volume, case_affine, to_case_order
from segbench.errors import CaseError
from tests.data.convert.sources import affine_of, scan, write_pair


@pytest.fixture
def pair(tmp_path):
    return write_pair(tmp_path / "secret-place")


PLAIN, KEEP = Rules(), Rules(intensity=IntensityRule("keep"))


def convert(pair, out, rules=PLAIN, *, replace_changed=False, **scan_changes):
    out.mkdir(exist_ok=True)
    scan = replace(Scan("CT_a", *pair, "CT"), **scan_changes)
    return convert_scan(scan, rules, out, replace_changed=replace_changed)


def read(out, name="CT_a"):
    (case,) = (case for case in find_cases(out) if case.name == name)
    return case.read()


def test_a_case_has_a_box_for_each_label_and_the_grid_of_its_source(pair, tmp_path):
    done = convert(pair, tmp_path / "val", patient="p7", dataset="D")
    assert (done.status, done.modality, done.patient, done.dataset) == (
        "converted",
        "CT",
        "p7",
        "D",
    )
    case = read(tmp_path / "val")
    assert case.labels == (1, 2)
    assert [box.label for box in case.boxes] == [1, 2]
    assert np.array_equal(case.grid.affine, affine_of())
    assert case.grid.facts["labels"] == [
        {"label": 1, "name": "1", "values": [1]},
        {"label": 2, "name": "3", "values": [3]},
    ]
    assert done.decided["boxes"] == "2"


def test_boxes_are_exact_in_z_and_the_same_each_time(pair, tmp_path):
    for out in ("a", "b"):
        convert(pair, tmp_path / out)
    convert(pair, tmp_path / "c", Rules(boxes=BoxRule("exact")))
    first, again, exact = (read(tmp_path / out) for out in "abc")
    assert first.boxes == again.boxes
    for box, tight in zip(first.boxes, exact.boxes, strict=True):
        assert (box.low[0], box.high[0]) == (tight.low[0], tight.high[0])
        inside = exact.reference[tuple(map(slice, tight.low, tight.high))] == tight.label
        assert inside.any(axis=(1, 2)).all()
        assert np.count_nonzero(inside) == np.count_nonzero(exact.reference == tight.label)


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (BoxRule("none"), "no boxes were asked for"),
        (BoxRule(without=("3",)), "--no-box names 3, so no label has a box"),
    ],
)
def test_a_label_without_a_box_takes_the_others_away(pair, tmp_path, rule, reason):
    done = convert(pair, tmp_path / "val", Rules(boxes=rule))
    assert done.decided["boxes"] == reason
    assert read(tmp_path / "val").boxes == ()


def test_the_number_of_a_label_does_not_name_it(pair, tmp_path):
    done = convert(pair, tmp_path / "val", Rules(boxes=BoxRule(without=("2",))))
    assert done.decided["labels"][1]["label"] == 2  # of value 3
    assert len(read(tmp_path / "val").boxes) == 2


def test_a_number_that_is_a_name_stands_for_this_label(pair, tmp_path):
    rule = LabelRule(parse_labels("3=1,organ=3"))
    done = convert(pair, tmp_path / "val", Rules(labels=rule, boxes=BoxRule(without=("3",))))
    assert done.decided["labels"][0]["name"] == "3"
    assert done.decided["boxes"] == "--no-box names 3, so no label has a box"


def test_a_scattered_label_takes_the_boxes_away(tmp_path):
    labels = scan()[1]
    labels[::2, ::3, ::4] = 1
    files = write_pair(tmp_path, labels=labels)
    done = convert(files, tmp_path / "val")
    assert done.decided["boxes"].startswith("1 is scattered: ")
    assert done.guessed[0].startswith("1 is scattered, so no label of the case has a box")
    assert read(tmp_path / "val").boxes == ()


def test_the_file_of_a_case_says_nothing_of_places(pair, tmp_path):
    convert(pair, tmp_path / "val")
    with np.load(tmp_path / "val" / "CT_a.npz", allow_pickle=True) as stored:
        assert set(stored.files) == {"imgs", "gts", "spacing", "boxes", *KEYS}
        text = stored["grid_json"].tobytes().decode()
    assert "secret" not in text
    assert "scan_img" not in text
    facts = json.loads(text)
    assert facts["intensity"]["rule"] == "window"
    assert facts["rule"]["boxes"] == {"kind": "challenge", "without": [], "seed": 0}


def test_labels_in_another_orientation_are_the_same_grid(tmp_path):
    image, labels = scan()
    affine = affine_of("LPS")
    (tmp_path / "in").mkdir()
    files = tmp_path / "in" / "i.nii", tmp_path / "in" / "l.nii"
    write_nifti(files[0], image, affine)
    turned = affine @ np.array([[0, -1, 0, 8], [0, 0, 1, 0], [-1, 0, 0, 12], [0, 0, 0, 1]])
    write_nifti(files[1], labels[::-1, :, ::-1].transpose(2, 0, 1), turned)
    done = convert(files, tmp_path / "val")
    assert done.decided["grid_of_labels"] == "equal to that of the image"
    expected = to_case_order(Volume(labels, affine))
    assert np.array_equal(read(tmp_path / "val").reference, np.where(expected == 3, 2, expected))


def test_labels_on_another_grid_are_refused_or_resampled_by_wish(tmp_path):
    moved = affine_of()
    moved[2, 3] += 2.5
    files = write_pair(tmp_path, label_affine=moved)
    done = convert(files, tmp_path / "val")
    assert done.status == "refused"
    assert "scan_seg.nii.gz: expected the grid of the image" in done.reason
    assert "corners up to 2.5 mm apart" in done.reason
    done = convert(files, tmp_path / "val", Rules(resample=True))
    assert done.decided["grid_of_labels"].startswith("resampled: corners up to 2.5 mm")
    case = read(tmp_path / "val")
    assert case.grid.facts["grid_of_labels"].startswith("resampled")
    assert case.labels == (1, 2)


def test_a_label_that_resampling_loses_is_named(tmp_path):
    labels = np.zeros_like(scan()[1])
    labels[:, :, :3], labels[:, :, 9:] = 1, 2
    moved = affine_of()
    moved[2, 3] -= 30  # the lower 12 slices leave the image
    files = write_pair(tmp_path, labels=labels, label_affine=moved)
    done = convert(files, tmp_path / "val", Rules(resample=True))
    assert "no voxel of 1 is left on the image's grid" in done.warnings
    assert read(tmp_path / "val").labels == (1,)


def test_raw_keeps_type_and_values(pair, tmp_path):
    convert(pair, tmp_path / "val", Rules(intensity=IntensityRule("raw")))
    voxels = read(tmp_path / "val").image.voxels
    assert voxels.dtype == np.int16
    assert np.array_equal(voxels, to_case_order(Volume(scan()[0], affine_of())))


def test_an_unchanged_case_is_left_alone_and_a_changed_one_refused(pair, tmp_path):
    out = tmp_path / "val"
    assert convert(pair, out).status == "converted"
    before = (out / "CT_a.npz").stat()
    assert convert(pair, out).status == "unchanged"
    assert (out / "CT_a.npz").stat() == before
    done = convert(pair, out, Rules(boxes=BoxRule(seed=1)))
    assert done.status == "refused"
    assert "found one of another rule; --replace converts it again" in done.reason
    write_nifti(pair[0], scan(5)[0], affine_of())
    done = convert(pair, out)
    assert "found one of another image;" in done.reason
    assert convert(pair, out, replace_changed=True).status == "converted"
    assert convert(pair, out).status == "unchanged"


def test_the_file_of_another_is_never_replaced(pair, tmp_path, make_case):
    out = tmp_path / "val"
    out.mkdir()
    write_case(out / "CT_a.npz", make_case("CT_a"))
    before = (out / "CT_a.npz").read_bytes()
    done = convert(pair, out, replace_changed=True)
    assert "expected no file or a converted case, found another file" in done.reason
    assert (out / "CT_a.npz").read_bytes() == before


def test_what_the_protocol_cannot_score_is_refused(tmp_path):
    files = write_pair(tmp_path, labels=np.ones_like(scan()[1]))
    done = convert(files, tmp_path / "val")
    assert done.status == "refused"
    assert "expected a background of 0" in done.reason
    assert not (tmp_path / "val" / "CT_a.npz").exists()


def test_an_image_given_as_its_own_labels_is_refused(tmp_path):
    image = np.abs(scan()[0])  # of a magnitude image every value could be a label
    files = write_pair(tmp_path, image=image, labels=image)
    done = convert(files, tmp_path / "val")
    assert done.reason == "scan_seg.nii.gz: expected labels, found the image itself"


def many(tmp_path, n=3):
    scans = []
    for number in range(n):
        files = write_pair(tmp_path / "in", f"s{number}", image=scan(number)[0])
        scans.append(Scan(f"CT_{number}", *files, "CT", f"p{number}"))
    scans[1].labels.write_bytes(b"no label map")
    return scans


@pytest.mark.parametrize("jobs", [1, 2])
def test_one_bad_scan_does_not_stop_the_others(tmp_path, jobs):
    scans = many(tmp_path)
    done = list(convert_scans(scans, Batch(Rules(), tmp_path / "val"), jobs=jobs))
    by_name = {each.name: each for each in done}
    assert [by_name[scan.name].status for scan in scans] == ["converted", "refused", "converted"]
    assert "s1_seg.nii.gz" in by_name["CT_1"].reason
    assert sorted(file.name for file in (tmp_path / "val").glob("[!.]*")) == [
        "CT_0.npz",
        "CT_2.npz",
    ]


class Deadly(Rules):
    """Ends the process that converts CT_1."""

    def of(self, scan):
        if scan.name == "CT_1":
            import os

            os._exit(9)
        return super().of(scan)


def test_a_process_that_dies_is_named_and_the_others_go_on(tmp_path):
    found = Found("a list", tuple(many(tmp_path, 4)))
    done = convert_found(found, Batch(Deadly(), tmp_path / "val"), jobs=2).conversions
    statuses = {each.name: each.status for each in done}
    assert statuses == dict.fromkeys(("CT_0", "CT_2", "CT_3"), "converted") | {"CT_1": "refused"}
    (refused,) = (each for each in done if each.status == "refused")
    assert "the process that converted it died" in refused.reason


def test_the_index_keeps_what_others_wrote(tmp_path):
    (tmp_path / "index.csv").write_text("name,patient,site\nCT_0,edited,A\nold,p,B\n")
    scans = many(tmp_path)
    done = [
        replace(each, patient="") if each.name == "CT_0" else each
        for each in convert_scans(scans, Batch(Rules(), tmp_path / "val"))
    ]
    write_index(tmp_path, done)
    with (tmp_path / "index.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert rows == [
        {"name": "CT_0", "patient": "edited", "site": "A", "modality": "CT", "dataset": ""},
        {"name": "CT_2", "patient": "p2", "site": "", "modality": "CT", "dataset": ""},
        {"name": "old", "patient": "p", "site": "B", "modality": "", "dataset": ""},
    ]
    (tmp_path / "index.csv").write_text("no,table\n1,2\n")
    with pytest.raises(CaseError, match="expected a table with a column 'name'"):
        write_index(tmp_path, done)


def test_the_report_says_what_was_decided_and_guessed(tmp_path):
    scans, batch = many(tmp_path), Batch(Rules(), tmp_path / "val")
    grey = np.where(scan()[1], 200, 30).astype(np.uint8)
    write_nifti(scans[0].image, grey, affine_of())
    done = list(convert_scans(scans, batch))
    write_report(tmp_path, "a list", ["x.nii: no labels"], done)
    again = list(convert_scans(scans, batch))
    files = write_report(tmp_path, "a list", [], again)
    cases = json.loads(files[0].read_text())["cases"]
    assert [case["status"] for case in cases] == ["converted", "refused", "converted"]
    assert "taken as mapped" in cases[0]["guessed"][0]
    assert cases[2]["decided"]["intensity"]["width"] == 400
    text = files[1].read_text()
    assert "CT_0: converted\n  source: s0_img.nii.gz\n  axes: LPS to LPS\n" in text
    assert "labels: label 1, name 1, values 1, voxels 72; label 2" in text
    lines = summary(done, ["x.nii: no labels"])
    assert lines[0] == "2 converted, 1 refused"
    assert lines[2] == "left out: x.nii: no labels"
    assert lines[3].startswith("guessed: CT_0: values are whole numbers")


def test_real_scans_written_as_nifti_come_back_equal(real_cases, tmp_path):
    for source in find_cases(real_cases)[::8]:
        case = source.read()
        z, y, x = case.image.spacing
        affine = np.diag([-x, -y, z, 1.0])
        files = tmp_path / "i.nii.gz", tmp_path / "l.nii.gz"
        write_nifti(files[0], case.image.voxels.transpose(2, 1, 0), affine, level=1)
        write_nifti(files[1], case.reference.transpose(2, 1, 0), affine, level=1)
        done = convert(
            files, tmp_path / "val", Rules(intensity=IntensityRule("keep")), name=case.name
        )
        assert done.status == "converted", done.reason
        found = read(tmp_path / "val", case.name)
        assert np.array_equal(found.image.voxels, case.image.voxels)
        assert found.image.voxels.dtype == case.image.voxels.dtype
        assert np.array_equal(found.reference, case.reference)
        assert found.labels == case.labels
        assert np.allclose(found.image.spacing, case.image.spacing, rtol=1e-6)
        assert bool(found.boxes) == bool(case.boxes)
        for new, old in zip(found.boxes, case.boxes, strict=True):
            assert (new.low[0], new.high[0], new.mid_slice) == (
                old.low[0],
                old.high[0],
                old.mid_slice,
            )


def test_labels_are_chosen_by_name(pair, tmp_path):
    rule = LabelRule(parse_labels("tumor"), {"liver": (1,), "tumor": (3,)})
    convert(pair, tmp_path / "val", Rules(labels=rule))
    case = read(tmp_path / "val")
    assert case.labels == (1,)
    assert case.grid.facts["labels"] == [{"label": 1, "name": "tumor", "values": [3]}]
    assert case_affine(case.grid).shape == (4, 4)


def test_a_reason_has_neither_folders_nor_the_name_twice(tmp_path):
    scan = Scan("CT_a", tmp_path / "secret" / "i.nii", tmp_path / "secret" / "l.nii", "CT")
    for error, reason in (
        (CaseError("CT_a: reference: expected x, found y"), "reference: expected x, found y"),
        (CaseError(f"{tmp_path}/secret/i.nii: expected x"), "i.nii: expected x"),
        (OSError("cannot read /home/me/my scans/i.raw"), "cannot read i.raw"),
        (OSError(28, "No space left on device", "/home/me/CT_a.npz"), "CT_a.npz: No space left"),
        (MemoryError(), "MemoryError"),
    ):
        assert reason_of(error, scan).startswith(reason), error


def test_lists_of_the_report_are_no_sizes(tmp_path):
    files = write_pair(tmp_path / "in")
    rule = LabelRule(parse_labels("both=1+3"))
    done = convert(files, tmp_path / "val", Rules(labels=rule))
    mr = convert(files, tmp_path / "val", name="MR_a", modality="MR")
    text = write_report(tmp_path, "a list", [], [done, mr])[1].read_text()
    assert "shape: 13 x 11 x 9" in text
    assert "values 1 and 3" in text
    assert "percentiles 0.5 and 99.5" in text
