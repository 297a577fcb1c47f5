"""Pictures of cases: which cases, which slices, where everything is, and what is missing."""

import re
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

import segbench
from segbench.cli import cli
from segbench.core import Box, Case, Click, Image
from segbench.phantoms import make_phantoms
from segbench.report import best_and_worst, case_pictures, load
from segbench.report.figures.case_views import largest_area, three_planes
from segbench.report.figures.click_numbers import MARK_POINTS, group_numbers, place_numbers
from segbench.report.figures.style import file_contents, styled
from segbench.runs.job import close_models
from segbench.runs.run_folder import prediction_file
from tests.report.figure_checks import problems
from tests.report.small_runs import FLAT, RISING, case

# ---- which cases ---------------------------------------------------------------------------------


def test_the_best_and_the_worst_case_by_final_dsc(run):
    falling = tuple(reversed(RISING))
    cases = [case("CT_1", FLAT), case("CT_2", RISING), case("CT_3", falling), case("MR_1")]
    frame = best_and_worst(load(run("a", cases)))
    rows = frame[["modality", "role", "case", "dsc_final", "n_cases"]].to_numpy().tolist()
    assert rows == [
        ["CT", "best", "CT_2", 0.8, 3],
        ["CT", "worst", "CT_3", 0.2, 3],
        ["MR", "best and worst", "MR_1", 0.5, 1],
    ]


def test_of_equal_cases_the_first_by_name(run):
    frame = best_and_worst(load(run("a", [case("CT_2"), case("CT_1"), case("CT_3", RISING)])))
    assert frame["case"].tolist() == ["CT_3", "CT_1"]


# ---- slices --------------------------------------------------------------------------------------


def scene():
    """A block of 3 x 4 x 5 voxels with a larger slice at z 5; spacing (3, 1, 2)."""
    reference = np.zeros((10, 20, 31), np.uint8)
    reference[4:7, 8:12, 20:25] = 2
    reference[5, 7:13, 19:26] = 2
    reference[0, 0, 0] = 1
    image = np.arange(reference.size, dtype=np.float32).reshape(reference.shape)
    return Case("CT_1", Image(image, (3.0, 1.0, 2.0)), reference, (), (1, 2))


BOX = Box(2, (4, 7, 19), (7, 13, 26), 5)
CLICKS = [(1, Click(2, (5, 8, 20), True)), (3, Click(2, (6, 9, 22), False))]


def planes(prediction=None, **prompts):
    shown = scene()
    prediction = shown.reference if prediction is None else prediction
    given = {"box": BOX, "clicks": CLICKS} | prompts
    return three_planes(shown, prediction, 2, **given)


def test_the_planes_go_through_the_largest_area_of_the_label():
    assert [(plane.axis, plane.index) for plane in planes()] == [(0, 5), (1, 10), (2, 22)]
    assert largest_area(scene().reference == 1, 0) == 0


def test_a_plane_has_the_voxels_of_its_window():
    whole, shown = scene(), planes()[0]
    left, right, first, last = shown.extent
    columns = slice(round(left / 2 + 0.5), round(right / 2 + 0.5))  # 2 mm along x, 1 mm along y
    rows = slice(round(first + 0.5), round(last + 0.5))
    assert np.array_equal(shown.image, whole.image.voxels[5, rows, columns])
    assert np.array_equal(shown.reference, whole.reference[5, rows, columns] == 2)
    assert shown.reference.sum() == 42


def test_windows_are_squares_around_all_that_is_shown():
    for plane in planes():
        left, right, first, last = plane.window
        assert right - left == pytest.approx(last - first)
        box_left, box_right, box_first, box_last = plane.box
        assert left < box_left < box_right < right
        assert first < box_first < box_last < last
    far = np.zeros((10, 20, 31), np.uint8)
    far[5, 0, 0] = 2
    assert planes(far)[0].window[0] < 0 < planes()[0].window[0]


