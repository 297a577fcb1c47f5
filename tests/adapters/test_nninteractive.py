"""The nnInteractive adapters without nnInteractive: with a session that records its calls."""

import json
import os
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from adapters import _nninteractive_model, nninteractive, nninteractive_challenge
from adapters._nninteractive import NnInteractive, Options, Release, load_adapter
from adapters._nninteractive_model import read_model, require_torch_modules
from segbench.core import AdapterInfo, Box, Click, Image, Interactions
from segbench.errors import AdapterError
from segbench.models.adapter_source import parse_options
from segbench.models.registry import find_adapter
from segbench_adapters import kit
from segbench_adapters.kit import checkpoints
from tests.peers.random_nninteractive import plans, write_folder

SHAPE = (4, 6, 8)
BOXES = (Box(2, (0, 1, 2), (2, 4, 6), 0), Box(7, (1, 0, 0), (4, 6, 8), 2))
CLICKS = (
    (Click(2, (1, 2, 3), True), Click(7, (3, 3, 3), False)),
    (Click(7, (2, 5, 6), True),),  # label 2 has no error
)


class RecordingSession:
    """A session that records prompts; its mask reaches up to the newest prompt's centre."""

    def __init__(self):
        self.prompts, self.new_interaction_centers = [], ["old"]
        self.new_interaction_zoom_out_factors = [9]

    def set_image(self, image):
        self.image = image

    def set_target_buffer(self, buffer):
        self.buffer = buffer

    def _finish_preprocessing_and_initialize_interactions(self):
        pass

    def _reset_session(self):
        self.image = None

    def reset_interactions(self):
        self.prompts = [*self.prompts, []]
        self.buffer.zero_()

    def add_initial_seg_interaction(self, mask, run_prediction):
        assert not run_prediction
        self.prompts[-1].append(("mask", mask.dtype, np.argwhere(mask).tolist()))

    def add_bbox_interaction(self, bounds, include_interaction, run_prediction):
        assert include_interaction
        assert not run_prediction
        self._record(("box", bounds), [high for _, high in bounds])

    def add_point_interaction(self, at, include_interaction, run_prediction):
        assert not run_prediction
        self._record(("click", at, include_interaction), at)

    def _record(self, prompt, center):
        self.prompts[-1].append(prompt)
        self.new_interaction_centers.append(tuple(center))
        self.new_interaction_zoom_out_factors.append(1)

    def _predict(self):
        (center,) = self.new_interaction_centers  # only the newest
        assert len(self.new_interaction_zoom_out_factors) == 1
        self.buffer[tuple(slice(0, at) for at in center)] = 1
        self.drawn = np.random.random()
        print("a session prints a lot")  # noqa: T201


def make_adapter(perfect="again", labels=(2, 7)):
    session = RecordingSession()
    adapter = NnInteractive(session, AdapterInfo("nn"), perfect=perfect, seed=5)
    adapter.set_image(Image(np.ones(SHAPE, np.int16), (1.0, 1.0, 1.0)), labels)
    return adapter, session


def interactions_of(step, previous=None):
    zeros = np.zeros(SHAPE, np.uint8)
    return Interactions((BOXES, *CLICKS[:step]), zeros if previous is None else previous)


# ---- the replay ------------------------------------------------------------------------------


def test_the_image_is_set_once_unchanged_with_a_channel_axis():
    _, session = make_adapter()
    assert session.image.shape == (1, *SHAPE)
    assert session.image.dtype == np.float32


def test_each_label_gets_its_previous_mask_then_all_its_prompts_oldest_first():
    adapter, session = make_adapter()
    previous = np.zeros(SHAPE, np.uint8)
    previous[0, 0, 1], previous[3, 4, 5] = 7, 3
    adapter.predict(interactions_of(2, previous))
    box2, box7 = [[0, 2], [1, 4], [2, 6]], [[1, 4], [0, 6], [0, 8]]
    assert session.prompts == [
        [("box", box2), ("click", (1, 2, 3), True)],
        [
            ("mask", np.uint8, [[0, 0, 1]]),
            ("box", box7),
            ("click", (3, 3, 3), False),
            ("click", (2, 5, 6), True),
        ],
    ]


def test_later_labels_overwrite_earlier_ones_and_keep_their_own_numbers():
    adapter, _ = make_adapter()
    segmentation = adapter.predict(interactions_of(0))
    assert segmentation.dtype == np.uint8
    expected = np.zeros(SHAPE, int)
    expected[:2, :4, :6] = 2
    expected[:4, :6, :8] = 7
    np.testing.assert_array_equal(segmentation, expected)


