"""The kit is there for every adapter, wherever its file is and whatever else is installed."""

import subprocess
import sys

import numpy as np

from segbench.core import Image, Interactions
from segbench.models.supervisor import WorkerModel
from segbench.models.worker_process import WorkerConfig

ADAPTER = """
import numpy as np
from segbench.core import AdapterInfo
from segbench_adapters import kit


class Mine:
    info = AdapterInfo("mine", note=kit.__file__)

    def set_image(self, image, labels):
        self.voxels, self.dtype = kit.finite_image(image.voxels), kit.label_map_dtype(labels)

    def predict(self, interactions):
        return np.isfinite(self.voxels).astype(self.dtype)


def make_adapter():
    return Mine()
"""


def test_a_worker_provides_the_kit_to_an_adapter_in_any_folder(tmp_path):
    (tmp_path / "mine.py").write_text(ADAPTER)
    model = WorkerModel(tmp_path / "mine.py", {}, WorkerConfig(step_timeout=60))
    try:
        model.set_image(Image(np.full((2, 3, 4), np.nan), (1.0, 1.0, 1.0)), (300,))
        output = model.predict(Interactions(((),), np.zeros((2, 3, 4), np.uint8)))
    finally:
        model.close()
    assert output.failure is None
    assert output.segmentation.dtype == np.uint16
    assert output.segmentation.all()


def test_the_kit_needs_numpy_alone():
    """Everything else of an environment is refused here, the standard library excepted."""
    code = (
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        root = name.partition('.')[0]\n"
        "        known = {'numpy', 'segbench', 'segbench_adapters'} | sys.stdlib_module_names\n"
        "        if root not in known:\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "from segbench_adapters import kit\n"
        "assert not {name for name in kit.__all__ if not hasattr(kit, name)}\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