def test_boxes_and_clicks_are_in_mm_and_clicks_know_their_slice():
    along_z, along_y, along_x = planes()
    assert along_z.box == (18.5 * 2, 25.5 * 2, 6.5, 12.5)
    assert along_y.box == (18.5 * 2, 25.5 * 2, 3.5 * 3, 6.5 * 3)
    assert [(c.number, c.positive, c.x, c.y, c.in_plane) for c in along_z.clicks] == [
        (1, True, 40.0, 8.0, True),
        (3, False, 44.0, 9.0, False),
    ]
    assert [(c.x, c.y, c.in_plane) for c in along_x.clicks] == [
        (8.0, 15.0, False),
        (9.0, 18.0, True),
    ]


def test_a_box_that_a_plane_misses_is_not_in_it():
    above = Box(2, (7, 7, 19), (9, 13, 26), 8)
    assert [plane.box is None for plane in planes(box=above)] == [True, False, False]


def test_an_empty_prediction_and_no_prompt_still_make_planes():
    shown = planes(np.zeros((10, 20, 31), np.uint8), box=None, clicks=[])
    assert not any(plane.prediction.any() for plane in shown)
    assert not any(plane.clicks for plane in shown)


# ---- numbers of clicks ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("numbers", "text"), [([1], "1"), ([4, 2], "2,4"), ([1, 2, 3, 4, 5], "1–5"), ([1, 2], "1,2")]
)
def test_numbers_of_one_point_are_one_text(numbers, text):
    assert group_numbers(numbers) == text


def test_clicks_on_each_other_share_a_text():
    texts = {n.text for n in place_numbers([(1, 30, 30), (2, 31, 30), (3, 50, 50)], 70, 70)}
    assert texts == {"1,2", "3"}


coordinate = st.floats(0, 70)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(coordinate, coordinate), min_size=1, max_size=5))
def test_numbers_are_inside_the_panel_and_on_no_other_number(points):
    clicks = [(number, *point) for number, point in enumerate(points, start=1)]
    placed = place_numbers(clicks, 70, 70)
    assert sorted(n for each in placed for n in _numbers(each.text)) == [n for n, *_ in clicks]
    areas = [(n.x, n.y, 4.2 * len(n.text) / 2, 3.25) for n in placed]
    for x, y, half_width, half_height in areas:
        assert half_width < x < 70 - half_width
        assert half_height < y < 70 - half_height
    for i, (x, y, width, height) in enumerate(areas):
        for other_x, other_y, other_width, other_height in areas[:i]:
            apart_x = abs(x - other_x) - width - other_width
            apart_y = abs(y - other_y) - height - other_height
            assert max(apart_x, apart_y) > -1e-6
        for _, click_x, click_y in clicks:
            inside = max(abs(x - click_x) - width, abs(y - click_y) - height)
            assert inside > -2 * MARK_POINTS


def _numbers(text):
    if "–" in text:
        first, last = map(int, text.split("–"))
        return list(range(first, last + 1))
    return list(map(int, text.split(",")))


# ---- pictures of a run ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a data folder with two CT and one MR phantom, and the run folder of ``boxfill``."""
    folder = tmp_path_factory.mktemp("pictures")
    make_phantoms(folder / "val", cases=7, seed=214)
    for file in (folder / "val").glob("*.npz"):
        if file.name.split("_")[0] not in ("CT", "MR"):
            file.unlink()
    segbench.evaluate("boxfill", folder / "val", out=folder / "boxfill", in_process=True)
    close_models()
    return folder / "val", folder / "boxfill"


@pytest.fixture
def copy(made, tmp_path):
    """Return copies of both that a test may change; run.json still names the first place."""
    data, run = made
    shutil.copytree(run, tmp_path / "boxfill")
    shutil.copytree(data, tmp_path / "moved")
    return tmp_path / "moved", tmp_path / "boxfill"


