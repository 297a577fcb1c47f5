"""Find, read and refuse cases."""

import io
import zipfile

import numpy as np
import pytest
from numpy.lib import format as npy

from segbench.data.case_folder import find_cases, select_cases
from segbench.data.challenge_boxes import boxes_to_array
from segbench.data.challenge_npz import write_arrays
from segbench.data.dataset import CaseFile, foreground_labels, read_case
from segbench.errors import CaseError


@pytest.fixture
def write_changed(tmp_path, make_case):
    """Return a function that writes a case with some arrays changed (None: left out)."""

    def write(**changes):
        case = make_case("CT_Toy_001")
        arrays = {
            "imgs": case.image.voxels,
            "gts": case.reference,
            "spacing": np.array(case.image.spacing),
            "boxes": boxes_to_array(case.boxes),
        } | changes
        file = tmp_path / "CT_Toy_001.npz"
        write_arrays(file, {key: array for key, array in arrays.items() if array is not None})
        return CaseFile(file)

    return write


def reference(dtype, value=1):
    label_map = np.zeros((10, 20, 31), dtype)
    label_map[2:5, 2:5, 2:5] = value
    return label_map


def test_all_fields_of_a_case_are_read(data):
    case = read_case(find_cases(data)[0])
    assert (case.name, case.modality, case.dataset) == ("CT_Toy_001", "CT", "Toy")
    assert case.labels == (1, 3)
    assert case.reference.dtype == np.uint8
    assert case.boxes[1].low == (4, 11, 15)


def test_a_name_of_two_parts_has_no_dataset(data):
    (data / "CT_Toy_001.npz").rename(data / "CT_001.npz")
    case = read_case(find_cases(data)[0])
    assert (case.name, case.modality, case.dataset) == ("CT_001", "CT", "")


def test_a_case_without_the_key_boxes_has_none(data):
    assert read_case(find_cases(data)[1]).boxes == ()


def test_cases_are_in_name_order_and_can_be_selected(data):
    assert [case.name for case in find_cases(data)] == ["CT_Toy_001", "MR_Toy_002", "PET_Toy_003"]
    assert [case.name for case in select_cases(find_cases(data), patterns=["*_00[13]"])] == [
        "CT_Toy_001",
        "PET_Toy_003",
    ]
    assert len(select_cases(find_cases(data), limit=2)) == 2


def test_an_index_takes_precedence_over_the_file_name(data):
    (data / "index.csv").write_text("name,modality,patient\nCT_Toy_001,PET,p7\n")
    about = find_cases(data)[0].metadata
    assert (about.modality, about.patient, about.dataset) == ("PET", "p7", "Toy")


def test_hidden_files_are_no_cases(data):
    (data / "._CT_Toy_001.npz").write_bytes(b"macOS creates such files next to copies")
    assert len(find_cases(data)) == 3


def test_an_index_from_a_spreadsheet_is_read_and_one_that_is_not_utf_8_is_refused(data):
    (data / "index.csv").write_bytes(b"\xef\xbb\xbfname,modality\r\nCT_Toy_001,US\r\n")
    assert find_cases(data)[0].metadata.modality == "US"
    (data / "index.csv").write_bytes(b"name,modality\nCT_Toy_001,Sch\xe4del\n")
    with pytest.raises(CaseError, match=r"index\.csv: expected a table as UTF-8 text"):
        find_cases(data)


