"""The authors' challenge script over a folder of input files, to compare the adapter with.

Run by an interpreter that has nnInteractive, without segbench:

    python nninteractive_oracle.py PREDICT MODEL INPUTS OUTPUTS

PREDICT is the script's file, or - for the one in the installed package. It runs unchanged, except
for the device (CUDA in the script), the number of threads, and the seed of numpy's generator, which
the session uses. For a case that raises an exception, a text file is written instead of an
array.
"""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import torch


def load(place: str):
    """Return the authors' script as a module."""
    if place == "-":
        from nnInteractive.inference.cvpr2025_challenge_baseline import predict

        return predict
    spec = importlib.util.spec_from_file_location("predict", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(place: str, model: str, inputs: str, outputs: str) -> None:
    """Segment every file, each with its own session."""
    predict = load(place)
    predict.CHECKPOINT_DIR = model
    session = predict.nnInteractiveInferenceSession

    def on_cpu(device, torch_n_threads, **options):
        threads = torch.get_num_threads()
        created = session(device=torch.device("cpu"), torch_n_threads=threads, **options)
        run_network = created._predict

        def predict_seeded():
            np.random.seed(0)
            return run_network()

        created._predict = predict_seeded
        return created

    predict.nnInteractiveInferenceSession = on_cpu
    for file in sorted(Path(inputs).glob("*.npz")):
        case = np.load(file, allow_pickle=True)
        interactions = [case.get(key) for key in ("boxes", "clicks", "clicks_order", "prev_pred")]
        try:
            segmentation = predict.run_inference(
                case["imgs"], tuple(case["spacing"]), *interactions
            )
        except Exception as error:
            Path(outputs, f"{file.stem}.txt").write_text(f"{type(error).__name__}: {error}")
        else:
            np.save(Path(outputs, f"{file.stem}.npy"), segmentation)


if __name__ == "__main__":
    main(*sys.argv[1:])
