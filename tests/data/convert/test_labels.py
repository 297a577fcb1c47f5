"""Which values become which labels."""

import json

import numpy as np
import pytest

from segbench.data.convert.components import scattered, split_components
from segbench.data.convert.label_names import read_label_names
from segbench.data.convert.label_rule import LabelEntry, LabelRule, parse_labels
from segbench.data.convert.labels import choose_labels
from segbench.data.convert.volume import LabelVolume, Volume
from segbench.errors import CaseError

MAP = np.zeros((4, 5, 6), np.uint8)
MAP[0], MAP[1, 0], MAP[2, 0, 0], MAP[3, 4] = 2, 5, 7, 9
NAMES = {"liver": (2,), "tumor": (5,), "vessel": (7,)}


def choose(text="all", voxels=MAP, names=NAMES, file_names=None, **rule):
    volume = LabelVolume(Volume(voxels, np.eye(4)), file_names or {})
    return choose_labels(volume, LabelRule(parse_labels(text), names, **rule), "seg.nii")


def table(chosen):
    return [(label.label, label.name, label.values) for label in chosen.labels]


def test_every_value_is_a_label_numbered_from_1():
    chosen = choose()
    assert table(chosen) == [
        (1, "liver", (2,)),
        (2, "tumor", (5,)),
        (3, "vessel", (7,)),
        (4, "9", (9,)),
    ]
    expected = np.select([value == MAP for value in (2, 5, 7, 9)], [1, 2, 3, 4])
    assert np.array_equal(chosen.label_map, expected)
    assert chosen.label_map.dtype == np.uint8
    assert [label.n_voxels for label in chosen.labels] == [30, 6, 1, 6]


def test_some_are_chosen_merged_and_named_in_the_order_asked_for():
    chosen = choose("lesion=tumor+9,liver")
    assert table(chosen) == [(1, "lesion", (5, 9)), (2, "liver", (2,))]
    assert np.array_equal(chosen.label_map, np.select([np.isin(MAP, (5, 9)), MAP == 2], [1, 2]))


def test_all_values_can_be_merged_into_one():
    chosen = choose("cells=all")
    assert np.array_equal(chosen.label_map, MAP > 0)


def test_values_can_be_kept_as_numbers():
    chosen = choose("lesion=9+5,liver", keep_values=True)
    assert [label.label for label in chosen.labels] == [2, 9]
    assert np.array_equal(chosen.label_map, np.select([np.isin(MAP, (5, 9)), MAP == 2], [9, 2]))


def test_a_label_that_the_case_lacks_is_a_warning_and_none_at_all_an_error():
    chosen = choose("1,tumor")
    assert table(chosen) == [(1, "tumor", (5,))]
    assert chosen.warnings == ("no voxel of 1",)
    with pytest.raises(CaseError, match=r"seg\.nii: expected a voxel of the labels 1, found 2, 5"):
        choose("1")
    with pytest.raises(CaseError, match="found only background"):
        choose(voxels=np.zeros_like(MAP))


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("lung", r"a known name \(liver, tumor, vessel\), found 'lung'"),
        ("a=2,b=2+5", "each value in one label, found 2 twice"),
        ("a=2,a=5", "each name once, found 'a' twice"),
        ("a=", "expected NAME, VALUE or NAME=A"),
        ("a=2,,b=5", "expected NAME, VALUE or NAME=A"),
        ("a=0", "a: expected labels, found 0, the background"),
        ("all=2+5", "another name than 'all', which stands for every value, found 'all=2"),
        ("\u00b2", "expected a value or a known name"),  # a digit, but no number
    ],
)
def test_what_cannot_be_meant_is_refused(text, match):
    with pytest.raises(CaseError, match=match):
        choose(text)


def test_a_text_is_entries():
    assert parse_labels(" liver , tumor = 2 + 3 ") == (
        LabelEntry("liver", ("liver",)),
        LabelEntry("tumor", ("2", "3")),
    )
    assert parse_labels("all") == ()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.uint16, bool])
def test_whole_numbers_of_any_type_are_taken(dtype):
    voxels = MAP.astype(dtype)
    expected = choose(voxels=MAP if dtype is not bool else MAP.astype(bool).astype(np.uint8))
    assert np.array_equal(choose(voxels=voxels).label_map, expected.label_map)


@pytest.mark.parametrize(("value", "found"), [(0.5, "0.5"), (-1, "-1"), (np.nan, "nan")])
def test_other_numbers_are_refused(value, found):
    voxels = MAP.astype(np.float32)
    voxels[1, 1, 1] = value
    with pytest.raises(CaseError, match=rf"seg\.nii: expected labels as whole.*found {found};"):
        choose(voxels=voxels)


def test_large_numbers_of_instances_are_renumbered():
    voxels = MAP.astype(np.uint32) * 1_000_000
    chosen = choose(voxels=voxels, names={})
    assert np.array_equal(chosen.label_map, choose().label_map)
    with pytest.raises(CaseError, match="expected labels up to 65535, found 9000000"):
        choose(voxels=voxels, names={}, keep_values=True)


def test_names_of_the_user_come_before_those_of_the_file():
    chosen = choose(file_names={2: "Segment_1", 9: "Name of somebody"})
    assert [label.name for label in chosen.labels] == [
        "liver",
        "tumor",
        "vessel",
        "Name of somebody",
    ]
    assert "name" not in chosen.labels[3].facts()  # a header's text is not for the case's file
    assert chosen.labels[0].facts() == {"label": 1, "values": [2], "name": "liver"}


