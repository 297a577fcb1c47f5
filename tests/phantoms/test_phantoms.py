import hashlib
from itertools import pairwise

import numpy as np
import pytest

from segbench.data.case_folder import find_cases
from segbench.data.challenge_npz import ChallengeFile
from segbench.data.dataset import read_case
from segbench.errors import CaseError
from segbench.phantoms import KINDS, MIN_VOXELS, annotate, contiguous, make_phantoms, phantom
from segbench.phantoms.scene import Structure, cells, waves
from segbench.protocol.boxes import draw_box

N, SEED = 20, 5


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return make_phantoms(tmp_path_factory.mktemp("phantoms"), cases=N, seed=SEED)


@pytest.fixture(scope="module")
def arrays(files):
    """Each phantom as the plain keys of its file."""
    read = {}
    for file in files:
        with ChallengeFile(file) as stored:
            read[file.stem] = {key: stored.read(key) for key in stored.keys}
    return read


def hashes(files):
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


# ---- the files ---------------------------------------------------------------------------------


def test_names_cycle_over_the_modalities_and_count_each(tmp_path):
    names = [file.name for file in make_phantoms(tmp_path / "new" / "val", cases=7, seed=0)]
    assert names == [
        "CT_Phantom_0001.npz",
        "MR_Phantom_0001.npz",
        "PET_Phantom_0001.npz",
        "US_Phantom_0001.npz",
        "Microscopy_Phantom_0001.npz",
        "CT_Phantom_0002.npz",
        "MR_Phantom_0002.npz",
    ]
    assert sorted(path.name for path in (tmp_path / "new" / "val").iterdir()) == sorted(names)


def test_every_file_holds_the_keys_and_types_of_the_challenge(arrays):
    assert len(arrays) == N
    for case in arrays.values():
        assert set(case) - {"boxes"} == {"imgs", "gts", "spacing"}
        assert case["imgs"].dtype == case["gts"].dtype == np.uint8
        assert case["imgs"].shape == case["gts"].shape
        assert case["spacing"].dtype == np.float64
        assert case["spacing"].shape == (3,)
        assert (case["spacing"] > 0).all()


def test_every_phantom_is_a_valid_case_of_its_modality(files):
    cases = [read_case(found) for found in find_cases(files[0].parent)]
    assert {case.name: case.modality for case in cases} == {
        file.stem: file.stem.split("_")[0] for file in files
    }
    assert all(len(case.boxes) in (0, len(case.labels)) for case in cases)


def test_labels_are_contiguous_and_large_enough_for_many_seeds(arrays):
    maps = [case["gts"] for case in arrays.values()]
    for seed in range(4):
        for modality in KINDS:
            rng = np.random.default_rng(seed)
            without = modality in ("CT", "MR") and seed % 2 == 0
            maps.append(phantom(modality, rng, name="x", with_boxes=not without).reference)
    for labels in maps:
        sizes = np.bincount(labels.ravel())
        assert 2 <= len(sizes) <= 6
        assert sizes.min() >= MIN_VOXELS
        assert sizes[0] > labels.size / 5


def test_images_use_the_whole_grey_scale(arrays):
    for name, case in arrays.items():
        assert case["imgs"].max() > 200, name
        assert case["imgs"].min() < 20, name
        assert case["imgs"].std() > 10, name


def test_labels_differ_from_their_surround_in_the_image(arrays):
    """Most labels have another mean grey value than their surround, so a model can find them."""
    contrasts = []
    for case in arrays.values():
        for label in np.unique(case["gts"])[1:]:
            mask = case["gts"] == label
            region = tuple(slice(max(i.min() - 3, 0), i.max() + 4) for i in np.nonzero(mask))
            inside = case["imgs"][region][mask[region]]
            outside = case["imgs"][region][~mask[region]]
            contrasts.append(abs(inside.mean() - outside.mean()))
    assert np.median(contrasts) > 12
    assert min(contrasts) < 0.5 * np.median(contrasts)  # and some contrasts are low


def test_only_ct_and_mr_have_phantoms_without_boxes_and_both_have_phantoms_with_boxes(arrays):
    boxless = {name for name, case in arrays.items() if "boxes" not in case}
    assert {name.split("_")[0] for name in boxless} == {"CT", "MR"}
    for modality in ("CT", "MR"):
        assert 0 < sum(name.startswith(f"{modality}_") for name in boxless) < N // 5


