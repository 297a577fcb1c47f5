"""VISTA3D with a small network and window; and random weights in the real format.

    python -m tests.peers.vista3d FILE [small|published]

In the environment of the adapter. As an adapter this file is adapters/vista3d.py, small.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from segbench.models.adapter_source import parse_options
from segbench.models.loading import import_adapter_file

ROOT = Path(__file__).parents[2]
SMALL = {"encoder_embed_dim": 8}
SMALL_ROI_SIZE = (64, 64, 64)


def make_adapter(**options: str) -> Any:
    """Make the adapter with the small network and window."""
    file = ROOT / "adapters" / "vista3d.py"
    adapter = import_adapter_file(file)
    adapter.NETWORK.update(SMALL)
    adapter.ROI_SIZE = SMALL_ROI_SIZE
    return adapter.make_adapter(**parse_options(file, options))


def write_weights(file: Path, network: dict[str, Any]) -> None:
    """Write random weights as the challenge's checkpoint is: a flat dictionary of tensors."""
    import torch
    from monai.networks.nets.vista3d import vista3d132

    torch.manual_seed(3)
    torch.save(vista3d132(in_channels=1, **network).state_dict(), file)


if __name__ == "__main__":
    write_weights(Path(sys.argv[1]), {} if sys.argv[2:] == ["published"] else SMALL)
