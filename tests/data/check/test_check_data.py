"""Planted faults are found, each by its code; in clean cases nothing is found."""

import random
import re

import numpy as np
import pytest
from scipy import ndimage

import segbench
from segbench.data.case_folder import find_cases
from segbench.data.challenge_npz import ChallengeFile
from segbench.data.check import check_data as module
from segbench.data.check.case import check_case
from segbench.data.check.check_data import check, check_data
from segbench.data.check.codes import CODES
from segbench.data.dataset import CaseFile, read_case
from segbench.errors import CaseError
from segbench.phantoms import make_phantoms
from segbench.protocol.mask_pairs import label_rois
from tests.data.check.planted import (
    FAULTS,
    SHAPE,
    SPACING,
    changed,
    clean,
    grid_arrays,
    pickled,
    several,
    write,
)

# a fault in one part may be one in another, too
ALSO = {
    "size-implausible": {"nsd-saturated"},
}
OF_TWO_FOLDERS = {"case-in-both", "patient-in-both", "against-unreadable", "patient-unknown"}


def codes(findings):
    return {finding.code for finding in findings}


@pytest.mark.parametrize("code", FAULTS)
def test_a_planted_fault_is_found_by_its_code_and_nothing_else_is(tmp_path, code):
    FAULTS[code](tmp_path / "val")
    found = check(tmp_path / "val")
    assert {code} <= codes(found) <= {code} | ALSO.get(code, set())
    for finding in found:
        assert re.fullmatch(r".+: .+; .+", finding.message, re.S), finding.message
        assert finding.case
        assert finding.level == CODES[finding.code].level


def test_a_fault_is_planted_for_every_code():
    assert set(FAULTS) | OF_TWO_FOLDERS | {"check-died"} == set(CODES)


def test_nothing_is_found_in_clean_cases(tmp_path):
    several(*(lambda seed=seed: clean(seed) for seed in range(4)))(tmp_path / "val")
    assert check(tmp_path / "val") == ()
    write(tmp_path / "val", "CT_Toy_001", clean() | grid_arrays())
    assert check(tmp_path / "val") == ()


@pytest.mark.parametrize(
    "seed", [*range(2), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 6))]
)
def test_nothing_wrong_is_found_in_phantoms_and_every_note_is_true(tmp_path, seed):
    files = make_phantoms(tmp_path / "val", cases=10, seed=seed)
    references = {file.stem: read_case(CaseFile(file)).reference for file in files}
    for finding in check(tmp_path / "val"):
        reference = references[finding.case]
        if finding.code == "label-at-border":
            inner = reference[1:-1, 1:-1, 1:-1]
            for label in finding.numbers["faces"]:
                assert np.count_nonzero(reference == label) > np.count_nonzero(inner == label)
        elif finding.code == "nsd-saturated":
            for label in finding.numbers["labels"]:
                filled = np.zeros_like(reference)
                filled[label_rois(reference)[label]] = 1
                mask = (reference == label).astype(np.uint8)
                (score,) = segbench.score(filled, mask, finding.numbers["spacing"])
                assert score.nsd >= 0.9
                assert score.dsc <= 0.9
        else:
            assert finding.code == "label-fragmented"
            for label, (n, largest, size) in finding.numbers["components"].items():
                _, found = ndimage.label(reference == label, np.ones((3, 3, 3)))
                assert (n, size) == (found, np.count_nonzero(reference == label))
                assert n > 10 or largest < 0.8 * size


# ---- what a run refuses ------------------------------------------------------------------------


def is_refused(source):
    try:
        read_case(source)
    except CaseError:
        return True
    return False


def has_error(source):
    return any(finding.level == "error" for finding in check_case(source).findings)


@pytest.mark.parametrize("code", sorted(set(FAULTS) - {"data-refused"}))
def test_there_is_an_error_exactly_where_a_run_refuses(tmp_path, code):
    FAULTS[code](tmp_path / "val")
    for source in find_cases(tmp_path / "val"):
        assert has_error(source) == is_refused(source)


