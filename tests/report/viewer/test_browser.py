"""The page's cases in a real browser, over file://: what is painted is what was computed."""

import json
import re

import numpy as np
import pytest

import segbench
from segbench.report.viewer import ViewerOptions, write_viewer
from tests.report.viewer.conftest import HOSTILE, NAMES

SPACING = (3.0, 1.0, 0.5)
COLOURS = {1: (230, 159, 0), 3: (0, 158, 115)}  # of labels
RIGHT, TOO_MUCH, MISSED = (0, 158, 115), (213, 94, 0), (58, 138, 200)
# load a case into the tab and return one of its arrays, as the page decodes it
DECODE = """async ([id, what, method, step]) => {
  const script = document.createElement('script');
  const data = await new Promise((resolve) => {
    window.segbenchCase = (number, found) => resolve(found);
    script.src = `cases/${String(id).padStart(5, '0')}.js`;
    document.head.append(script);
  });
  const P = segbenchPlanes;
  let parts;
  if (what === 'prediction') {
    parts = await new P.LabelMaps(data.methods[method].steps).at(step);
  } else parts = await P.unpackedParts(data[what]);
  return { window: data.window, kept: data.kept, parts: parts.map((part) => Array.from(part)),
           methods: data.methods.map((each) => each.name) };
}"""
# the pixels of voxels (row, column of the volume) of a plane of the view, moved by some pixels
PIXELS = """([m, axis, voxels, [dx, dy], low, shape, spacing]) => {
  const P = segbenchPlanes;
  const canvas = document.getElementById(`plane-${m}-${axis}`);
  const grid = new P.Grid({ window: { low, shape }, kept: null, spacing });
  const place = new P.Placement(grid, axis, canvas.width, canvas.height, 1, [0, 0]);
  const whole = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  return voxels.map(([row, column]) => {
    const [x, y] = place.middle(row, column).map(Math.floor);
    return Array.from(whole.slice(4 * ((y + dy) * canvas.width + x + dx)).slice(0, 3));
  });
}"""
# slices by plane: the axis across, rows, columns
PLANES = {0: (1, 2), 1: (0, 2), 2: (0, 1)}


def number_of(name):
    return sorted(NAMES).index(name)


def stacked(found):
    """The window as one array, from the parts that the browser has decoded."""
    return np.array(found["parts"][0]).reshape(found["window"]["shape"])


def roi(found):
    low, shape = found["window"]["low"], found["window"]["shape"]
    return tuple(slice(a, a + n) for a, n in zip(low, shape, strict=True))


def test_the_browser_decodes_every_array(page, tab, truth):
    shown = tab(page, "view.html#case=CT_Toy_001")
    for name in NAMES[:2]:
        arrays = truth(name)
        for what in ("image", "reference"):
            found = shown.evaluate(DECODE, [number_of(name), what, 0, 0])
            np.testing.assert_array_equal(stacked(found), getattr(arrays, what)[roi(found)])
        for method, label_maps in enumerate(arrays.label_maps.values()):
            first = 6 - len(label_maps)  # 1 without boxes
            for index, label_map in enumerate(label_maps):
                asked = [number_of(name), "prediction", method, first + index]
                found = shown.evaluate(DECODE, asked)
                np.testing.assert_array_equal(stacked(found), label_map[roi(found)])
                assert not np.delete(label_map.ravel(), inside(label_map, roi(found))).any()


def inside(array, window):
    return np.arange(array.size).reshape(array.shape)[window].ravel()


