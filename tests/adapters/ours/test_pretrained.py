"""Initial weights: a small file in the format of nnInteractive v1.0, with random weights."""

import io
import json
import zipfile

import numpy as np
import pytest
import torch

from adapters.ours.library_keys import canonical_state, library_state
from adapters.ours.network import CONFIGS, NetworkConfig, ResidualEncoderUNet
from adapters.ours.prompts import CHANNELS
from adapters.ours.training.pretrained import CHECKPOINT, load_initial_weights
from adapters.ours.weights import Recipe, save_checkpoint
from segbench.errors import AdapterError

SMALL = NetworkConfig((4, 8, 16, 32, 40, 40), (1, 3, 4, 6, 6, 6))
NORM_OP = "torch.nn.modules.instancenorm.InstanceNorm3d"


def plans(config=SMALL, **changed):
    stages = len(config.features)
    architecture = {
        "n_stages": stages,
        "features_per_stage": list(config.features),
        "conv_op": "torch.nn.modules.conv.Conv3d",
        "kernel_sizes": [[3, 3, 3]] * stages,
        "strides": [[1, 1, 1]] + [[2, 2, 2]] * (stages - 1),
        "n_blocks_per_stage": list(config.blocks),
        "n_conv_per_stage_decoder": [1] * (stages - 1),
        "conv_bias": True,
        "norm_op": NORM_OP,
        "norm_op_kwargs": {"eps": 1e-05, "affine": True},
        "nonlin": "torch.nn.LeakyReLU",
    }
    return {
        "dataset_name": "Dataset225_nnInteractive",
        "configurations": {
            "3d_fullres": {
                "patch_size": [64] * 3,
                "architecture": {
                    "network_class_name": "ResidualEncoderUNet",
                    "arch_kwargs": {**architecture, **changed},
                },
            },
            "3d_fullres_ps192_bs24": {"inherits_from": "3d_fullres", "patch_size": [192] * 3},
        },
    }


def network(config=SMALL):
    torch.manual_seed(3)
    made = ResidualEncoderUNet(config).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))  # no parameter at its default
    return made


def folder(tmp_path, state, written_plans=None, **more):
    """Write the folder, with NumPy numbers in the log as in the original."""
    file = tmp_path / "nnInteractive_v1.0" / CHECKPOINT
    file.parent.mkdir(parents=True)
    written_plans = written_plans or plans()
    (tmp_path / "nnInteractive_v1.0" / "plans.json").write_text(json.dumps(written_plans))
    content = {
        "network_weights": state,
        "trainer_name": "nnInteractiveTrainer_stub",
        "init_args": {
            "plans": written_plans,
            "configuration": "3d_fullres_ps192_bs24",
            "fold": 0,
            "device": torch.device("cpu"),
        },
        "logging": {"mean_fg_dice": [np.float32(0.5), np.float64(0.6)], "lrs": np.ones(3)},
        "_best_ema": np.float64(0.7),
        "current_epoch": 5,
        "grad_scaler_state": None,
        **more,
    }
    torch.save(content, file)
    return file.parent.parent


def test_all_956_keys_of_the_format_become_264_tensors(tmp_path):
    state = library_state(network().state_dict())
    assert len(state) == 956
    initial = load_initial_weights(folder(tmp_path, state), SMALL)
    assert len(initial.state) == 264
    assert initial.state.keys() == network().state_dict().keys()


def test_the_initialised_network_has_the_outputs_of_the_stored_one(tmp_path):
    stored = network()
    initial = load_initial_weights(folder(tmp_path, library_state(stored.state_dict())), SMALL)
    initialised = ResidualEncoderUNet(SMALL).eval()
    initialised.load_state_dict(initial.state)
    x = torch.randn(1, CHANNELS, 64, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(initialised(x), stored(x), rtol=0, atol=0)


def test_the_file_alone_is_enough_and_the_weights_keep_its_licence(tmp_path):
    where = folder(tmp_path, library_state(network().state_dict()))
    initial = load_initial_weights(where / CHECKPOINT, SMALL)
    assert initial.licence == "CC-BY-NC-SA-4.0"
    assert "nnInteractive" in initial.origin


def test_the_paper_s_network_has_the_published_number_of_parameters():
    with torch.device("meta"):
        paper = ResidualEncoderUNet(CONFIGS["paper"])
    assert sum(parameter.numel() for parameter in paper.parameters()) == 102_355_818
    assert len(library_state(paper.state_dict())) == 956


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"norm_op": "torch.nn.modules.normalization.GroupNorm"}, "expected norm instance"),
        ({"norm_op": "torch.nn.modules.batchnorm.BatchNorm3d"}, "known norm"),
        ({"features_per_stage": [8] * 6}, "expected features"),
        ({"n_blocks_per_stage": [1] * 6}, "expected blocks"),
        ({"norm_op_kwargs": {"eps": 1e-3, "affine": True}}, "norm_op_kwargs"),
        ({"strides": [1, 2, 2, 2, 2, [1, 2, 2]]}, "strides"),
    ],
)
def test_another_network_is_refused(tmp_path, changed, reason):
    where = folder(tmp_path, library_state(network().state_dict()), plans(**changed))
    with pytest.raises(AdapterError, match=reason):
        load_initial_weights(where, SMALL)