def test_damaged_files_have_an_error_exactly_where_a_run_refuses(tmp_path):
    whole = write(tmp_path / "val", "CT_Toy_001", clean()).read_bytes()
    rng, n_refused = random.Random(0), 0
    for _ in range(200):
        damaged = bytearray(whole)
        for _ in range(rng.randrange(1, 6)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        if rng.random() < 0.3:
            del damaged[rng.randrange(len(damaged)) :]
        file = tmp_path / "val" / "CT_Toy_001.npz"
        file.write_bytes(damaged)
        source = CaseFile(file)
        assert has_error(source) == is_refused(source)
        n_refused += is_refused(source)
    assert n_refused > 100


@pytest.mark.parametrize(
    "changes",
    [
        {"gts": None},
        {"imgs": None},
        {"spacing": None},
        {"gts": np.zeros(SHAPE, np.uint8)},
        {"gts": np.ones(SHAPE, np.uint8)},
        {"gts": np.zeros((0, 4, 4), np.uint8), "boxes": None},
        {"gts": np.array(1)},
        {"imgs": np.zeros(SHAPE, complex)},
        {"imgs": np.zeros((0, 3, 3)), "gts": None},
        {"imgs": np.array(["text"])},
        {"spacing": np.array([1.0, np.inf, 1.0])},
        {"boxes": np.array(3)},
        {"boxes": np.full((2, 7), 2**62)},
        {"grid_json": np.zeros(3)},
        {"grid_axes": np.array("XYZ"), **{k: v for k, v in grid_arrays().items() if "x" not in k}},
    ],
)
def test_odd_arrays_are_findings_and_never_a_traceback(tmp_path, changes):
    changed(**changes)(tmp_path / "val")
    (source,) = find_cases(tmp_path / "val")
    assert has_error(source) == is_refused(source)
    assert check_case(source).findings


@pytest.mark.parametrize(
    "image",
    [
        np.full(SHAPE, 1e308) * np.random.default_rng(0).choice([-1, 1, np.nan], SHAPE),
        np.full(SHAPE, np.inf),
        np.full(SHAPE, np.nan),
        np.full(SHAPE, 6e4, np.float16),
        np.full(SHAPE, 2**64 - 1, np.uint64),
        np.zeros(SHAPE, bool),
    ],
)
def test_extreme_images_are_findings_without_a_warning_of_numpy(tmp_path, image):
    changed(imgs=image)(tmp_path / "val")
    found = check(tmp_path / "val")
    assert found
    assert {finding.level for finding in found} == {"warning"}


def test_an_index_that_cannot_be_read_hides_no_case(tmp_path):
    FAULTS["box-order"](tmp_path / "val")
    (tmp_path / "val" / "index.csv").write_text("case,modality\nCT_Toy_001,CT\n")
    found = check(tmp_path / "val")
    assert [f.code for f in found] == ["data-refused", "box-order"]
    assert "expected a column 'name'" in found[0].message


def test_every_refused_part_of_a_case_is_a_finding(tmp_path):
    changed(
        gts=lambda a: a["gts"].astype(float), spacing=np.zeros(3), imgs=np.array("no"), grid_json=1
    )(tmp_path / "val")
    assert {"reference-invalid", "spacing-invalid", "image-invalid", "grid-invalid"} <= codes(
        check(tmp_path / "val")
    )


def test_a_broken_case_hides_no_other(tmp_path):
    several(clean, lambda: clean(1) | {"boxes": clean(1)["boxes"][::-1]})(tmp_path / "val")
    (tmp_path / "val" / "CT_Toy_001.npz").write_bytes(b"nothing")
    found = check(tmp_path / "val")
    assert [(f.code, f.case) for f in found] == [
        ("file-unreadable", "CT_Toy_001"),
        ("box-order", "CT_Toy_002"),
    ]


def test_references_of_their_own_are_read_and_a_pickle_in_them_is_refused(tmp_path):
    arrays = clean()
    write(tmp_path / "imgs", "CT_Toy_001", arrays | {"gts": None})
    assert "reference-invalid" in codes(check(tmp_path / "imgs"))
    write(tmp_path / "gts", "CT_Toy_001", {"gts": arrays["gts"]})
    assert check(tmp_path / "imgs", references=tmp_path / "gts") == ()
    write(tmp_path / "gts", "CT_Toy_001", {"gts": pickled()})
    found = check(tmp_path / "imgs", references=tmp_path / "gts")
    assert codes(found) == {"pickle-refused"}


# ---- cases together ----------------------------------------------------------------------------


def test_a_spacing_that_is_reversed_in_one_case_of_a_dataset_is_found(tmp_path):
    # sides of 26, 30 and 34 say too little alone
    crop = (slice(0, 26), slice(5, 35), slice(6, 40))
    arrays = [clean(seed, labels=(1,)) | {"boxes": None} for seed in range(5)]
    arrays = [{**a, "imgs": a["imgs"][crop], "gts": a["gts"][crop]} for a in arrays]
    arrays[2]["spacing"] = np.array(SPACING[::-1])
    for number, each in enumerate(arrays):
        write(tmp_path / "val", f"MR_Toy_{number}", each)
    assert [(f.code, f.case) for f in check(tmp_path / "val")] == [("spacing-order", "MR_Toy_2")]
    (tmp_path / "alone").mkdir()
    (tmp_path / "val" / "MR_Toy_2.npz").rename(tmp_path / "alone" / "MR_Toy_2.npz")
    assert check(tmp_path / "alone") == ()


def test_slices_along_x_are_usual_in_mr_and_not_in_ct(tmp_path):
    for name in ("CT_Toy_001", "MR_Toy_001"):
        arrays = clean(labels=(1,))
        image, reference = arrays["imgs"].T, arrays["gts"].T
        spacing = np.array(SPACING[::-1])
        changes = {"imgs": image, "gts": reference, "spacing": spacing, "boxes": None}
        write(tmp_path / "val", name, changes)
    found = [f for f in check(tmp_path / "val") if f.code.endswith("order")]
    assert [(f.code, f.case) for f in found] == [("array-order", "CT_Toy_001")]


def test_images_and_patients_in_two_folders_are_found(tmp_path):
    several(clean, lambda: clean(1), lambda: clean(2))(tmp_path / "val")
    several(clean, lambda: clean(7))(tmp_path / "train")
    (tmp_path / "val" / "index.csv").write_text("name,patient\nCT_Toy_001,a\nCT_Toy_002,b\n")
    (tmp_path / "train" / "index.csv").write_text("name,patient\nCT_Toy_001,a\nCT_Toy_002,b\n")
    found = check(tmp_path / "val", against=tmp_path / "train")
    assert [(f.code, f.case) for f in found] == [
        ("case-in-both", "CT_Toy_001"),
        ("patient-in-both", "CT_Toy_001"),
        ("patient-in-both", "CT_Toy_002"),
        ("patient-unknown", "val"),
    ]
    assert found[-1].numbers["cases"] == ["CT_Toy_003"]
    by_pattern = check(tmp_path / "val", against=tmp_path / "train", patient_pattern=r"_(\d+)$")
    assert codes(by_pattern) == {"case-in-both", "patient-in-both"}


def test_equal_numbers_of_two_data_sets_are_two_patients(tmp_path):
    for folder, name, seed in (("val", "CT_Toy_001", 0), ("train", "CT_Other_001", 7)):
        write(tmp_path / folder, name, clean(seed))
    found = check(tmp_path / "val", against=tmp_path / "train", patient_pattern=r"_(\d+)$")
    assert found == ()


def test_each_of_two_folders_has_its_own_note_on_unknown_patients(tmp_path):
    several(clean, lambda: clean(1))(tmp_path / "val")
    several(lambda: clean(7), lambda: clean(8), lambda: clean(9))(tmp_path / "train")
    (tmp_path / "val" / "index.csv").write_text("name,patient\nCT_Toy_001,a\n")
    found = check(tmp_path / "val", against=tmp_path / "train")
    assert [(f.code, f.case, len(f.numbers["cases"])) for f in found] == [
        *(("patient-unknown", "train", 3), ("patient-unknown", "val", 1))
    ]
    assert "found none of 1 of 2" in found[1].message


def test_a_case_of_the_other_folder_that_cannot_be_read_is_named(tmp_path):
    several(clean)(tmp_path / "val")
    several(lambda: clean(7), lambda: clean(8))(tmp_path / "train")
    (tmp_path / "train" / "CT_Toy_002.npz").write_bytes(b"nothing")
    found = check(tmp_path / "val", against=tmp_path / "train", patient_pattern="(?!)x|_0*")
    assert [(f.code, f.case) for f in found if f.code == "against-unreadable"] == [
        ("against-unreadable", "CT_Toy_002")
    ]


def test_labels_without_a_fixed_meaning_are_not_compared(tmp_path):
    sets = [(1,), (1, 2), (1,), (1, 2)]
    several(*(lambda n=n: clean(n, sets[n]) for n in range(4)))(tmp_path / "val")
    assert check(tmp_path / "val") == ()


# ---- the call ----------------------------------------------------------------------------------


def test_several_jobs_find_the_same(tmp_path):
    several(clean, clean, lambda: clean(1) | {"boxes": clean(1)["boxes"][::-1]})(tmp_path / "val")
    one, two = check_data(tmp_path / "val"), check_data(tmp_path / "val", jobs=2)
    assert one == two
    assert codes(one.findings) == {"duplicate-case", "box-order"}


def test_a_process_that_dies_is_a_finding_on_its_case(tmp_path, monkeypatch):
    several(clean, lambda: clean(1))(tmp_path / "val")

    def each(function, items, jobs):
        for item in items:
            yield item, None if item.name == "CT_Toy_001" else function(item)

    monkeypatch.setattr(module, "each", each)
    assert [(f.code, f.case) for f in check(tmp_path / "val")] == [("check-died", "CT_Toy_001")]


def test_progress_counts_the_cases_of_both_folders(tmp_path):
    several(clean, lambda: clean(1))(tmp_path / "val")
    several(lambda: clean(7))(tmp_path / "train")
    told = []
    check_data(
        tmp_path / "val", against=tmp_path / "train", on_case=lambda *each: told.append(each)
    )
    assert told == [("CT_Toy_001", 1, 3), ("CT_Toy_002", 2, 3), ("CT_Toy_001", 3, 3)]


def test_it_is_called_from_python_and_codes_can_be_left_out(tmp_path):
    several(clean, clean)(tmp_path / "val")
    (found,) = segbench.check(tmp_path / "val")
    assert found.message == (
        "CT_Toy_002: imgs: expected an image of its own, found that of CT_Toy_001; keep one of them"
    )
    assert segbench.check(str(tmp_path / "val"), ignore=["duplicate-case"]) == ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"jobs": 0}, "jobs: expected a number of at least 1, found 0"),
        ({"ignore": ["typo"]}, "expected codes of docs/check.md, found typo"),
        ({"patient_pattern": "("}, "expected a regular expression"),
    ],
)
def test_a_wrong_argument_is_refused(tmp_path, options, message):
    several(clean)(tmp_path / "val")
    with pytest.raises(CaseError, match=message):
        check(tmp_path / "val", **options)
    with pytest.raises(TypeError, match="jobs"):
        check(tmp_path / "val", workers=2)


def test_a_folder_without_cases_is_refused(tmp_path):
    with pytest.raises(CaseError, match="with .npz cases, found none"):
        check(tmp_path)


# ---- real scans --------------------------------------------------------------------------------


def test_what_is_found_in_real_scans_is_known(real_cases):
    found = check_data(real_cases, ignore=["label-at-border"]).findings
    assert [(f.code, f.case) for f in found] == [
        ("nsd-saturated", "Microscopy_StarDist_img3d"),
        *(("label-fragmented", f"MR_OpenMS_patient19_{kind}") for kind in ("FLAIR", "T1", "T2")),
    ]


def test_reversed_spacings_of_real_scans_are_found(real_cases, tmp_path):
    names = ["CT_STS_004", "CT_STS_005", "MR_STS_T1_033", "PET_STS_005", "MR_SCT_T2s_errsm30"]
    for name in names:
        with ChallengeFile(real_cases / f"{name}.npz") as file:
            arrays = {key: file.read(key) for key in ("imgs", "gts", "spacing")}
        write(tmp_path / "val", name, arrays | {"spacing": arrays["spacing"][::-1]})
    found = {f.case for f in check(tmp_path / "val") if f.code == "spacing-order"}
    assert found == set(names)