def test_slices_alone_are_those_of_the_volume(runs, tab, truth, tmp_path, monkeypatch):
    """Also where the slices of some clicks are fewer than those of the volume."""
    results = segbench.load(runs)
    monkeypatch.setattr("segbench.report.viewer.plan.interesting", lambda cases: [])
    monkeypatch.setattr("segbench.report.viewer.window.Kept.n_voxels", lambda *_: 0)
    write_viewer(results, tmp_path, ViewerOptions())
    shown = tab(tmp_path, "view.html#case=CT_Toy_001")
    arrays = truth("CT_Toy_001")
    for what, expected in (
        ("image", arrays.image),
        ("reference", arrays.reference),
        ("prediction", arrays.label_maps["wandering"][3]),
    ):
        found = shown.evaluate(DECODE, [number_of("CT_Toy_001"), what, 1, 3])
        shape = found["window"]["shape"]
        for axis, at in enumerate(found["kept"]):
            stack_shape = [len(at) if a == axis else n for a, n in enumerate(shape)]
            part = np.array(found["parts"][axis]).reshape(stack_shape)
            window = [s if a != axis else slice(None) for a, s in enumerate(roi(found))]
            np.testing.assert_array_equal(part, expected[tuple(window)].take(at, axis=axis))


VIEW = (
    "view.html#case=CT_Toy_001&method=wandering%20%3Cb%3E&step=2&opacity=1&outlines=no&at=4,12,14"
)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("mode", ["prediction", "reference", "error", "none"])
def test_painted_pixels_are_those_of_the_arrays(page, tab, painted, truth, axis, mode):
    arrays, at = truth("CT_Toy_001"), [4, 12, 14]
    label_map = arrays.label_maps["wandering"][0]  # no clicks cover anything
    shown = painted(tab(page, f"{VIEW}&show={mode}".replace("step=2", "step=0")))
    shown.keyboard.press("x")  # no crosshair
    painted(shown)
    found = shown.evaluate(DECODE, [number_of("CT_Toy_001"), "image", 0, 0])
    window = [found["window"]["low"], found["window"]["shape"], SPACING]
    rows, columns = PLANES[axis]
    voxels = []
    for row, column in np.ndindex(window[1][rows], window[1][columns]):
        voxel = list(at)
        voxel[rows], voxel[columns] = row + window[0][rows], column + window[0][columns]
        if not is_covered(voxel, axis):
            voxels.append(tuple(voxel))
    asked = [[voxel[rows], voxel[columns]] for voxel in voxels]
    pixels = shown.evaluate(PIXELS, [0, axis, asked, [0, 0], *window])
    expected = [colour(mode, arrays, label_map, voxel) for voxel in voxels]
    assert len(voxels) > 50
    np.testing.assert_allclose(pixels, expected, atol=1)


def colour(mode, arrays, label_map, voxel):
    predicted, expected = int(label_map[voxel]), int(arrays.reference[voxel])
    grey = (int(arrays.image[voxel]),) * 3
    if mode == "error":
        if predicted == expected:
            return RIGHT if expected else grey
        return TOO_MUCH if predicted else MISSED
    label = {"prediction": predicted, "reference": expected, "none": 0}[mode]
    return COLOURS.get(label, grey)


def is_covered(voxel, axis):
    """Whether the line of a box may be painted over a voxel."""
    for low, high in (((2, 3, 4), (6, 9, 14)), ((4, 11, 15), (9, 17, 28))):
        near = [low[s] - 1 <= voxel[s] <= high[s] for s in PLANES[axis]]
        edge = [min(abs(voxel[s] - low[s]), abs(voxel[s] + 1 - high[s])) <= 1 for s in PLANES[axis]]
        if low[axis] <= voxel[axis] < high[axis] and all(near) and any(edge):
            return True
    return False


@pytest.fixture
def clicks_of_the_run(runs):
    """Return the clicks of the method up to step 2."""
    prompts = segbench.load(runs).prompts
    return prompts[
        (prompts["method"] == "wandering <b>")
        & (prompts["case"] == "CT_Toy_001")
        & (prompts["kind"] == "click")
        & (prompts["step"] <= 2)
    ]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_clicks_are_painted_where_the_user_clicked(page, tab, painted, clicks_of_the_run, axis):
    """In a plane through the click, next to its number, in the colour of its sign."""
    rows, columns = PLANES[axis]
    for click in clicks_of_the_run.itertuples():
        at = (int(click.z), int(click.y), int(click.x))
        view = VIEW.replace("4,12,14", ",".join(map(str, at))) + f"&label={click.label}"
        shown = painted(tab(page, view))
        found = shown.evaluate(DECODE, [number_of("CT_Toy_001"), "image", 0, 0])
        window = [found["window"]["low"], found["window"]["shape"], SPACING]
        expected = RIGHT if click.positive else TOO_MUCH  # the same two colours
        around = [(6, 0), (-6, 0), (0, 6), (0, -6)]  # another click may cover a part of the mark
        asked = ([0, axis, [[at[rows], at[columns]]], list(away), *window] for away in around)
        pixels = [shown.evaluate(PIXELS, each)[0] for each in asked]
        assert any(pixel == pytest.approx(expected, abs=2) for pixel in pixels), pixels