def test_references_may_be_in_a_folder_of_their_own(data, tmp_path, make_case):
    references = tmp_path / "references"
    references.mkdir()
    write_arrays(references / "CT_Toy_001.npz", {"gts": reference(np.uint8, 5)})
    boxless = make_case("CT_Toy_001", with_boxes=False)
    arrays = {"imgs": boxless.image.voxels, "spacing": np.array(boxless.image.spacing)}
    write_arrays(data / "CT_Toy_001.npz", arrays)
    cases = find_cases(data, references=references)
    assert read_case(cases[0]).labels == (5,)
    with pytest.raises(CaseError, match=r"MR_Toy_002\.npz: expected its reference at"):
        read_case(cases[1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gts": None}, "expected a key 'gts'"),
        ({"imgs": None}, "expected a key 'imgs'"),
        ({"spacing": None}, "expected a key 'spacing'"),
        ({"spacing": np.float64(1.0)}, r"expected 3 numbers .* found float64 \(\)"),
        ({"spacing": np.array([1.0, 0.0, 1.0])}, "expected positive numbers"),
        ({"spacing": np.array([1.0, np.nan, 1.0])}, "expected positive numbers"),
        ({"spacing": np.array([1e300, 1.0, 1.0])}, "expected positive numbers"),
        ({"gts": reference(np.float32)}, "expected integer labels, found float32"),
        ({"gts": reference(np.int16, -2)}, r"expected labels 0\.\.65535, found -2\.\.0"),
        ({"gts": reference(np.int64, 70_000)}, r"found 0\.\.70000"),
        ({"gts": reference(np.uint8, 0)}, "expected at least one foreground label"),
        ({"gts": reference(np.uint8) + 1}, "expected a background of 0, found 1 as smallest label"),
        ({"gts": reference(np.uint8)[0]}, r"expected shape \(z, y, x\), found \(20, 31\)"),
        ({"gts": reference(np.uint8)[1:]}, "boxes: expected one per label"),
        ({"gts": reference(np.uint8)[1:], "boxes": None}, "expected one shape"),
        ({"boxes": np.zeros((3, 7), int)}, r"expected one per label \(1, 3\), found 3"),
        ({"boxes": np.zeros((2, 6), int)}, "expected 7 integers"),
        ({"imgs": np.full((10, 20, 31), "a")}, "imgs: expected numbers"),
    ],
)
def test_what_the_protocol_cannot_score_is_refused(write_changed, changes, message):
    with pytest.raises(CaseError, match=message) as refusal:
        read_case(write_changed(**changes))
    assert str(refusal.value).startswith("CT_Toy_001.npz: ")


def test_labels_above_255_are_kept_as_they_are(write_changed):
    case = read_case(write_changed(gts=reference(np.int32, 300), boxes=None))
    assert case.labels == (300,)
    assert case.reference.dtype == np.uint16


def test_float32_spacing_is_used_as_it_is_stored(write_changed):
    spacing = read_case(write_changed(spacing=np.array([0.8, 1, 1], np.float32))).image.spacing
    assert spacing[0] == float(np.float32(0.8)) != 0.8
    assert {type(mm) for mm in spacing} == {float}


def test_fortran_order_is_kept(write_changed):
    case = read_case(write_changed(gts=np.asfortranarray(reference(np.uint16)), boxes=None))
    assert case.reference.flags.f_contiguous


def test_labels_are_counted_in_parts():
    label_map = np.zeros((3, 1000, 1000), np.uint8)
    label_map[0, 0, 0], label_map[-1, -1, -1] = 7, 2
    assert foreground_labels(label_map) == (2, 7)


def test_an_empty_folder_and_a_pattern_without_match_are_errors(data, tmp_path):
    with pytest.raises(CaseError, match=r"expected a folder with \.npz cases or an \.npz file"):
        find_cases(tmp_path / "nowhere")
    with pytest.raises(CaseError, match=r"--case US_\*: expected a pattern that one of the 3"):
        select_cases(find_cases(data), patterns=["US_*"])


def test_the_real_scans_are_all_valid(real_cases):
    cases = [read_case(source) for source in find_cases(real_cases)]
    assert len(cases) == 41
    assert sum(len(case.boxes) for case in cases) == 65


def nested(data, tmp_path):
    """Move two of the cases into folders of their own."""
    (data / "one" / "two").mkdir(parents=True)
    (data / "MR_Toy_002.npz").rename(data / "one" / "two" / "MR_Toy_002.npz")
    (data / "PET_Toy_003.npz").rename(data / "one" / "PET_Toy_003.npz")
    return data


def test_cases_in_nested_folders_are_named_by_their_path(data, tmp_path):
    cases = find_cases(nested(data, tmp_path))
    assert [case.name for case in cases] == [
        "CT_Toy_001",
        "one__PET_Toy_003",
        "one__two__MR_Toy_002",
    ]
    assert [case.metadata.modality for case in cases] == ["CT", "PET", "MR"]
    assert read_case(cases[2]).name == "one__two__MR_Toy_002"


