"""Train a checkpoint of ``ours``.

``python adapters/ours/training/train.py --data DIR --out FILE.safetensors``
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
from pathlib import Path

PACKAGE = "segbench_adapter_ours"


def main() -> None:
    """Parse the command line and train."""
    options = parsed()
    load_package()
    learning = importlib.import_module(f"{PACKAGE}.training.learning")
    run = importlib.import_module(f"{PACKAGE}.training.run")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    schedule = learning.Schedule(options.minutes, config=options.config, seed=options.seed)
    run.train(schedule, options.data, options.out, say)


def parsed() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of training cases (npz)")
    parser.add_argument("--minutes", type=float, default=45, help="wall time of the training")
    parser.add_argument("--out", type=Path, required=True, help="checkpoint to write (safetensors)")
    parser.add_argument("--config", default="small", help="paper or small")
    parser.add_argument("--seed", type=int, default=42)
    return parser.parse_args()


def load_package() -> None:
    """Import the adapter's folder under the name by which segbench knows it."""
    folder = Path(__file__).resolve().parent.parent
    spec = importlib.util.spec_from_file_location(
        PACKAGE, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = module
    spec.loader.exec_module(module)


def say(line: str) -> None:
    """Write a line at once, so that a log file can be followed."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