def test_a_segment_of_the_file_without_a_voxel_is_a_warning():
    file_names = {2: "Segment_1", 4: "Segment_2", 6: "Segment_3"}
    nothing = ("no voxel of 'Segment_2' (4)", "no voxel of 'Segment_3' (6)")
    assert choose(names={}, file_names=file_names).warnings == nothing
    assert choose("lesion=2+4", names={}, file_names=file_names).warnings == nothing[:1]
    assert choose("Segment_1,Segment_3", names={}, file_names=file_names).warnings == nothing[1:]
    assert choose().warnings == ()  # names of a data set: a case may lack some of its labels


def test_ignored_voxels_become_background_with_a_warning():
    chosen = choose(names={"liver": (2,), "ignore": (9,)})
    assert [label.name for label in chosen.labels] == ["liver", "5", "7"]
    assert "6 voxels are marked as 'ignore'" in chosen.warnings[0]


def test_components_become_labels():
    chosen = split_components(choose("one=2+9,5"), "seg.nii")
    assert [(label.label, label.name) for label in chosen.labels] == [
        (1, "one 1"),
        (2, "one 2"),
        (3, "5 1"),
    ]
    assert np.array_equal(chosen.label_map, np.select([v == MAP for v in (2, 9, 5)], [1, 2, 3]))
    assert [label.n_voxels for label in chosen.labels] == [30, 6, 6]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("dataset.json", json.dumps({"labels": {"background": 0, "liver": 1, "all": [1, 2]}})),
        ("dataset.json", json.dumps({"labels": {"0": "background", "1": "liver"}})),
        ("map.json", json.dumps({"liver": 1})),
        ("map.yaml", "background: 0\nliver: 1\n"),
        ("map.csv", "value,name\n0,background\n1,liver\n"),
        ("a_dseg.tsv", "index\tname\tcolor\n1\tliver\t#f00\n"),
    ],
)
def test_names_are_read_from_the_files_of_data_sets(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    names = read_label_names(tmp_path / name)
    assert names["liver"] == (1,)
    assert "background" not in names
    assert names.get("all", (1, 2)) == (1, 2)


@pytest.mark.parametrize(
    ("name", "text", "match"),
    [
        ("a.json", "{", "a.json: expected JSON"),
        ("a.yaml", "a: [", "a.yaml: expected YAML"),
        ("a.json", "[1]", "expected labels as names and values"),
        ("a.json", '{"liver": "x"}', "liver: expected a whole number or several, found 'x'"),
        ("a.csv", "a,b\n1,2\n", "expected columns 'name' and 'value', found a, b"),
    ],
)
def test_other_files_of_names_are_refused(tmp_path, name, text, match):
    (tmp_path / name).write_text(text)
    with pytest.raises(CaseError, match=match):
        read_label_names(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("map.csv", "name,value\nliver,2\ntumor,5\nliver,7\n"),
        ("dataset.json", json.dumps({"labels": {"2": "liver", "5": "tumor", "7": "liver"}})),
        ("map.yaml", "2: liver\n5: tumor\n7: liver\n"),
    ],
)
def test_values_of_one_name_have_this_name(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    names = read_label_names(tmp_path / name)
    assert names == {"liver": (2, 7), "tumor": (5,)}
    assert [label.name for label in choose(names=names).labels] == ["liver", "tumor", "liver", "9"]
    assert table(choose("liver", names=names)) == [(1, "liver", (2, 7))]


def test_regions_that_share_values_name_none_of_them():
    names = {"whole": (2, 5, 7), "core": (5, 7), "enhancing": (7,)}
    assert [label.name for label in choose(names=names).labels] == ["2", "5", "enhancing", "9"]


@pytest.mark.parametrize(
    ("name", "text", "match"),
    [
        ("a.json", '{"liver": 1, "liver": 3}', "found ValueError: the key 'liver' twice"),
        ("a.yaml", "liver: 1\nliver: 3\n", "found ValueError: the key 'liver' twice"),
        ("a.csv", "name,value\nliver, left,1\n", "row 1: expected 2 fields, found 3; put a text"),
        ("a.tsv", "name\tvalue\tName\nx\t1\ty\n", "each column once, found name, value, name"),
    ],
)
def test_what_would_be_lost_in_silence_is_refused(tmp_path, name, text, match):
    (tmp_path / name).write_text(text)
    with pytest.raises(CaseError, match=match):
        read_label_names(tmp_path / name)


def test_words_of_yaml_are_names(tmp_path):
    (tmp_path / "a.yaml").write_text("no: 1\non: 2\n2024-01-01: 3\n")
    assert read_label_names(tmp_path / "a.yaml") == {"no": (1,), "on": (2,), "2024-01-01": (3,)}


def dots(n, size=(2, 2, 3)):
    mask = np.zeros((40, 40, 40), bool)
    for number in range(n):
        z, y, x = (int(at) * 6 for at in np.unravel_index(number, (6, 6, 6)))
        mask[z : z + size[0], y : y + size[1], x : x + size[2]] = True
    return mask


def test_a_scattered_object_is_one_of_many_parts():
    assert scattered(dots(1)) == ""
    assert scattered(dots(2)) == ""  # such as two kidneys
    assert "components are needed for 90 %" in scattered(dots(12))
    large = dots(24)
    large[:, 36:, :] = True  # most voxels are in one part
    assert "24 components have" not in scattered(dots(20))
    assert "have 10 voxels or more" in scattered(large)
    specks = dots(24, (1, 1, 1))
    specks[:, 36:, :] = True
    assert scattered(specks) == ""  # noise of an annotation


def test_the_lesions_of_the_development_scans_are_scattered_and_nothing_else(real_cases):
    for file in sorted(real_cases.glob("MR_*.npz")):
        with np.load(file, allow_pickle=True) as stored:
            label_map, has_boxes = stored["gts"], "boxes" in stored.files
        reasons = [scattered(label_map == value) for value in np.unique(label_map)[1:]]
        assert any(reasons) == (not has_boxes), (file.name, reasons)
