"""Exported volumes: the source's voxels and matrix, clicks and boxes at the right millimetre."""

import builtins
import importlib.util
import json
import re
import sys
import types
from dataclasses import replace

import jsonschema
import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from click.testing import CliRunner

from segbench.cli import cli
from segbench.core import Box, Click
from segbench.data.challenge_npz import write_case
from segbench.errors import RunError
from segbench.report.volumes import write_volumes
from segbench.report.volumes.colours import label_colour, label_names
from segbench.report.volumes.masks import box_map, error_map
from segbench.report.volumes.numbers import written_numbers
from segbench.report.written_files import EXPORT_LIST
from segbench.runs.job import close_models
from segbench.runs.run_folder import prediction_file, read_run
from tests.data.convert.sources import scan, write_pair
from tests.report.converted_cases import (
    SPACINGS,
    case_of,
    oblique_affine,
    orthogonal_affines,
    source,
)

# the rules of 3D Slicer's markups that its reader depends on
NUMBERS = {"type": "array", "items": {"type": "number"}}
POINT = {
    "type": "object",
    "required": ["label", "position"],
    "properties": {
        "id": {"type": "string"},
        "label": {"type": "string"},
        "description": {"type": "string"},
        "position": {**NUMBERS, "minItems": 3, "maxItems": 3},
        "selected": {"type": "boolean"},
        "locked": {"type": "boolean"},
        "visibility": {"type": "boolean"},
        "positionStatus": {"enum": ["undefined", "preview", "defined"]},
    },
    "additionalProperties": False,
}
COLOUR = {"items": {"type": "number", "minimum": 0, "maximum": 1}, "minItems": 3, "maxItems": 3}
MARKUP = {
    "type": "object",
    "required": ["type", "name", "coordinateSystem", "coordinateUnits", "controlPoints"],
    "properties": {
        "type": {"enum": ["Fiducial", "ROI"]},
        "name": {"type": "string"},
        "coordinateSystem": {"const": "LPS"},
        "coordinateUnits": {"const": "mm"},
        "locked": {"type": "boolean"},
        "labelFormat": {"type": "string"},
        "controlPoints": {"type": "array", "items": POINT, "minItems": 1},
        "roiType": {"const": "Box"},
        "center": {**NUMBERS, "minItems": 3, "maxItems": 3},
        "size": {"items": {"type": "number", "minimum": 0}, "minItems": 3, "maxItems": 3},
        "orientation": {**NUMBERS, "minItems": 9, "maxItems": 9},
        "display": {
            "type": "object",
            "properties": {
                "visibility": {"type": "boolean"},
                "opacity": {"type": "number", "minimum": 0, "maximum": 1},
                "color": COLOUR,
                "selectedColor": COLOUR,
                "pointLabelsVisibility": {"type": "boolean"},
            },
            "additionalProperties": False,
        },
    },
    "if": {"properties": {"type": {"const": "ROI"}}},
    "then": {"required": ["roiType", "center", "size", "orientation"]},
    "additionalProperties": False,
}
MARKUPS_FILE = {
    "type": "object",
    "required": ["@schema", "markups"],
    "properties": {
        "@schema": {"pattern": "/markups-schema-v1\\.0\\.[0-9]+\\.json#$"},
        "markups": {"type": "array", "items": MARKUP, "minItems": 1},
    },
    "additionalProperties": False,
}


def segbench(*words):
    result = CliRunner().invoke(cli, list(map(str, words)), catch_exceptions=False)
    close_models()
    return result


def run_cases(tmp_path, sources, *, model="boxfill", name="toy", with_grid=True, words=()):
    """Write cases of these sources, run a model on them, and return the run folder."""
    data = tmp_path / "val"
    data.mkdir(parents=True, exist_ok=True)
    for case_name, found in sources.items():
        write_case(data / f"{case_name}.npz", case_of(case_name, found, with_grid=with_grid))
    out = tmp_path / "runs" / name
    words = ["--option", f"references={data}", *words] if model == "oracle" else words
    done = segbench(
        *("run", "--model", model, "--data", data, "--out", out, "--in-process", *words)
    )
    assert done.exit_code == 0, done.output
    return out


