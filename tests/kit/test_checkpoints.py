"""Third-party checkpoints: nothing in them is executed, and they load completely or not at all."""

import argparse
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from segbench.errors import AdapterError
from segbench_adapters import kit

FILE = Path("some.pth")


@pytest.fixture
def network():
    return torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))


class Program:
    """A pickle that makes a folder when it is loaded."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize(
    ("given", "found"),
    [("", "none"), ("nowhere.pth", "no file nowhere.pth"), (".", "the folder .")],
)
@pytest.mark.parametrize("ending", ["", ".", "; ", ":", "!", ". \n"])
def test_the_error_for_missing_weights_states_their_source_and_the_option(given, found, ending):
    with pytest.raises(AdapterError) as refusal:
        kit.find_weights(given, f"see example.org{ending}")
    assert str(refusal.value) == (
        f"weights: expected a file, found {found}; see example.org; pass the file: "
        "--option weights=FILE"
    )


def test_without_a_source_the_error_for_missing_weights_has_no_gap():
    with pytest.raises(AdapterError, match="found none; pass the file: --option weights=FILE"):
        kit.find_weights("", "")


def test_a_checkpoint_that_calls_functions_is_refused_with_their_names(tmp_path):
    file = tmp_path / "evil.pth"
    torch.save({"model_state_dict": {}, "extra": Program(tmp_path / "executed")}, file)
    with pytest.raises(AdapterError, match=r"evil\.pth: expected a checkpoint .*mkdir"):
        kit.read_checkpoint(file)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("content", [b"", b"Not Found", b"PK\x03\x04 cut short"])
def test_a_file_that_is_not_a_checkpoint_is_refused(tmp_path, content):
    file = tmp_path / "page.pth"
    file.write_bytes(content)
    with pytest.raises(AdapterError, match=r"page\.pth: expected a checkpoint"):
        kit.read_checkpoint(file)


def test_a_list_of_tensors_is_refused(tmp_path):
    torch.save([torch.ones(1)], tmp_path / "list.pth")
    with pytest.raises(AdapterError, match="expected a dictionary, found list"):
        kit.read_checkpoint(tmp_path / "list.pth")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"model": 7}, "model: expected tensors by name, found int"),
        ({1: 2}, "expected tensors under 'model', found the keys 1; pass the right key to kit"),
        (
            {"state_dict": {"w": torch.ones(1)}, "epoch": 3, "best": torch.ones(1)},
            "expected tensors under 'model', found the keys state_dict, epoch, best; pass the right"
            r" key to kit\.read_state$",
        ),
        (
            {str(number): {} for number in range(20)},
            "expected tensors under 'model', found the keys 0, 1, 2, 3, 4, 5, 6, 7 and 12 more; p",
        ),
        ({"w": torch.ones(1), "x": 3}, "'x': expected a tensor, found int"),
        ({"model": {"x": "y"}}, "'x': expected a tensor"),
    ],
)
def test_what_is_no_tensor_is_refused_by_name(tmp_path, content, message):
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(AdapterError, match=rf"other\.pth: {message}"):
        kit.read_state(tmp_path / "other.pth", "model")


@pytest.mark.parametrize("is_zip", [True, False], ids=["as torch writes now", "older format"])
@pytest.mark.parametrize("wrap", [lambda state: {"model": state}, dict], ids=["key", "flat"])
def test_the_tensors_of_a_checkpoint_are_read(tmp_path, is_zip, wrap):
    file = tmp_path / "some.pth"
    torch.save(wrap({"w": torch.ones(2)}), file, _use_new_zipfile_serialization=is_zip)
    assert torch.equal(kit.read_state(file, "model")["w"], torch.ones(2))


@pytest.mark.parametrize("wrap", [lambda network: network, lambda network: {"model": network}])
def test_a_network_that_was_saved_whole_says_what_to_save(tmp_path, network, wrap):
    file = tmp_path / "whole.pth"
    torch.save(wrap(network), file)
    with pytest.raises(AdapterError) as refusal:
        kit.read_state(file, "model")
    assert str(refusal.value).endswith(
        "; if it is a whole module, save its state_dict(): torch.save(net.state_dict(), FILE)"
    )


@pytest.mark.parametrize("prefix", ["module.", "network.", "module.net.0."])
@pytest.mark.parametrize("others", [{}, {"loss.weight": torch.ones(1)}])
def test_a_common_prefix_is_named_and_can_be_stripped_as_the_message_says(network, prefix, others):
    state = {f"{prefix}{name}": value for name, value in network.state_dict().items()} | others
    with pytest.raises(AdapterError) as refusal:
        kit.load_strictly(network, state, name="net.pth")
    message = str(refusal.value)
    assert message.startswith(
        "net.pth: expected names such as 0.weight, found all of them with the"
    )
    assert repr(prefix) in message
    kit.load_strictly(network, eval(message.partition("strip it: ")[2]), name="net.pth")


def test_other_objects_of_a_training_script_load_if_they_are_allowed(tmp_path):
    file = tmp_path / "trained.pth"
    extras = {"args": argparse.Namespace(lr=1e-4), "dices": [np.float64(0.5)], "epoch": 3}
    torch.save({"model_state_dict": {"w": torch.ones(2)}, **extras}, file)
    allowed = [argparse.Namespace, *kit.numpy_safe_globals()]
    assert kit.read_checkpoint(file, allowed)["args"].lr == 1e-4
    with pytest.raises(AdapterError, match=r"found one that names argparse\.Namespace"):
        kit.read_checkpoint(file)


def test_matching_weights_are_loaded(network):
    state = {key: torch.full_like(value, 2) for key, value in network.state_dict().items()}
    kit.load_strictly(network, {**state, "unused": 1}, name=FILE.name, unused=frozenset({"unused"}))
    assert all((parameter == 2).all() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"0.bias": None}, "1 of 4 tensors are missing and 0 unknown, first 0.bias"),
        ({"2.bias": torch.ones(1)}, "0 of 4 tensors are missing and 1 unknown, first 2.bias"),
        ({"1.bias": torch.ones(2)}, r"1.bias: expected shape \(1,\), found \(2,\)"),
        ({"1.bias": 0.5}, r"1.bias: expected shape \(1,\), found \(\)"),
    ],
)
def test_weights_of_another_network_are_not_loaded_in_part(network, change, message):
    before = {key: value.clone() for key, value in network.state_dict().items()}
    changed = {**{key: torch.zeros_like(value) for key, value in before.items()}, **change}
    state = {key: value for key, value in changed.items() if value is not None}
    with pytest.raises(AdapterError, match=message):
        kit.load_strictly(network, state, name=FILE.name)
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


def test_an_unknown_or_missing_device_is_refused():
    assert kit.select_device("cpu").type == "cpu"
    with pytest.raises(
        AdapterError, match="device: expected auto, cpu, cuda or cuda:N, found 'tpu'"
    ):
        kit.select_device("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(
            AdapterError, match="expected a CUDA device, found that torch sees none"
        ):
            kit.select_device("cuda")
