"""The network of `ours`: its size, and agreement with the library."""

import importlib.util

import pytest
import torch

from adapters.ours.library_keys import canonical_state, library_state
from adapters.ours.network import CONFIGS, NetworkConfig, ResidualEncoderUNet, norm_layer

TINY = NetworkConfig((4, 6, 8), (1, 2, 1))


def on_meta(name):
    with torch.device("meta"):
        return ResidualEncoderUNet(CONFIGS[name])


@pytest.mark.parametrize(("name", "parameters"), [("paper", 102_355_818), ("small", 5_671_128)])
def test_a_configuration_has_the_documented_number_of_parameters(name, parameters):
    assert sum(p.numel() for p in on_meta(name).parameters()) == parameters


def test_the_paper_has_264_tensors_and_956_keys_in_the_library():
    state = on_meta("paper").state_dict()
    library = library_state(state)
    assert len(state) == 264
    assert len(library) == 956
    assert "decoder.encoder.stages.1.blocks.0.skip.1.all_modules.1.bias" in library
    assert "decoder.stages.0.convs.0.all_modules.0.weight" in library


def test_the_library_layout_converts_both_ways():
    state = ResidualEncoderUNet(TINY).state_dict()
    back = canonical_state(library_state(state))
    assert list(back) == list(state)
    assert all(back[key] is state[key] for key in state)


def test_aliases_are_the_same_tensor():
    state = ResidualEncoderUNet(TINY).state_dict()
    library = library_state(state)
    stem = "encoder.stem.convs.0.conv.weight"
    for alias in (stem, f"decoder.{stem}", "encoder.stem.convs.0.all_modules.0.weight"):
        assert library[alias] is state[stem]


def test_the_output_has_two_channels_at_full_resolution():
    network = ResidualEncoderUNet(TINY).eval()
    with torch.inference_mode():
        assert network(torch.zeros(2, 8, 8, 12, 16)).shape == (2, 2, 8, 12, 16)


def test_the_instance_norm_is_that_of_torch():
    torch.manual_seed(0)
    x = torch.randn(2, 6, 4, 5, 3) * 3 + 1
    expected = torch.nn.InstanceNorm3d(6, affine=True, eps=1e-5)(x)
    torch.testing.assert_close(norm_layer("instance", 6)(x), expected, rtol=1e-5, atol=1e-5)


def test_group_norm_loads_the_same_weights_but_has_other_outputs():
    torch.manual_seed(0)
    features, x = (8, 16), torch.randn(1, 8, 8, 8, 8)
    instance = ResidualEncoderUNet(NetworkConfig(features, (1, 1), norm="instance"))
    group = ResidualEncoderUNet(NetworkConfig(features, (1, 1), norm="group"))
    group.load_state_dict(instance.state_dict())
    with torch.inference_mode():
        assert not torch.allclose(group(x), instance(x), atol=1e-2)


def test_an_unknown_norm_is_refused():
    with pytest.raises(ValueError, match="'batch': expected one of instance, group"):
        norm_layer("batch", 4)


@pytest.mark.skipif(
    importlib.util.find_spec("dynamic_network_architectures") is None,
    reason="dynamic_network_architectures is not installed (it would replace torch)",
)
def test_the_library_class_computes_the_same():
    from dynamic_network_architectures.architectures.unet import ResidualEncoderUNet as Library

    torch.manual_seed(0)
    ours = ResidualEncoderUNet(TINY).eval()
    library = Library(
        input_channels=8,
        n_stages=len(TINY.features),
        features_per_stage=list(TINY.features),
        conv_op=torch.nn.Conv3d,
        kernel_sizes=3,
        strides=[1, 2, 2],
        n_blocks_per_stage=list(TINY.blocks),
        num_classes=2,
        n_conv_per_stage_decoder=[1, 1],
        conv_bias=True,
        norm_op=torch.nn.InstanceNorm3d,
        norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=torch.nn.LeakyReLU,
        nonlin_kwargs={"inplace": True},
    ).eval()
    library.load_state_dict(library_state(ours.state_dict()))
    x = torch.randn(1, 8, 16, 16, 16)
    with torch.inference_mode():
        torch.testing.assert_close(ours(x), library(x), rtol=1e-4, atol=1e-4)