def test_voxels_have_the_shape_of_their_spacing(page, tab, painted):
    shown = painted(tab(page, VIEW))
    cells = shown.evaluate(
        """() => [0, 1, 2].map((axis) => {
          const grid = new segbenchPlanes.Grid(
            { window: { low: [0, 0, 0], shape: [10, 20, 31] }, kept: null, spacing: [3, 1, 0.5] });
          const place = new segbenchPlanes.Placement(grid, axis, 400, 300, 1, [0, 0]);
          return [place.cellHeight / place.cellWidth, place.rowUp]; })"""
    )
    assert [cell[0] for cell in cells] == pytest.approx([2.0, 6.0, 3.0])
    assert [cell[1] for cell in cells] == [False, True, True]


def test_z_is_drawn_upwards_and_a_press_sets_the_crosshair(page, tab, painted):
    shown = painted(tab(page, VIEW))
    box = shown.locator("#plane-0-1").bounding_box()
    for share, text in ((0.1, "high"), (0.9, "low")):
        shown.mouse.click(box["x"] + box["width"] / 2, box["y"] + share * box["height"])
        painted(shown)
        z = int(shown.inner_text("#caption-0-0").rpartition("=")[2])
        assert (z >= 8) if text == "high" else (z <= 1)


def test_keys_change_step_slice_and_overlay_and_the_address_follows(page, tab, painted):
    shown = painted(tab(page, "view.html#case=CT_Toy_001"))
    assert shown.inner_text("#step-value") == "5"
    shown.keyboard.press("ArrowLeft")
    shown.keyboard.press("m")
    shown.keyboard.press("2")
    before = shown.inner_text("#caption-0-1")
    shown.keyboard.press("ArrowUp")
    painted(shown)
    assert shown.inner_text("#step-value") == "4"
    assert shown.inner_text("#caption-0-1") != before
    assert "step=4" in shown.url
    assert "show=error" in shown.url
    shown.keyboard.press("?")
    assert shown.is_visible("dialog#keys")
    shown.keyboard.press("Escape")
    assert not shown.is_visible("dialog#keys")


def test_a_link_shows_what_was_seen(page, tab, painted):
    shown = painted(tab(page, VIEW + "&show=error&label=3"))
    assert shown.inner_text("#step-value") == "2"
    assert shown.input_value("#mode") == "error"
    assert shown.inner_text("#caption-0-0").endswith("z = 4")
    assert shown.is_checked("#label-3")
    assert not shown.is_checked("#label-1")
    assert "label 3: DSC" in shown.inner_text("#scores-0")
    again = painted(tab(page, shown.url.rpartition("/")[2]))
    assert again.inner_text("#scores-0") == shown.inner_text("#scores-0")


def test_the_back_button_returns_to_the_case_before(page, tab, painted):
    shown = painted(tab(page, "view.html#case=CT_Toy_001"))
    shown.click("#next-case")
    shown.wait_for_function("document.getElementById('title').textContent !== 'CT_Toy_001'")
    painted(shown)
    shown.go_back()
    shown.wait_for_function("document.getElementById('title').textContent === 'CT_Toy_001'")


