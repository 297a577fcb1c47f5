"""A checkpoint of SegVol in the published format, with random weights, of any size."""

from pathlib import Path

import torch

from segbench.models.loading import import_adapter_file
from segbench.models.registry import find_adapter


def network_module():
    """Return the module of the adapter's network."""
    import importlib

    package = import_adapter_file(find_adapter("segvol"))
    return importlib.import_module(f"{package.__name__}.network")


def random_state(seed: int = 0, **sizes) -> dict[str, torch.Tensor]:
    """Return a state with the published names, including tensors that boxes do not use."""
    module = network_module()
    sizes = {"grid": (2, 2, 2), "width": 64, "depth": 2, "encoder_hidden": 96} | sizes
    torch.manual_seed(seed)
    network = module.SegVolNetwork(module.Sizes(decoder_hidden=128, **sizes))
    state = {f"model.{key}": tensor.clone() for key, tensor in network.state_dict().items()}
    for key in state:
        if "position" in key:
            state[key] = torch.randn_like(state[key])
    width = sizes["width"]
    unused = {
        "text_encoder.dim_align.weight": (width, 512),
        "prompt_encoder.not_a_point_embed.weight": (1, width),
        "prompt_encoder.point_embeddings.0.weight": (1, width),
        "prompt_encoder.mask_downscaling.0.weight": (4, 1, 2, 2),
        "mask_decoder.iou_prediction_head.layers.0.bias": (256,),
        "mask_decoder.output_hypernetworks_mlps.3.layers.2.bias": (width // 8,),
        "image_encoder.blocks.1.norm_cross_attn.weight": (width,),
    }
    return state | {f"model.{key}": torch.randn(shape) for key, shape in unused.items()}


def write_checkpoint(file: Path, **given) -> Path:
    """Write a checkpoint like the authors' training, including the optimizer."""
    optimizer = {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 1e-4}]}
    saved = {"model_state_dict": random_state(**given), "optimizer_state_dict": optimizer}
    torch.save({**saved, "epoch": 2000}, file)
    return file