def test_aliases_that_contradict_each_other_are_refused(tmp_path):
    state = library_state(network().state_dict())
    alias = "encoder.stem.convs.0.all_modules.0.weight"
    state[alias] = state[alias] + 1
    with pytest.raises(AdapterError, match="all_modules.0.weight is missing or contradicts"):
        load_initial_weights(folder(tmp_path, state), SMALL)


def test_a_missing_tensor_is_named(tmp_path):
    state = library_state(network().state_dict())
    kept = {key: value for key, value in state.items() if "seg_layers.4" not in key}
    with pytest.raises(
        AdapterError, match=r"2 of \d+ tensors are missing and 0 unknown.*seg_layers\.4"
    ):
        load_initial_weights(folder(tmp_path, kept), SMALL)


class Dangerous:
    def __reduce__(self):
        return (print, ("executed",))


def test_a_file_that_would_execute_something_is_refused(tmp_path, capsys):
    where = folder(tmp_path, library_state(network().state_dict()), logging=Dangerous())
    with pytest.raises(AdapterError, match="without executing it"):
        load_initial_weights(where, SMALL)
    assert capsys.readouterr().out == ""


def test_numbers_pickled_under_numpy_1_are_read(tmp_path):
    where = folder(tmp_path, library_state(network().state_dict()))
    file = where / CHECKPOINT
    renamed = repickled(file.read_bytes())
    file.write_bytes(renamed)
    assert len(load_initial_weights(where, SMALL).state) == 264


def repickled(archive):
    """Return a torch archive in which NumPy's modules have their NumPy 1 names."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("data.pkl"):
                assert b"numpy._core.multiarray" in content
                content = content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
            new.writestr(name, content)
    return out.getvalue()


def test_a_file_that_is_not_a_checkpoint_is_refused(tmp_path):
    file = tmp_path / "checkpoint_final.pth"
    with pytest.raises(AdapterError, match="no weights at"):
        load_initial_weights(file, SMALL)
    file.write_bytes(b"not a checkpoint")
    with pytest.raises(AdapterError, match="without executing it"):
        load_initial_weights(file, SMALL)
    torch.save({"state_dict": {}}, file)
    with pytest.raises(AdapterError, match="network_weights"):
        load_initial_weights(file, SMALL)


def test_a_checkpoint_of_ours_of_another_shape_is_refused(tmp_path):
    path, config = tmp_path / "a.safetensors", NetworkConfig((4, 6), (1, 1))
    recipe = Recipe(config, 16, 2.0, True, "Apache-2.0", "untrained")
    save_checkpoint(path, ResidualEncoderUNet(config).state_dict(), recipe)
    assert load_initial_weights(path, config).licence == "Apache-2.0"
    with pytest.raises(AdapterError, match="expected features"):
        load_initial_weights(path, SMALL)


def test_the_public_network_class_computes_the_same(tmp_path):
    unet = pytest.importorskip(
        "dynamic_network_architectures.architectures.unet",
        reason="needs dynamic_network_architectures, the library behind nnInteractive",
    )
    torch.manual_seed(4)
    public = unet.ResidualEncoderUNet(
        CHANNELS,
        len(SMALL.features),
        SMALL.features,
        torch.nn.Conv3d,
        3,
        (1, 2, 2, 2, 2, 2),
        SMALL.blocks,
        2,
        (1,) * 5,
        conv_bias=True,
        norm_op=torch.nn.InstanceNorm3d,
        norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=torch.nn.LeakyReLU,
        nonlin_kwargs={"inplace": True},
    ).eval()
    with torch.no_grad():
        for parameter in public.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    initial = load_initial_weights(folder(tmp_path, public.state_dict()), SMALL)
    assert initial.state.keys() == canonical_state(public.state_dict()).keys()
    ours = ResidualEncoderUNet(SMALL).eval()
    ours.load_state_dict(initial.state)
    x = torch.randn(1, CHANNELS, 64, 64, 64)
    with torch.inference_mode():
        # instance norm is computed as group norm, which sums in another order
        torch.testing.assert_close(ours(x), public(x), rtol=1e-4, atol=1e-4)