def test_the_scores_are_those_of_the_run(page, tab, painted, runs):
    steps = segbench.load(runs).steps
    row = steps[
        (steps["method"] == "wandering <b>")
        & (steps["case"] == "CT_Toy_001")
        & (steps["step"] == 2)
        & (steps["label"] == 3)
    ].iloc[0]
    shown = painted(tab(page, VIEW + "&label=3"))
    text = shown.inner_text("#scores-0")
    assert f"DSC {row['dsc']:.3f}, NSD {row['nsd']:.3f}" in text


def test_the_gallery_filters_and_sorts(page, tab):
    shown = tab(page, "cases.html")
    assert shown.locator(".card").count() == len(NAMES)
    shown.select_option("select[name=modality]", "MR")
    assert [c.inner_text() for c in shown.locator(".card h2").all()] == ["MR_Toy_002"]
    assert "modality=MR" in shown.url
    shown.click("text=Show all")
    shown.select_option("select[name=boxes]", "no")
    assert shown.locator(".card").count() == 1
    shown.click("text=Show all")
    shown.select_option("select[name=sort]", "low-0")
    listed = json.loads((page / "cases.js").read_text().split(" = ", 1)[1].rstrip(";\n"))
    worst = min(listed["cases"], key=lambda case: (case["scores"][0][2], case["name"]))
    assert shown.locator(".card h2").first.inner_text() == worst["name"]
    shown.locator(".card a").first.click()
    shown.wait_for_selector("#view[data-painted]")
    assert shown.inner_text("#title") == worst["name"]


def test_a_hostile_name_is_text_everywhere(page, tab, painted):
    shown = tab(page, "cases.html#text=onerror")
    assert shown.locator(".card h2").all_inner_texts() == [HOSTILE]
    shown.locator(".card a").first.click()
    painted(shown)
    assert shown.inner_text("#title") == HOSTILE
    assert shown.locator("img").count() == 0
    assert shown.locator("h2 b").count() == 0  # of the method's name


def test_without_javascript_the_gallery_remains(page, tab):
    shown = tab(page, "cases.html", script=False)
    assert shown.locator(".card img").count() == len(NAMES)
    assert shown.locator(".filters").is_hidden()
    loaded = "(i) => i.complete && i.naturalWidth > 0"
    assert all(image.get_attribute("src") for image in shown.locator(".card img").all())
    with_script = tab(page, "cases.html")
    with_script.wait_for_load_state()
    assert all(image.evaluate(loaded) for image in with_script.locator(".card img").all())


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_the_window(page, tab, painted, width, scheme):
    for address in ("cases.html", "view.html#case=CT_Toy_001"):
        shown = tab(page, address, width=width, scheme=scheme)
        if address.startswith("view"):
            painted(shown)
        overflow = shown.evaluate(
            "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert overflow <= 0, address
        ink, paper = (
            shown.evaluate(f"() => getComputedStyle(document.body)['{name}']")
            for name in ("color", "backgroundColor")
        )
        assert contrast(ink, paper) >= 4.5


def contrast(first, second):
    """The contrast of two colours, by WCAG 2.2."""
    lights = []
    for text in (first, second):
        parts = [int(value) / 255 for value in re.findall(r"\d+", text)[:3]]
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
        lights.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(lights) + 0.05) / (min(lights) + 0.05)


def test_a_case_without_data_shows_its_scores(runs, tab, tmp_path):
    write_viewer(segbench.load(runs), tmp_path, ViewerOptions(choice="none"))
    shown = tab(tmp_path, "view.html#case=CT_Toy_001")
    shown.wait_for_selector(".message")
    assert "scores only" in shown.inner_text(".message")
    assert "boxfill: final DSC" in shown.inner_text("#view")


def test_outlines_alone_have_no_image(runs, tab, painted, tmp_path):
    write_viewer(segbench.load(runs), tmp_path, ViewerOptions(choice="all", images=False))
    shown = painted(tab(tmp_path, "view.html#case=CT_Toy_001"))
    assert shown.locator("#image").count() == 0
    assert "no image data" in shown.inner_text("body")
    for script in (tmp_path / "cases").glob("*.js"):
        assert '"image":null' in script.read_text()