def test_shapes_and_spacings_vary_and_are_neither_cubic_nor_isotropic(arrays):
    shapes = {case["imgs"].shape for case in arrays.values()}
    assert len(shapes) > N * 0.9
    assert all(24 <= z <= 72 and 64 <= y <= 128 and 64 <= x <= 128 for z, y, x in shapes)
    assert all(z != x for z, _, x in shapes)
    spacings = {name: tuple(case["spacing"]) for name, case in arrays.items()}
    assert len(set(spacings.values())) > N / 2
    for name, (z, y, x) in spacings.items():
        assert y == x
        assert z > 1.5 * x or not name.startswith(("CT", "MR"))
        assert x == 1 or not name.startswith("Microscopy")


def test_numbers_of_labels_vary(arrays):
    counts = {int(case["gts"].max()) for case in arrays.values()}
    assert len(counts) >= 3


# ---- boxes -------------------------------------------------------------------------------------


def slacks_that_explain(box, mask):
    """Return every slack of the challenge's rule, reimplemented here, that gives this box."""
    slices = sorted(set(np.nonzero(mask)[0].tolist()))
    assert (box["z_min"], box["z_max"]) == (slices[0], slices[-1])
    assert box["z_mid"] == slices[len(slices) // 2]
    rows, columns = np.nonzero(mask[box["z_mid"]])
    height, width = mask.shape[1:]
    found = (box["z_mid_x_min"], box["z_mid_x_max"], box["z_mid_y_min"], box["z_mid_y_max"])
    return [
        r
        for r in range(6)
        if found
        == (
            max(0, columns.min() - int(r * width / 256)),
            min(width - 1, columns.max() + int(r * width / 256)),
            max(0, rows.min() - int(r * height / 256)),
            min(height - 1, rows.max() + int(r * height / 256)),
        )
    ]


def test_boxes_follow_the_rule_of_the_challenge(arrays):
    boxed = [case for case in arrays.values() if "boxes" in case]
    assert len(boxed) >= N // 2
    for case in boxed:
        assert len(case["boxes"]) == case["gts"].max()
        for label, box in enumerate(case["boxes"], 1):
            assert slacks_that_explain(box, case["gts"] == label)


def test_a_box_is_drawn_on_the_middle_slice_of_the_mask():
    mask = np.zeros((9, 20, 40), bool)
    mask[1, 2:5, 3:30] = True
    mask[4, 8:12, 10:15] = True  # the mask has slices 1, 4 and 7: 4 is the middle one
    mask[7, 0:20, 0:40] = True
    box = draw_box(mask, 3, np.random.default_rng(0))
    assert (box.label, box.mid_slice) == (3, 4)
    assert (box.low, box.high) == ((1, 8, 10), (8, 12, 15))  # too small a slice for any slack


def test_an_even_number_of_slices_has_its_later_middle_one():
    mask = np.zeros((6, 9, 9), bool)
    mask[2:4, 4, 4] = True
    assert draw_box(mask, 1, np.random.default_rng(0)).mid_slice == 3


def test_slack_takes_all_values_of_the_rule_and_is_clipped_to_the_image():
    mask = np.zeros((3, 256, 512), bool)
    mask[1, 100:110, 2:510] = True
    rng = np.random.default_rng(1)
    boxes = [draw_box(mask, 1, rng) for _ in range(200)]
    assert {100 - box.low[1] for box in boxes} == {0, 1, 2, 3, 4, 5}
    assert {(2 - box.low[2], box.high[2] - 510) for box in boxes} == {(0, 0), (2, 2)}
    assert all(box.high[1] - 110 == 100 - box.low[1] for box in boxes)


# ---- repeatability -----------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bytes(files, tmp_path):
    assert hashes(make_phantoms(tmp_path, cases=N, seed=SEED)) == hashes(files)


def test_fewer_cases_are_the_first_of_more(files, tmp_path):
    few = hashes(make_phantoms(tmp_path, cases=4, seed=SEED))
    assert few.items() <= hashes(files).items()


def test_another_seed_gives_other_phantoms(files, tmp_path):
    other = hashes(make_phantoms(tmp_path, cases=5, seed=SEED + 1))
    assert all(hashes(files)[name] != value for name, value in other.items())


def test_the_same_phantoms_and_more_may_be_written_into_their_folder(tmp_path):
    before = hashes(make_phantoms(tmp_path, cases=3, seed=1))
    after = hashes(make_phantoms(tmp_path, cases=4, seed=1))
    assert before.items() <= after.items()
    assert len(after) == 4


# ---- refused -----------------------------------------------------------------------------------


def test_less_than_one_phantom_is_refused(tmp_path):
    with pytest.raises(CaseError, match=r"expected a number of phantoms of at least 1, found 0"):
        make_phantoms(tmp_path / "val", cases=0, seed=0)
    assert not (tmp_path / "val").exists()


def test_a_negative_seed_is_refused(tmp_path):
    with pytest.raises(CaseError, match=r"expected a seed of at least 0, found -3"):
        make_phantoms(tmp_path, cases=1, seed=-3)


def test_a_folder_with_other_cases_is_refused_and_not_changed(tmp_path):
    (tmp_path / "CT_liver.npz").write_bytes(b"a scan")
    with pytest.raises(
        CaseError, match=r"without other cases.*found CT_liver\.npz \(1 such file\)"
    ):
        make_phantoms(tmp_path, cases=2, seed=0)
    assert [path.name for path in tmp_path.iterdir()] == ["CT_liver.npz"]


def test_fewer_phantoms_than_the_folder_holds_are_refused(tmp_path):
    make_phantoms(tmp_path, cases=4, seed=0)
    with pytest.raises(CaseError, match=r"found PET_Phantom_0001\.npz \(2 such files\)"):
        make_phantoms(tmp_path, cases=2, seed=0)


def test_phantoms_of_another_seed_are_not_replaced(tmp_path):
    before = hashes(make_phantoms(tmp_path, cases=2, seed=0))
    with pytest.raises(CaseError, match=r"CT_Phantom_0001\.npz: expected the phantom of seed 1"):
        make_phantoms(tmp_path, cases=3, seed=1)
    assert hashes(tmp_path.iterdir()) == before


# ---- labels and shapes -------------------------------------------------------------------------


def test_labels_are_renumbered_in_order_without_the_small_ones():
    labels = np.zeros((4, 10, 20), np.uint8)
    labels[0, :3, :] = 7  # 60 voxels: the minimum
    labels[1, 0, :] = 3  # 20: too few
    labels[2] = 5
    result = contiguous(labels)
    assert (result[labels == 7] == 2).all()
    assert (result[labels == 5] == 1).all()
    assert not result[labels == 3].any()


def test_a_structure_removes_the_labels_of_those_below_it():
    organ, bone = np.zeros((2, 5, 20, 20), bool)
    organ[:, 2:18, 2:18] = True
    bone[:, 10:15, 10:15] = True
    structures = (Structure(organ, 1), Structure(bone, 3, target=False))
    labels = annotate(structures, np.random.default_rng(0), n_labels=3)
    assert np.array_equal(labels == 1, organ & ~bone)


def test_waves_have_mean_square_one_and_are_smooth():
    values = [waves((20, 30, 40), np.random.default_rng(s), cycles=3) for s in range(20)]
    assert np.mean(np.square(values)) == pytest.approx(1, abs=0.15)
    assert all(np.abs(np.diff(v, axis=axis)).max() < 3 for v in values for axis in range(3))


def test_cells_touch_and_do_not_overlap():
    found = cells((30, 60, 60), np.random.default_rng(0))
    assert sum(cell.target for cell in found) == 8
    assert np.max(np.sum([cell.mask for cell in found], axis=0)) == 1
    owner = sum(number * cell.mask for number, cell in enumerate(found, 1))
    beside = owner[..., 1:], owner[..., :-1]
    assert np.any((beside[0] != beside[1]) & (beside[0] > 0) & (beside[1] > 0))


def test_the_middle_slice_is_not_dark_in_any_modality(arrays):
    for name, case in arrays.items():
        middle = case["imgs"][len(case["imgs"]) // 2]
        quarters = [
            middle[:, a:b].mean()
            for a, b in pairwise(np.linspace(0, middle.shape[1], 5).astype(int))
        ]
        assert min(quarters[1:3]) > 3, name
