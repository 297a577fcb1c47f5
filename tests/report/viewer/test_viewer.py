"""What the page's cases are made of: windows, slices, codes, amounts of data, and the list."""

import base64
import gzip
import json

import numpy as np
import pandas as pd
import pytest

import segbench
from segbench.core import Box, Click
from segbench.errors import RunError
from segbench.report.viewer import ViewerOptions, plan_of, write_viewer
from segbench.report.viewer.documents import gallery_pages
from segbench.report.viewer.encoding import changes, eight_bits, encoded
from segbench.report.viewer.plan import BYTES_PER_VOXEL, interesting
from segbench.report.viewer.thumbnail import picture_size
from segbench.report.viewer.window import (
    Extent,
    extent_of,
    middle_of,
    slices_through,
    window_around,
)
from tests.report.viewer.conftest import HOSTILE, NAMES


def test_an_array_is_the_same_text_every_time():
    array = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)
    stored = encoded(array)
    assert stored == encoded(np.asfortranarray(array))
    assert (stored["shape"], stored["bytes"]) == ([2, 3, 4], 2)
    raw = gzip.decompress(base64.b64decode(stored["data"]))
    np.testing.assert_array_equal(np.frombuffer(raw, "<u2").reshape(2, 3, 4), array)


def test_changes_give_the_label_maps_back():
    rng = np.random.default_rng(0)
    label_maps = [rng.integers(0, 4, (3, 4, 5)).astype(np.uint8) for _ in range(4)]
    stored = list(changes(label_maps))
    found = np.zeros_like(label_maps[0])
    for change, expected in zip(stored, label_maps, strict=True):
        found ^= change
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("voxels", "expected", "scale"),
    [
        (np.array([0, 7, 255], np.uint8), [0, 7, 255], (0, 255)),
        (np.array([0.0, 7.0, 250.0], np.float32), [0, 7, 250], (0, 255)),
        (np.array([-1000, 0, 1000], np.int16), [0, 128, 255], (-1000, 1000)),
        (np.array([0.0, 0.5, np.nan, np.inf]), [0, 255, 0, 255], (0, 0.5)),
        (np.array([3, 3], np.int16), [3, 3], (0, 255)),
        (np.array([-5.0, -5.0]), [0, 0], (-5, -5)),
    ],
)
def test_an_image_is_shown_in_eight_bits(voxels, expected, scale):
    found, range_ = eight_bits(voxels)
    assert found.dtype == np.uint8
    assert found.tolist() == expected
    assert range_ == scale


def test_the_window_has_all_there_is_to_see():
    mask = np.zeros((40, 50, 60), np.uint8)
    mask[20, 25:27, 30] = 1
    assert extent_of(mask) == Extent((20, 25, 30), (21, 27, 31))
    assert extent_of(mask * 0) is None
    prompts = (Click(1, (5, 26, 31), positive=True), Box(1, (19, 20, 29), (22, 49, 31), 20))
    window = window_around([extent_of(mask), None], prompts, mask.shape)
    assert window == Extent((0, 10, 19), (32, 50, 42))
    assert window_around([None], (), mask.shape) == Extent((0, 0, 0), mask.shape)


def test_slices_go_through_every_click():
    kept = slices_through([(3, 4, 5), (3, 1, 9)])
    assert kept.axes == ((3,), (1, 4), (5, 9))
    assert kept.n_voxels(Extent((0, 0, 0), (10, 20, 30))) == 20 * 30 + 2 * 10 * 30 + 2 * 10 * 20


def test_the_middle_is_where_most_of_a_mask_is():
    mask = np.zeros((5, 6, 7), bool)
    mask[1, 1, 1] = mask[3, 2:5, 2:5] = True
    assert middle_of(mask) == (3, 2, 2)
    assert middle_of(mask & False) == (2, 3, 3)


def test_a_picture_has_square_pixels():
    assert picture_size((10, 20), (4.0, 1.0)) == (90, 180)


def frame(rows):
    columns = ["method", "case", "modality", "dsc_final", "status", "scored"]
    return pd.DataFrame(rows, columns=columns)