def read_json(file):
    found = json.loads(file.read_text())
    jsonschema.validate(found, MARKUPS_FILE)
    return found["markups"]


def places(affine, indices):
    """Return the places of voxels of the source in LPS."""
    points = np.c_[indices, np.ones(len(indices))] @ affine.T
    return points[:, :3] * (-1, -1, 1)


@pytest.fixture
def toy(tmp_path):
    """Return the run of two cases, one with boxes, of a model that makes errors."""
    return run_cases(tmp_path, {"CT_a": source(oblique_affine()), "CT_b": source(np.eye(4), 1)})


# ---- the source's grid ------------------------------------------------------------------------


def all_affines(sizes):
    """Return all 48 orientations, then a turned and a sheared grid."""
    return [*orthogonal_affines(sizes), oblique_affine(sizes), oblique_affine(sizes, 0.1)]


@pytest.mark.parametrize(
    "affines",
    [
        # the spacings take turns
        [all_affines(SPACINGS[number % 3])[number] for number in range(50)],
        *(pytest.param(all_affines(sizes), marks=pytest.mark.slow) for sizes in SPACINGS),
    ],
    ids=["in turn", *map(str, SPACINGS)],
)
def test_all_48_orientations_come_back_voxel_for_voxel(tmp_path, affines):
    sources = {f"CT_{number:02d}": source(affine) for number, affine in enumerate(affines)}
    run = run_cases(tmp_path, sources, model="oracle")
    done = segbench("export", run, "--format", "slicer", "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    for name, found in sources.items():
        folder = tmp_path / "out" / name
        for file, voxels in (
            ("image", found.image),
            ("reference", found.labels),
            ("oracle/step5", found.labels),
            ("oracle/step5-errors", np.zeros_like(found.labels)),
        ):
            image = nibabel.load(folder / f"{file}.nii.gz")
            assert image.get_data_dtype() == np.uint8
            np.testing.assert_array_equal(np.asarray(image.dataobj), voxels)
            np.testing.assert_array_equal(image.get_sform(), found.affine)
            assert b"no source grid" not in bytes(image.header["descrip"])
        is_sheared = found is sources["CT_49"]
        if not is_sheared:  # ITK reads no sheared grid as it is
            check_with_itk(folder / "oracle" / "step5.nii.gz", found)
        check_boxes(folder, found, is_sheared=is_sheared)


def check_with_itk(file, found):
    image = sitk.ReadImage(str(file))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image).T, found.labels)
    indices = np.argwhere(np.ones((2, 2, 2))) * (np.array(found.labels.shape) - 1)  # corners
    itk = [image.TransformIndexToPhysicalPoint(index.tolist()) for index in indices]
    np.testing.assert_allclose(itk, places(found.affine, indices), atol=1e-4)


def check_boxes(folder, found, *, is_sheared):
    """Whether each region has the voxels of its label's box, and no other."""
    stored = np.asarray(nibabel.load(folder / "oracle" / "boxes.nii.gz").dataobj)
    regions = read_json(folder / "oracle" / "boxes.mrk.json")
    assert [region["name"] for region in regions] == ["box liver", 'box portal "vein"']
    indices = np.argwhere(np.ones(found.labels.shape))
    for label, region in enumerate(regions, start=1):
        at = np.argwhere(found.labels == label)
        box = np.zeros(found.labels.shape, bool)
        box[tuple(slice(a, b + 1) for a, b in zip(at.min(0), at.max(0), strict=True))] = True
        assert (stored[box] > 0).all()
        axes = np.reshape(region["orientation"], (3, 3))
        np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-6)
        assert np.linalg.det(axes) > 0
        if is_sheared:
            continue  # a region has right angles, such a box has not
        offsets = np.abs((places(found.affine, indices) - region["center"]) @ axes)
        inside = (offsets < np.array(region["size"]) / 2).all(axis=1)
        np.testing.assert_array_equal(inside, box.ravel())


