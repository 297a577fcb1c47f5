"""SAM-Med3D with the smallest network its class allows; and random weights in the real format.

    python -m tests.peers.sam_med3d FILE [small|published]

In the environment of the adapter. As an adapter this file is adapters/sam_med3d.py, small.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from segbench.models.adapter_source import parse_options
from segbench.models.loading import import_adapter_file

ROOT = Path(__file__).parents[2]
SMALL = {
    "encoder_embed_dim": 48,
    "encoder_depth": 2,
    "encoder_num_heads": 2,
    "encoder_global_attn_indexes": [1],
    "prompt_embed_dim": 48,
}


def make_adapter(**options: str) -> Any:
    """Make the adapter with the small network."""
    file = ROOT / "adapters" / "sam_med3d.py"
    adapter = import_adapter_file(file)
    adapter.NETWORK.update(SMALL)
    return adapter.make_adapter(**parse_options(file, options))


def write_weights(file: Path, network: dict[str, Any]) -> None:
    """Write random weights as the authors publish theirs, with the unused box embeddings."""
    import medim
    import torch

    torch.manual_seed(3)
    model = medim.create_model("SAM-Med3D", **network)
    state = dict(model.state_dict())
    width = state["prompt_encoder.no_mask_embed.weight"].shape[1]
    for n in (2, 3):
        state[f"prompt_encoder.point_embeddings.{n}.weight"] = torch.randn(1, width)
    torch.save({"model_state_dict": state}, file)


if __name__ == "__main__":
    write_weights(Path(sys.argv[1]), {} if sys.argv[2:] == ["published"] else SMALL)