def test_cases_of_interest_are_the_extremes_the_failed_and_the_disputed():
    rows = [("a", f"CT_{i:02}", "CT", i / 20, "ok", True) for i in range(20)]
    rows += [("b", f"CT_{i:02}", "CT", i / 20, "ok", True) for i in range(20)]
    rows[30] = ("b", "CT_10", "CT", 0.95, "ok", True)
    rows[27] = ("b", "CT_07", "CT", np.nan, "failed", False)
    found = interesting(frame(rows))
    assert {"CT_00", "CT_01", "CT_18", "CT_19"} <= set(found)
    assert found.index("CT_10") < found.index("CT_07")
    assert "CT_12" not in found


def test_data_above_the_limit_are_left_out_by_name(runs):
    results = segbench.load(runs)
    everything = plan_of(results, ViewerOptions(choice="all"))
    assert [case.amount for case in everything.cases] == ["volume"] * len(NAMES)
    assert everything.notes == ()
    voxels = 10 * 20 * 31
    assert everything.estimate == pytest.approx(len(NAMES) * BYTES_PER_VOXEL * voxels, rel=0.2)
    limit = int(everything.cases[0].estimate * 1.5)
    less = plan_of(results, ViewerOptions(choice="all", limit=limit))
    amounts = [case.amount for case in less.cases]
    assert sorted(map(str, amounts)) == ["None", "None", "slices", "volume"]
    assert less.estimate <= limit
    assert [note.partition(",")[0] for note in less.notes] == ["slices only", "scores only"]
    nothing = plan_of(results, ViewerOptions(choice="none"))
    assert {case.amount for case in nothing.cases} == {None}


def test_data_that_are_gone_cost_pictures_but_no_scores(runs, tmp_path):
    results = segbench.load(runs)
    names, notes = write_viewer(results, tmp_path, ViewerOptions(data=tmp_path / "none"))
    assert "cases.html" in names
    assert len(notes) == 2
    assert all("name their folder with --data" in note for note in notes)
    assert not any(str(tmp_path) in file.read_text() for file in tmp_path.glob("*.*"))
    listed = listed_in(tmp_path)
    assert [case["amount"] for case in listed["cases"]] == ["none"] * len(NAMES)
    assert listed["cases"][0]["scores"][0] is not None


def listed_in(folder):
    return json.loads((folder / "cases.js").read_text().split(" = ", 1)[1].rstrip(";\n"))


def test_a_page_is_the_same_every_time_and_with_several_jobs(runs, page, tmp_path):
    names, _ = write_viewer(segbench.load(runs), tmp_path, ViewerOptions(choice="all", jobs=2))
    for name in names:
        assert (tmp_path / name).read_bytes() == (page / name).read_bytes(), name


def test_a_page_has_no_path_of_the_machine(page, runs):
    for file in page.rglob("*"):
        if file.is_file():
            assert str(runs.parent).encode() not in file.read_bytes(), file


def test_a_damaged_prediction_costs_the_pictures_of_its_case(runs, tmp_path):
    import shutil

    copy = tmp_path / "runs"
    shutil.copytree(runs, copy)
    file = copy / "boxfill" / "predictions" / "CT_Toy_001.npz"
    file.write_bytes(file.read_bytes()[:200])
    out = tmp_path / "page"
    out.mkdir()
    write_viewer(segbench.load(copy / "boxfill"), out, ViewerOptions())
    listed = {case["name"]: case for case in listed_in(out)["cases"]}
    assert listed["CT_Toy_001"]["amount"] == "none"
    assert listed["CT_Toy_001"]["why"]
    assert listed["MR_Toy_002"]["amount"] != "none"


def test_the_gallery_has_fifty_cases_a_page_and_no_markup_of_strangers():
    cases = [
        {
            "id": i,
            "name": f"{HOSTILE}{i}",
            "modality": "<CT>",
            "boxes": True,
            "scores": [[1, 1, 0.5, 1]],
            "failed": [],
            "amount": "slices",
        }
        for i in range(120)
    ]
    pages = gallery_pages({"cases": cases, "methods": ["<b>"]}, ["<i>note</i>"])
    assert list(pages) == ["cases.html", "cases-2.html", "cases-3.html"]
    assert [text.count("<article") for text in pages.values()] == [50, 50, 20]
    for text in pages.values():
        assert "onerror=alert(1)>" not in text
        assert "<i>note" not in text
        assert "<b></span>" not in text


def test_an_unknown_amount_is_refused():
    with pytest.raises(RunError, match="viewer: expected one of selected, all, none, found 'some'"):
        ViewerOptions(choice="some")