@pytest.mark.parametrize(
    "affine",
    [oblique_affine(), *list(orthogonal_affines(SPACINGS[0]))[::7]],
)
def test_clicks_are_at_the_right_millimetre(tmp_path, affine):
    found = source(affine)
    run = run_cases(tmp_path, {"CT_a": found}, model="empty")
    segbench("export", run, "--format", "slicer", "--out", tmp_path / "out")
    (result,) = read_run(run).case_results
    reference = case_of("CT_a", found).reference
    for step in range(1, 6):
        (markup,) = read_json(tmp_path / "out" / "CT_a" / "empty" / f"clicks-step{step}.mrk.json")
        assert markup["name"] == f"clicks of step {step}"
        clicks = [prompt for prompt in result.rounds[step] if isinstance(prompt, Click)]
        assert len(markup["controlPoints"]) == len(clicks) == 2
        for click, point in zip(clicks, markup["controlPoints"], strict=True):
            name = {1: "liver", 2: 'portal "vein"'}[click.label]
            assert point["label"] == f"{name} {'+' if click.positive else '-'}"
            assert point["selected"] == click.positive
            # the voxel of the source at this place has the label that was clicked
            ras = np.array([*point["position"], 1]) * (-1, -1, 1, 1)
            index = np.linalg.inv(affine) @ ras
            np.testing.assert_allclose(index[:3], np.round(index[:3]), atol=1e-5)
            at = tuple(np.round(index[:3]).astype(int))
            assert found.labels[at] == reference[click.voxel] == click.label


def test_a_case_without_a_grid_has_a_stated_one(tmp_path, data):
    segbench("run", "--model", "boxfill", "--data", data, "--out", tmp_path / "run")
    done = segbench(
        *("export", tmp_path / "run", "--format", "slicer", "--out", tmp_path / "out"),
        *("--case", "CT_*"),
    )
    assert done.exit_code == 0, done.output
    folder = tmp_path / "out" / "CT_Toy_001"
    image = nibabel.load(folder / "image.nii.gz")
    np.testing.assert_array_equal(image.get_sform(), np.diag([-1.0, -1.0, 3.0, 1.0]))
    assert nibabel.aff2axcodes(image.affine) == ("L", "P", "S")
    assert image.shape == (31, 20, 10)
    for file in folder.rglob("*.nii.gz"):
        said = bytes(nibabel.load(file).header["descrip"]).rstrip(b"\0").decode()
        assert said.endswith("; no source grid: LPS axes, origin 0"), said
    regions = read_json(folder / "boxfill" / "boxes.mrk.json")
    # label 1: voxels 2 to 5, 3 to 8, 4 to 13 along z, y, x
    assert regions[0]["name"] == "box label 1"
    np.testing.assert_allclose(regions[0]["center"], (8.5, 5.5, 10.5))
    np.testing.assert_allclose(regions[0]["size"], (10, 6, 12))
    itk = sitk.ReadImage(str(folder / "image.nii.gz"))
    np.testing.assert_allclose(itk.GetOrigin(), 0, atol=1e-6)
    np.testing.assert_allclose(itk.GetDirection(), np.eye(3).ravel(), atol=1e-6)
    np.testing.assert_allclose(itk.GetSpacing(), (1, 1, 3))


# ---- what is written --------------------------------------------------------------------------


def test_an_error_map_tells_missed_from_too_much_and_other_labels():
    reference = np.array([[[0, 0, 1, 1, 1, 2]]], np.uint8)
    segmentation = np.array([[[0, 2, 1, 0, 2, 2]]], np.uint16)
    assert error_map(segmentation, reference).tolist() == [[[0, 2, 0, 1, 3, 0]]]


def test_the_smallest_box_is_seen_where_boxes_overlap():
    boxes = (Box(2, (0, 0, 1), (1, 1, 3), 0), Box(300, (0, 0, 0), (1, 1, 5), 0))
    found = box_map(boxes, (1, 2, 6))
    assert found.tolist() == [[[300, 2, 2, 300, 300, 0], [0] * 6]]


