"""VISTA3D: the points that it gets, its options, and agreement with the authors' script."""

import numpy as np
import pytest

from adapters import vista3d
from segbench.core import AdapterInfo, Box, Click, Image, Interactions
from segbench.errors import AdapterError
from segbench.models.adapter_source import parse_options
from segbench.models.registry import find_adapter
from tests.peers.running import checkout_of, run, steps

SHAPE = (12, 30, 41)
BOXES = (Box(1, (2, 3, 4), (5, 9, 15), 3), Box(3, (2, 3, 4), (5, 9, 15), 3))
ROUNDS = (
    (Click(1, (1, 1, 1), False), Click(3, (5, 5, 5), True)),
    (Click(1, (2, 2, 2), True),),
    (Click(1, (3, 3, 3), True),),
)


def interactions_of(n_rounds):
    return Interactions((BOXES, *ROUNDS[:n_rounds]), np.zeros(SHAPE, np.uint8))


def test_the_positive_clicks_come_first_each_kind_oldest_first():
    expected = [((2, 2, 2), 1), ((3, 3, 3), 1), ((1, 1, 1), 0)]
    assert vista3d.ordered_points(interactions_of(3), 1) == expected


def test_missing_points_are_padded_with_the_corner():
    assert vista3d.pad_points([((5, 5, 5), 1)], 2) == [((5, 5, 5), 1), ((0, 0, 0), -1)]
    assert vista3d.pad_points([((5, 5, 5), 1)], 0) == [((5, 5, 5), 1)]


@pytest.mark.parametrize(
    ("shape", "dtype", "can"),
    [
        ((10, 10, 10), "float32", True),
        ((10, 10, 10), "uint8", False),
        ((100, 100, 100), "uint8", False),  # not above a million
        ((100, 100, 101), "uint8", True),
        ((100, 100, 101), "uint16", False),
        ((10, 10, 10), ">f4", False),  # torch supports the native byte order only
        ((100, 100, 101), ">i2", False),
    ],
)
def test_dtypes_that_the_submission_cannot_scale_are_known(shape, dtype, can):
    assert vista3d.submission_can_scale(np.zeros(shape, dtype)) == can


@pytest.fixture
def predict_with_points():
    """Return a function that predicts with a fake network and returns the points it got."""
    torch = pytest.importorskip("torch")

    class WithoutNetwork(vista3d.Vista3D):
        def set_image(self, image, labels):
            self._labels, self.points = labels, []

        def _segment(self, points):
            self.points.append(points)
            mask = np.zeros(SHAPE, bool)
            mask[len(self.points) - 1 : len(self.points) + 1] = True
            return mask

    def predict(n_rounds, **options):
        options = vista3d.Vista3DOptions(**options)
        adapter = WithoutNetwork(torch.nn.Linear(1, 1), AdapterInfo("VISTA3D"), options)
        adapter.set_image(Image(np.zeros(SHAPE, np.uint8), (1.0, 1.0, 1.0)), (1, 3))
        return adapter.predict(interactions_of(n_rounds)), adapter.points

    return predict


def test_a_box_step_is_empty_without_a_forward_pass(predict_with_points):
    segmentation, points = predict_with_points(0)
    assert not segmentation.any()
    assert points == []


def test_the_submissions_click_is_an_option_for_the_first_label(predict_with_points):
    segmentation, points = predict_with_points(0, no_clicks="submission")
    assert points == [[((418, 138, 136), 1)]]
    assert set(np.unique(segmentation)) == {0, 1}


def test_every_click_so_far_is_a_point_and_later_labels_overwrite(predict_with_points):
    segmentation, points = predict_with_points(3)
    assert [len(each) for each in points] == [3, 3]
    assert points[1][1:] == [((0, 0, 0), -1)] * 2
    assert (segmentation[0] == 1).all()
    assert (segmentation[1:3] == 3).all()


def test_padding_can_be_left_out(predict_with_points):
    _, points = predict_with_points(3, padding="none")
    assert [len(each) for each in points] == [3, 1]


@pytest.mark.parametrize("wrap", [lambda state: state, lambda state: {"model": state, "epoch": 3}])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_published_and_freshly_trained_checkpoints_are_read(tmp_path, wrap, prefix):
    torch = pytest.importorskip("torch")
    torch.save(wrap({f"{prefix}head.weight": torch.ones(2)}), tmp_path / "model.pth")
    assert list(vista3d.read_state(tmp_path / "model.pth")) == ["head.weight"]


def test_missing_weights_are_reported_before_any_import():
    with pytest.raises(
        AdapterError, match=r"weights: expected a file, found none; .*cvpr_workshop.* --option"
    ):
        vista3d.make_adapter()


@pytest.mark.parametrize("option", ["no_clicks", "intensities", "padding"])
def test_an_unknown_option_value_is_refused(option):
    with pytest.raises(AdapterError, match=f"{option}: expected one of .*, found 'maybe'"):
        parse_options(find_adapter("vista3d"), {option: "maybe"})


def test_the_licence_of_the_weights_is_reported_as_contradictory():
    assert "contradictory" in vista3d.LICENCE


def test_each_option_changes_the_segmentation():
    options = ("intensities=float", "padding=none")
    found = steps(run("vista3d", "compare_options.py", "vista3d", *options))
    assert [each["option"] for each in found] == ["", *options, "one slice"]
    assert len({each["sha256"] for each in found}) == len(found)


@pytest.mark.parametrize(
    "size", ["small", pytest.param("published", marks=pytest.mark.slow)], ids=str
)
def test_the_label_maps_are_those_of_the_authors_script(size):
    found = steps(run("vista3d", "compare_vista3d.py", checkout_of("vista3d"), size))
    assert len(found) == (1 + 2 * 6 if size == "small" else 2)
    assert [step for step in found if step["differing"]] == []
    assert any(np.count_nonzero(step["voxels"]) > 1 for step in found)  # not all or nothing