def test_each_modality_has_a_picture_whose_csv_says_what_is_shown(made):
    drawn = case_pictures(load(made[1]))
    assert drawn.left_out == ()
    names = [figure.name for figure in drawn.figures]
    assert names == ["figure-cases-boxfill-ct", "figure-cases-boxfill-mr"]
    first = drawn.figures[0]
    assert first.frame["role"].tolist() == ["best", "worst"]
    assert re.fullmatch(r"(\d[+-] \d+ \d+ \d+(; )?)*", first.frame["clicks"][0])
    assert first.frame[["slice_z", "slice_y", "slice_x"]].notna().all(axis=None)
    for figure in drawn.figures:
        with styled():
            assert problems(figure.figure) == []


def test_without_images_no_file_has_image_data(made):
    for images in (True, False):
        drawn = case_pictures(load(made[1]), images=images)
        files = [file_contents(figure.figure, ("svg",))["svg"] for figure in drawn.figures]
        assert [b"<image" in data for data in files] == [images, images]
        assert [b"the image" in str(f.notes).lower().encode() for f in drawn.figures] == [
            images
        ] * 2


def test_equal_runs_give_equal_pictures(made):
    first, second = (
        [
            file_contents(figure.figure, ("svg", "png"))
            for figure in case_pictures(load(made[1])).figures
        ]
        for _ in range(2)
    )
    assert first == second


def test_data_that_have_moved_are_named_and_found_with_data(made, copy, tmp_path):
    data, run = copy
    manifest = run / "run.json"
    text = manifest.read_text(encoding="utf-8")
    manifest.write_text(text.replace(str(made[0]), str(tmp_path / "gone")), encoding="utf-8")
    drawn = case_pictures(load(run))
    assert drawn.figures == ()
    assert len(drawn.left_out) == 1
    assert "found nothing there; name their folder with --data" in drawn.left_out[0]
    assert len(case_pictures(load(run), data=data).figures) == 2


def test_a_case_whose_file_or_label_maps_are_missing_is_named_and_the_others_are_shown(copy):
    data, run = copy
    best, worst = best_and_worst(load(run))["case"][:2]
    prediction_file(run, best).unlink()
    np.savez(data / f"{worst}.npz", imgs=np.zeros((3, 3, 3)))
    drawn = case_pictures(load(run), data=data)
    assert [figure.name for figure in drawn.figures] == ["figure-cases-boxfill-mr"]
    assert len(drawn.left_out) == 2
    assert f"the label maps of case {best}, found none" in drawn.left_out[0]
    assert worst in drawn.left_out[1]


def test_the_command_draws_what_it_can_and_names_the_rest(copy, tmp_path):
    data, run = copy
    case_name = best_and_worst(load(run))["case"][0]
    prediction_file(run, case_name).unlink()
    words = ["report", run, "--out", tmp_path / "out", "--data", data, "--figures", "png"]
    result = CliRunner().invoke(cli, [*map(str, words), "--no-images", "--draws", "1000"])
    assert result.exit_code == 0, result.output
    assert f"not drawn: pictures of boxfill: {run}: expected the label maps" in result.stderr
    names = {file.name for file in (tmp_path / "out").glob("figure-cases-*")}
    assert {"figure-cases-boxfill-ct.png", "figure-cases-boxfill-mr.csv"} <= names
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "Not drawn: pictures of boxfill" in page
    assert str(tmp_path) not in page.replace("Made by", "")[page.index('id="figures"') :]


@pytest.mark.parametrize(
    ("given", "formats"), [("none", ()), ("svg", ("svg",)), ("png, pdf,png", ("pdf", "png"))]
)
def test_the_formats_of_the_command(made, tmp_path, given, formats):
    words = ["report", made[1], "--out", tmp_path / "out", "--figures", given, "--draws", "1000"]
    result = CliRunner().invoke(cli, list(map(str, words)))
    assert result.exit_code == 0, result.output
    kinds = {file.suffix[1:] for file in (tmp_path / "out").glob("figure-*")} - {"csv"}
    assert kinds == set(formats)


def test_an_unknown_format_is_refused_by_the_command(made):
    result = CliRunner().invoke(cli, ["report", str(made[1]), "--figures", "svg,pfd"])
    assert result.exit_code == 2
    assert "--figures: expected some of svg,pdf,png, or none, found 'svg,pfd'; did you mean" in (
        result.stderr
    )