def test_nifti_has_the_volumes_and_slicer_the_markups_too(toy, tmp_path):
    volumes = {"image.nii.gz", "reference.nii.gz", "labels-itksnap.txt"}
    volumes |= {f"boxfill/{name}.nii.gz" for name in ("step5", "step5-errors", "boxes")}
    done = segbench("export", toy, "--format", "nifti", "--case", "CT_a", "--out", tmp_path / "a")
    there = {
        str(f.relative_to(tmp_path / "a")) for f in (tmp_path / "a").rglob("*.*") if f.is_file()
    }
    assert there == {EXPORT_LIST, *(f"CT_a/{name}" for name in volumes)}
    assert set(done.stdout.split()) == {
        str(tmp_path / "a" / name) for name in there - {EXPORT_LIST}
    }
    segbench("export", toy, "--format", "slicer", "--case", "CT_a", "--out", tmp_path / "b")
    more = {f.name for f in (tmp_path / "b" / "CT_a").rglob("*.*") if f.is_file()}
    assert more - {name.split("/")[-1] for name in volumes} == {
        *("labels.ctbl", "errors.ctbl", "boxes.mrk.json", "open_in_slicer.py"),
        *(f"clicks-step{step}.mrk.json" for step in range(1, 6)),
    }


def test_every_step_is_that_of_the_run(toy, tmp_path):
    segbench("export", toy, "--format", "slicer", "--step", "all", "--out", tmp_path / "out")
    folder = tmp_path / "out" / "CT_b" / "boxfill"
    with np.load(prediction_file(toy, "CT_b")) as stored:
        maps = stored["all_segs"]
    case = case_of("CT_b", source(np.eye(4), 1))
    assert case.grid.axes == "RAS"
    for step, expected in enumerate(maps):
        found = np.asarray(nibabel.load(folder / f"step{step}.nii.gz").dataobj)
        np.testing.assert_array_equal(found, expected.transpose(2, 1, 0)[::-1, ::-1])
        errors = np.asarray(nibabel.load(folder / f"step{step}-errors.nii.gz").dataobj)
        assert errors.any() == (expected != case.reference).any()


def test_one_step_has_the_clicks_up_to_it(toy, tmp_path):
    segbench("export", toy, "--format", "slicer", "--step", "2", "--out", tmp_path / "out")
    names = {file.name for file in (tmp_path / "out" / "CT_a" / "boxfill").iterdir()}
    assert {name for name in names if name.startswith("step")} == {
        *("step2.nii.gz", "step2-errors.nii.gz")
    }
    assert {name for name in names if name.startswith("clicks")} == {
        *("clicks-step1.mrk.json", "clicks-step2.mrk.json")
    }


def test_a_failed_step_says_that_its_label_map_is_that_of_the_step_before(tmp_path, data, scripted):
    segbench(
        *("run", "--model", scripted, "--data", data, "--out", tmp_path / "run", "--in-process"),
        *("--option", "fail=raise", "--option", "at=3", "--case", "CT_*"),
    )
    segbench("export", tmp_path / "run", "--format", "nifti", "--step=3", "--out", tmp_path / "out")
    (file,) = (tmp_path / "out").rglob("step3.nii.gz")
    assert b"step 3 (failed: as before it)" in bytes(nibabel.load(file).header["descrip"])


def test_runs_share_the_image_of_a_case(toy, tmp_path):
    run_cases(tmp_path, {}, model="empty", name="none/at all", words=["--name", "a / b"])
    written = write_volumes(
        [tmp_path / "runs" / "toy", tmp_path / "runs/none/at all"], tmp_path / "out"
    )
    assert written.left_out == ()
    folder = tmp_path / "out" / "CT_a"
    assert {file.name for file in folder.iterdir() if file.is_dir()} == {"boxfill", "a-b"}
    assert len(list((tmp_path / "out").rglob("image.nii.gz"))) == 2
    assert all(file.is_file() for file in written.files)