def test_the_nearest_index_counts(data, tmp_path):
    nested(data, tmp_path)
    (data / "index.csv").write_text(
        "name,modality,patient\nCT_Toy_001,A,p1\none__PET_Toy_003,B,p2\none__two__MR_Toy_002,C,p3\n"
    )
    (data / "one" / "two" / "index.csv").write_text("name,modality\nMR_Toy_002,D\n")
    found = [(case.metadata.modality, case.metadata.patient) for case in find_cases(data)]
    assert found == [("A", "p1"), ("B", "p2"), ("D", "")]


def test_references_are_at_the_same_places(data, tmp_path):
    cases = find_cases(nested(data, tmp_path), references=tmp_path / "gts")
    assert cases[2].reference_file == tmp_path / "gts" / "one" / "two" / "MR_Toy_002.npz"


def test_two_cases_of_one_name_are_refused_with_both_files(data, tmp_path):
    (data / "a").mkdir()
    for target in (data / "a__CT_Toy_001.npz", data / "a" / "CT_Toy_001.npz"):
        target.write_bytes((data / "CT_Toy_001.npz").read_bytes())
    with pytest.raises(CaseError, match="expected a case name of its own") as refusal:
        find_cases(data)
    assert "a__CT_Toy_001.npz" in str(refusal.value)
    assert "a/CT_Toy_001.npz" in str(refusal.value)


def test_links_that_form_a_circle_run_folders_and_hidden_folders_are_passed_over(data):
    (data / "again").symlink_to(data)
    hidden, run = data / ".hidden", data / "runs" / "x"
    for folder in (hidden, run / "predictions", run / "cases"):
        folder.mkdir(parents=True)
    (run / "run.json").write_text("{}")
    for file in (hidden / "CT_a.npz", run / "predictions" / "CT_a.npz"):
        file.write_bytes(b"")
    assert len(find_cases(data)) == 3


def test_a_folder_behind_a_link_is_searched(data, tmp_path):
    place = tmp_path / "place"
    place.mkdir()
    (place / "linked").symlink_to(data)
    assert [case.name for case in find_cases(place)][0] == "linked__CT_Toy_001"


def test_a_single_file_is_a_case_and_another_file_is_none(data, tmp_path):
    (case,) = find_cases(data / "CT_Toy_001.npz")
    assert case.name == "CT_Toy_001"
    other = tmp_path / "scan.nii.gz"
    other.write_bytes(b"")
    with pytest.raises(CaseError, match=r"scan\.nii\.gz: expected an \.npz case or a folder"):
        find_cases(other)


@pytest.mark.parametrize(
    "changes",
    [
        {"imgs": np.zeros((3, 4, 5), np.uint8)},
        {"imgs": np.zeros((10, 20, 31), complex)},
        {"gts": np.zeros((10, 20, 31), np.uint8)},
        {"spacing": np.array([0.0, 1, 1])},
        {"boxes": None, "gts": np.full((10, 20, 31), 2, np.uint8)},
    ],
    ids=["shape", "dtype", "no label", "spacing", "no background"],
)
def test_a_check_refuses_what_reading_refuses(write_changed, changes):
    source = write_changed(**changes)
    with pytest.raises(CaseError) as read:
        source.read()
    with pytest.raises(CaseError) as checked:
        source.check()
    assert str(checked.value) == str(read.value)


def test_a_check_does_not_read_the_image(write_changed):
    source = write_changed(imgs=None)
    header = io.BytesIO()
    npy.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (10, 20, 31)}
    )
    with zipfile.ZipFile(source.file, "a") as archive:
        archive.writestr("imgs.npy", header.getvalue())  # without its voxels
    source.check()
    with pytest.raises(CaseError, match="imgs: expected .* as in the header"):
        source.read()


def test_the_message_of_a_missing_reference_names_the_option(write_changed):
    with pytest.raises(CaseError, match="in a folder of their own, name it with --references"):
        write_changed(gts=None).read()