def test_labels_above_255_fit_into_the_segmentation():
    adapter, _ = make_adapter(labels=(300,))
    click = Click(300, (2, 2, 2), True)
    segmentation = adapter.predict(Interactions(((), (click,)), np.zeros(SHAPE, np.uint8)))
    assert set(np.unique(segmentation)) == {0, 300}


def test_a_step_depends_on_its_interactions_only():
    adapter, _ = make_adapter()
    first = adapter.predict(interactions_of(2))
    adapter.predict(interactions_of(0))
    np.testing.assert_array_equal(adapter.predict(interactions_of(2)), first)


def test_the_session_draws_the_same_numbers_and_the_global_state_is_restored():
    adapter, session = make_adapter()
    np.random.seed(1)
    before = np.random.get_state()[1].copy()
    adapter.predict(interactions_of(0))
    drawn = session.drawn
    adapter.predict(interactions_of(1))
    assert session.drawn == drawn == np.random.RandomState(5).random_sample()
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_what_the_session_prints_is_dropped(capfd):
    adapter, _ = make_adapter()
    adapter.predict(interactions_of(0))
    assert capfd.readouterr().out == ""


def test_a_label_without_a_new_click_is_predicted_again_kept_or_an_error():
    previous = np.zeros(SHAPE, np.uint8)
    previous[3, 5, 7] = 2
    again, session = make_adapter("again")
    again.predict(interactions_of(2, previous))
    assert len(session.prompts) == 2
    keep, session = make_adapter("keep")
    segmentation = keep.predict(interactions_of(2, previous))
    assert len(session.prompts) == 1
    assert segmentation[3, 5, 7] == 2
    fail, session = make_adapter("fail")
    assert fail.predict(interactions_of(1)).any()
    with pytest.raises(AdapterError, match="label 2 got no click in step 2"):
        fail.predict(interactions_of(2, previous))


def test_a_label_without_prompts_keeps_its_mask():
    adapter, session = make_adapter(labels=(1, 2))
    previous = np.zeros(SHAPE, np.uint8)
    previous[3, 5, 7] = 1
    click = Click(2, (1, 1, 1), True)
    segmentation = adapter.predict(Interactions(((), (click,)), previous))
    assert segmentation[3, 5, 7] == 1
    assert len(session.prompts) == 1


def test_an_image_of_zeros_is_refused_by_name():
    adapter, _ = make_adapter()
    with pytest.raises(AdapterError, match="nn: an image of zeros"):
        adapter.set_image(Image(np.zeros(SHAPE, np.uint8), (1.0, 1.0, 1.0)), (1,))


# ---- options ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ({"folds": "0"}, "found 'folds'; did you mean 'fold'"),
        ({"autozoom": "maybe"}, "autozoom: expected yes or no, found 'maybe'"),
        ({"perfect": "stop"}, "perfect: expected one of again, keep, fail, found 'stop'"),
        ({"decay": "1.5"}, "decay: expected a number above 0, at most 1, found 1.5"),
        ({"decay": "strong"}, "decay: expected a number, found 'strong'"),
        ({"seed": "-1"}, "seed: expected a number below .*, found -1"),
    ],
)
@pytest.mark.parametrize("adapter", [nninteractive, nninteractive_challenge])
def test_a_wrong_option_is_named(adapter, option, reason):
    file = find_adapter(adapter.__name__.rpartition(".")[2])
    with pytest.raises(AdapterError, match=reason):
        adapter.make_adapter(**parse_options(file, option))


def test_a_wrong_device_is_named():
    assert kit.select_device("cpu") == torch.device("cpu")
    with pytest.raises(AdapterError, match="expected auto, cpu, cuda or cuda:N, found 'tpu'"):
        kit.select_device("tpu")


# ---- the folder ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("model") / "random")


def read(folder, fold="", session_files=("inference_session_class.json",)):
    return read_model("nn", str(folder), fold, session_files)


@pytest.mark.parametrize("adapter", [nninteractive, nninteractive_challenge])
def test_the_error_without_a_model_states_the_source_of_the_weights(adapter, tmp_path):
    for options in ({}, {"model": str(tmp_path / "nowhere")}):
        reason = r"expected --option model=DIR.*MIC-DKFZ/nnInteractive.*CC BY-NC-SA"
        with pytest.raises(AdapterError, match=reason):
            adapter.make_adapter(**options)


def test_missing_files_of_the_folder_are_named(folder, tmp_path):
    with pytest.raises(AdapterError, match=f"found no plans.json in {tmp_path}"):
        read(tmp_path)
    with pytest.raises(AdapterError, match="found no newer.json or older.json in"):
        read(folder, session_files=("newer.json", "older.json"))