def test_two_exports_are_equal_byte_by_byte_and_name_no_path(toy, tmp_path):
    for name in ("a", "b"):
        segbench("export", toy, "--format", "slicer", "--step=all", "--out", tmp_path / name)
    files = [file for file in (tmp_path / "a").rglob("*") if file.is_file()]
    assert len(files) > 30
    for file in files:
        content = file.read_bytes()
        assert content == (tmp_path / "b" / file.relative_to(tmp_path / "a")).read_bytes()
        if file.name.endswith(".nii.gz"):
            content = nibabel.load(file).to_bytes()
        for private in (str(tmp_path), tmp_path.name, str(toy)):
            assert private.encode() not in content


# ---- 3D Slicer and ITK-SNAP -------------------------------------------------------------------


def test_colour_tables_are_those_of_the_viewers(toy, tmp_path):
    segbench("export", toy, "--format", "slicer", "--case", "CT_a", "--out", tmp_path / "out")
    folder = tmp_path / "out" / "CT_a"
    first, count, *rows = (folder / "labels.ctbl").read_text().splitlines()
    assert first.startswith("# Color table file")
    assert count == "# 3 values"
    assert rows == [
        "0 background 0 0 0 0",
        "1 liver {} {} {} 255".format(*label_colour(1)),
        '2 portal_"vein" {} {} {} 255'.format(*label_colour(2)),
    ]
    errors = [line.split()[:2] for line in (folder / "errors.ctbl").read_text().splitlines()[2:]]
    assert errors == [["0", "background"], ["1", "missed"], ["2", "too_much"], ["3", "other_label"]]
    lines = (folder / "labels-itksnap.txt").read_text().splitlines()
    assert lines[1] == "# ITK-SnAP Label Description File"
    rows = [re.fullmatch(r'\s*(\d+)((?:\s+\d+){6})\s+"([^"]*)"', line) for line in lines[14:]]
    assert [(row[1], row[3]) for row in rows] == [
        *(("0", "Clear Label"), ("1", "liver"), ("2", "portal 'vein'"))
    ]
    assert [int(value) for value in rows[1][2].split()] == [*label_colour(1), 1, 1, 1]


def recorded(*labels):
    """Return a case whose conversion recorded these labels."""
    case = case_of("CT_a", source(np.eye(4)))
    return replace(case, grid=replace(case.grid, facts={"labels": list(labels)}))


def test_a_label_has_its_recorded_name_and_else_its_number():
    named = recorded({"label": 1, "name": "liver"}, {"label": 2, "name": "7"}, {"label": 3}, 4)
    numbers = {1: 1, 2: 7, 3: 3, 4: 4}
    expected = {1: "liver", 7: "label 7", 3: "label 3", 4: "label 4"}
    assert label_names(named, numbers) == expected
    assert label_names(replace(named, grid=None), {1: 1}) == {1: "label 1"}
    broken = replace(named, grid=replace(named.grid, facts={"labels": "liver"}))
    assert label_names(broken, {1: 1}) == {1: "label 1"}


@pytest.mark.parametrize(
    ("values", "unknown", "numbers"),
    [
        ([[2], [5]], [], {1: 2, 2: 5}),
        ([[5], [2, 3]], [], {1: 5, 2: 2}),  # of a merged label, the first value
        ([[4], [4]], [], {1: 1, 2: 2}),  # components of one value
        ([[2], [70_000]], [], {1: 1, 2: 2}),  # more than a label map holds
        ([[0], [2]], [], {1: 1, 2: 2}),
        ([[2], []], [], {1: 1, 2: 2}),
        ([["2"], 5], [], {1: 1, 2: 2}),
        ([[2]], [], {1: 1, 2: 2}),
        ([[2], [5]], [3, 5], {1: 2, 2: 5, 3: 3, 5: 1}),  # 5 is taken, and means another label
    ],
)
def test_a_label_is_written_with_the_value_of_its_source(values, unknown, numbers):
    entries = ({"label": label, "values": value} for label, value in enumerate(values, 1))
    assert written_numbers(recorded(*entries), unknown) == numbers
    assert written_numbers(replace(recorded(), grid=None), unknown).keys() == {1, 2, *unknown}


def test_converted_labels_come_back_with_their_values(tmp_path):
    image, labels = scan()
    labels = np.select([labels == 1, labels == 3], [5, 300]).astype(np.uint16)
    image_file, label_file = write_pair(tmp_path / "in", labels=labels)
    words = ("--modality", "CT", "--out", tmp_path / "val")
    assert segbench("convert", image_file, label_file, *words).exit_code == 0
    for model, word in (("oracle", f"references={tmp_path / 'val'}"), ("empty", "")):
        option = ("--option", word) if word else ()
        words = ("--model", model, "--data", tmp_path / "val", "--out", tmp_path / "runs" / model)
        assert segbench("run", *words, "--in-process", *option).exit_code == 0
    segbench("export", tmp_path / "runs", "--format", "slicer", "--out", tmp_path / "out")
    folder = tmp_path / "out" / "CT_scan_img"
    expected = np.asarray(nibabel.load(label_file).dataobj)
    for file in ("reference", "oracle/step5"):
        np.testing.assert_array_equal(nibabel.load(folder / f"{file}.nii.gz").dataobj, expected)
    assert set(np.unique(nibabel.load(folder / "oracle/boxes.nii.gz").dataobj)) == {0, 5, 300}
    assert not np.any(nibabel.load(folder / "oracle/step5-errors.nii.gz").dataobj)
    rows = [line.split()[:2] for line in (folder / "labels.ctbl").read_text().splitlines()[2:]]
    assert rows == [["0", "background"], ["5", "label_5"], ["300", "label_300"]]
    regions = read_json(folder / "oracle" / "boxes.mrk.json")
    assert [region["name"] for region in regions] == ["box label 5", "box label 300"]
    (clicks,) = read_json(folder / "empty" / "clicks-step1.mrk.json")
    points = clicks["controlPoints"]
    assert [point["label"] for point in points] == ["label 5 +", "label 300 +"]
    assert points[1]["description"] == "step 1, label 300, positive"


def test_labels_have_different_colours():
    colours = [label_colour(label) for label in range(1, 60)]
    assert len(set(colours)) == 59
    assert all(0 <= value <= 255 for colour in colours for value in colour)


def test_the_script_opens_case_answer_and_clicks(toy, tmp_path, monkeypatch):
    segbench("export", toy, "--format", "slicer", "--step=all", "--out", tmp_path / "out")
    script = tmp_path / "out" / "CT_a" / "boxfill" / "open_in_slicer.py"
    opened, shown = [], {}

    def load(kind):
        def read(file, properties=()):
            with builtins.open(file, "rb"):
                opened.append((kind, file.rsplit("/", 1)[1], dict(properties)))
            return types.SimpleNamespace(
                GetID=lambda: f"node of {file.rsplit('/', 1)[1]}", file=file
            )

        return read

    util = types.SimpleNamespace(
        loadColorTable=load("colours"),
        loadVolume=load("volume"),
        loadLabelVolume=load("labels"),
        loadMarkups=load("markups"),
        setSliceViewerLayers=lambda **layers: shown.update(layers),
    )
    monkeypatch.setitem(sys.modules, "slicer", types.SimpleNamespace(util=util))
    code = script.read_text()
    exec(compile(code, str(script), "exec"), {"__file__": str(script)})
    by_kind = {kind: [file for k, file, _ in opened if k == kind] for kind, *_ in opened}
    assert by_kind["volume"] == ["image.nii.gz"]
    assert by_kind["markups"] == ["boxes.mrk.json"] + [
        f"clicks-step{step}.mrk.json" for step in range(1, 6)
    ]
    assert len(by_kind["labels"]) == 13
    assert {p["colorNodeID"] for k, f, p in opened if k == "labels" and "errors" in f} == {
        "node of errors.ctbl"
    }
    assert shown["label"].file.endswith("/step5.nii.gz")
    assert shown["background"].file.endswith("/image.nii.gz")
    assert len(code.splitlines()) < 18


# ---- refusals ---------------------------------------------------------------------------------