def test_the_only_fold_is_the_default_otherwise_it_must_be_named(folder, tmp_path):
    assert read(folder).fold == "0"
    assert read(folder).checkpoint.is_file()
    with pytest.raises(AdapterError, match=r"expected fold all, found .* of 0"):
        read(folder, "all")
    two = write_folder(tmp_path / "two", fold="all")
    (two / "fold_0").mkdir()
    (two / "fold_0" / "checkpoint_final.pth").touch()
    assert read(two, "all").fold == "all"
    with pytest.raises(AdapterError, match=r"expected --option fold.* of 0, all"):
        read(two)


def test_the_licence_is_the_folder_s_own(folder, tmp_path):
    assert read(folder).licence == "not stated in the model's folder"
    for content, licence in (("\n CC0 1.0 \nmore", "CC0 1.0"), (" \n", "CC BY-NC-SA 4.0")):
        (tmp_path / "LICENSE").write_text(content)
        official = {"dataset_name": _nninteractive_model.OFFICIAL_DATASET}
        assert _nninteractive_model.read_licence(tmp_path, official) == licence


def test_a_recorded_decay_is_found(tmp_path):
    where = write_folder(tmp_path / "model")
    assert not read(where).records_decay
    file = where / "inference_session_class.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "interaction_decay": 0.5}))
    assert read(where).records_decay
    file.write_text('"nnInteractiveInferenceSession"')  # as the oldest folders have it
    assert not read(where).records_decay


def test_plans_that_call_anything_but_torch_modules_are_refused():
    require_torch_modules("nn", plans())
    model_plans = plans()
    architecture = model_plans["configurations"]["3d_fullres"]["architecture"]
    architecture["arch_kwargs"]["nonlin"] = "os.system"
    with pytest.raises(AdapterError, match=r"found os\.system.*trust=yes"):
        require_torch_modules("nn", model_plans)


# ---- the environment and the checkpoint ------------------------------------------------------


def test_another_release_or_none_is_refused_with_instructions(folder):
    release = Release("nn", {"numpy": "0.1", "no-such": "2"}, ("inference_session_class.json",), {})
    with pytest.raises(AdapterError, match=r"expected numpy 0\.1 in .*, found .*--python"):
        load_adapter(release, Options(str(folder)))
    release = Release("nn", {"no-such": "2"}, ("inference_session_class.json",), {})
    with pytest.raises(AdapterError, match=r"expected no-such 2 in .*, found none"):
        load_adapter(release, Options(str(folder)))


class Dangerous:
    def __reduce__(self):
        return (print, ("executed",))


def test_numbers_of_a_training_log_load_and_the_environment_is_restored(folder, environment):
    environment(**{checkpoints.FORCE_WEIGHTS_ONLY: "0"})
    file = read(folder).checkpoint
    with kit.loading_safely(file):
        content = torch.load(file, weights_only=False)
    assert content["_best_ema"] == 0.7
    assert "decoder.encoder.stem.convs.0.all_modules.0.weight" in content["network_weights"]
    assert os.environ[checkpoints.FORCE_WEIGHTS_ONLY] == "0"
    assert checkpoints.FORCE_NO_WEIGHTS_ONLY not in os.environ


def test_a_checkpoint_that_would_execute_code_is_refused_before_it_does(tmp_path, capfd):
    file = read(write_folder(tmp_path / "model", logging=Dangerous())).checkpoint
    with (
        pytest.raises(AdapterError, match=r"found one that calls .*print.*trust=yes"),
        kit.loading_safely(file),
    ):
        torch.load(file, weights_only=False)
    assert capfd.readouterr().out == ""


def test_weights_only_false_of_a_package_is_overruled(tmp_path, capfd):
    """torch itself refuses a second file that was not examined."""
    good, bad = tmp_path / "good.pth", tmp_path / "bad.pth"
    torch.save({"a": torch.ones(1)}, good)
    torch.save({"a": Dangerous()}, bad)
    with pytest.raises(AdapterError, match=r"good\.pth: "), kit.loading_safely(good):
        torch.load(bad, weights_only=False)
    assert capfd.readouterr().out == ""


def test_a_file_that_is_not_a_checkpoint_is_refused(tmp_path):
    file = tmp_path / "checkpoint_final.pth"
    file.write_bytes(b"not a checkpoint")
    with pytest.raises(AdapterError, match="expected a checkpoint that can be examined"):
        kit.refuse_unsafe(file)


def test_3d_boxes_are_allowed_to_a_session_that_refuses_them():
    session = SimpleNamespace(supported_interactions={"bbox2d": True, "bbox3d": False})
    nninteractive.allow_boxes(session)
    assert session.supported_interactions == {"bbox2d": True, "bbox3d": True}