def test_without_nibabel_the_extra_is_named(toy, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    done = segbench("export", toy, "--format", "nifti", "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert "nibabel, found none; pip install 'segbench[convert]'" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_run_with_final_predictions_has_no_other_step(tmp_path):
    run = run_cases(tmp_path, {"CT_a": source(np.eye(4))}, words=["--predictions", "final"])
    write_volumes([run], tmp_path / "final")
    with pytest.raises(RunError, match=r"label map of step 0, found only that of step 5 .*final"):
        write_volumes([run], tmp_path / "out", step="all")
    assert not (tmp_path / "out").exists()


def test_a_run_without_predictions_has_nothing_to_export(tmp_path):
    run = run_cases(tmp_path, {"CT_a": source(np.eye(4))}, words=["--predictions", "none"])
    with pytest.raises(RunError, match="none that can be exported: boxfill: CT_a: the run has"):
        write_volumes([run], tmp_path / "out")


def test_a_case_without_the_step_is_left_out_by_name(tmp_path, data):
    segbench("run", "--model", "boxfill", "--data", data, "--out", tmp_path / "run")
    done = segbench(
        *("export", tmp_path / "run", "--format", "nifti", "--step", "0"),
        *("--out", tmp_path / "out"),
    )
    assert done.exit_code == 0
    assert "left out: boxfill: MR_Toy_002: it has no step 0\n" in done.stderr
    assert not (tmp_path / "out" / "MR_Toy_002").exists()


def test_changed_data_are_refused(toy, tmp_path):
    write_case(tmp_path / "val" / "CT_b.npz", case_of("CT_b", source(np.eye(4), 7)))
    with pytest.raises(RunError, match=r"data of case CT_b, found another file .*CT_b.npz"):
        write_volumes([toy], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_runs_on_different_data_of_one_name_are_not_mixed(toy, tmp_path):
    other = tmp_path / "other"
    run_cases(other, {"CT_a": source(np.eye(4))}, name="other", words=["--name", "other"])
    with pytest.raises(RunError, match=r"CT_a: expected the same data .* boxfill and other"):
        write_volumes([toy, other / "runs" / "other"], tmp_path / "out")


def test_moved_data_are_found_by_option(toy, tmp_path):
    (tmp_path / "val").rename(tmp_path / "moved")
    with pytest.raises(RunError, match="expected its data in .*, found nothing there"):
        write_volumes([toy], tmp_path / "out")
    done = segbench(
        *("export", toy, "--format", "nifti", "--out", tmp_path / "out"),
        *("--data", tmp_path / "moved"),
    )
    assert done.exit_code == 0, done.output


def test_a_file_of_somebody_else_stays(toy, tmp_path):
    mine = tmp_path / "out" / "CT_b" / "image.nii.gz"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(RunError, match=r"CT_b/image.nii.gz: expected nothing or a file that seg"):
        write_volumes([toy], tmp_path / "out")
    assert [file for file in (tmp_path / "out").rglob("*") if file.is_file()] == [mine]
    with pytest.raises(RunError, match="found a run folder"):
        write_volumes([toy], toy)


@pytest.mark.parametrize(
    "words", [["--step", "all"], ["--case", "CT_*"], ["--data", "val"], ["--references", "val"]]
)
def test_options_of_volumes_are_refused_for_tables(toy, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    done = segbench("export", toy, "--out", "out", *words)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"segbench: {words[0]}: expected --format nifti or slicer with")


@pytest.mark.parametrize("step", ["first", "-1", "1.5"])
def test_a_step_is_a_word_or_a_number(toy, tmp_path, step):
    done = segbench("export", toy, "--format=nifti", f"--step={step}", "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert "--step: expected final, all, or a step's number" in done.stderr


def test_the_name_of_a_case_cannot_lead_out_of_the_folder(toy, tmp_path):
    file = toy / "cases" / "CT_a.json"
    file.write_text(file.read_text().replace('"CT_a"', '"../../evil"'))
    written = write_volumes([toy], tmp_path / "out")
    assert written.left_out == ("boxfill: ../../evil: its name cannot be that of a folder",)
    assert all(path.is_relative_to(tmp_path / "out") for path in written.files)
