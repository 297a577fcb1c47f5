"""The contract, over every adapter that can be found, through its own worker process."""

import sys
from pathlib import Path

import numpy as np
import pytest

from segbench.core import Image
from segbench.data.challenge_npz import write_case
from segbench.errors import AdapterNotFound
from segbench.models.check_cases import check_cases, check_interactions
from segbench.models.contract_check import check_contract
from segbench.models.environments import find_interpreter
from segbench.models.in_process import InProcessModel
from segbench.models.registry import (
    adapter_names,
    find_adapter,
    has_own_environment,
    source_sha256,
    sources_of,
)
from segbench.models.supervisor import WorkerModel
from segbench.models.worker_process import WorkerConfig
from segbench.protocol.interaction import validated_output
from segbench_adapters import kit
from tests.peers.smallest import options_for, smallest, why_not

NAMES = adapter_names()
METHODS = """
    def set_image(self, image, labels): ...
    def predict(self, interactions): ...
"""


CASES = check_cases()


@pytest.fixture(scope="module")
def references(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("references")
    for case in CASES:
        write_case(folder / f"{case.name}.npz", case)
    return folder


@pytest.fixture(scope="module", params=NAMES)
def model(request, references, tmp_path_factory):
    """Return an adapter in a worker process, one for all of its tests."""
    folder = tmp_path_factory.mktemp(request.param)
    file, options, python = smallest(request.param, references, folder)
    environment = WorkerConfig(python=find_interpreter(file, python), step_timeout=300)
    model = WorkerModel(file, options, environment)
    yield model
    model.close()


def segment(model, case, *args, **kwargs):
    """Return a validated_output label map; fail with the adapter's own reason."""
    found = validated_output(
        model.predict(check_interactions(case, *args, **kwargs)), case.reference.shape
    )
    assert found.failure is None, found.failure
    return found.segmentation


def test_it_breaks_no_rule_of_the_contract(model):
    """This closes the worker: the next test gets a new one, with the image of its own."""
    findings = list(check_contract(lambda: model, CASES))
    assert [finding.line for finding in findings if finding.status == "failed"] == []
    assert "licence" not in {finding.rule for finding in findings}
    assert findings[-1].rule == "cost"


@pytest.mark.slow
def test_ours_with_its_bundled_weights_breaks_no_rule_of_the_contract():
    """It takes about 40 s; the test above has the same code with a tiny network."""
    model = WorkerModel(find_adapter("ours"), {}, WorkerConfig(step_timeout=300))
    findings = list(check_contract(lambda: model, CASES))
    assert {finding.status for finding in findings} == {"ok"}
    assert findings[-1].rule == "cost"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300], ids=str)
def test_all_adapters_treat_non_finite_voxels_alike(model, value):
    if model.info.sees_reference or not model.info.deterministic:
        pytest.skip("finds the case by the voxels, or passes them on")
    voxels = CASES[0].image.voxels.astype(np.float64)
    voxels[tuple(size // 2 for size in voxels.shape)] = value
    segmentations = []
    for image_voxels in (voxels, kit.finite_image(voxels)):
        model.set_image(Image(image_voxels, CASES[0].image.spacing), CASES[0].labels)
        segmentations.append(segment(model, CASES[0], 1))
    np.testing.assert_array_equal(*segmentations)


def test_it_survives_a_replaced_worker(model):
    if not model.info.deterministic:
        pytest.skip("is not deterministic")
    model.set_image(CASES[0].image, CASES[0].labels)
    before = segment(model, CASES[0], 2)
    model.close()
    np.testing.assert_array_equal(segment(model, CASES[0], 2), before)


def test_it_does_not_change_its_inputs(references, tmp_path):
    for name in NAMES:
        file, options = find_adapter(name), options_for(name, references, tmp_path)
        if why_not(name, options):
            continue
        local, case = InProcessModel.load(file, options), CASES[0]
        voxels, previous = case.image.voxels.copy(), case.reference.copy()
        local.set_image(case.image, case.labels)
        local.predict(check_interactions(case, 1, case.reference))
        local.close()
        np.testing.assert_array_equal(case.image.voxels, voxels)
        np.testing.assert_array_equal(case.reference, previous)


def test_in_process_and_worker_give_the_same_segmentation(model, references):
    if has_own_environment(model.file) or model.file.parent.name == "peers":
        pytest.skip("its packages are not in this process")
    local = InProcessModel.load(model.file, model.options)
    for each in (local, model):
        each.set_image(CASES[1].image, CASES[1].labels)
    np.testing.assert_array_equal(segment(local, CASES[1], 1), segment(model, CASES[1], 1))
    local.close()


# ---- one by one ------------------------------------------------------------------------------


def predict_in_process(name, step, **options):
    local = InProcessModel.load(find_adapter(name), options)
    local.set_image(CASES[0].image, CASES[0].labels)
    found = local.predict(check_interactions(CASES[0], step))
    assert found.failure is None, found.failure
    return found.segmentation


def test_the_oracle_returns_the_reference_from_its_step_on(references):
    options = {"references": str(references), "from_step": "2"}
    assert not predict_in_process("oracle", 1, **options).any()
    np.testing.assert_array_equal(predict_in_process("oracle", 2, **options), CASES[0].reference)


def test_empty_is_empty():
    assert not predict_in_process("empty", 2).any()


def test_boxfill_fills_its_box():
    segmentation = predict_in_process("boxfill", 0)
    assert (segmentation[2:6, 3:9, 4:14] == 1).all()
    assert (segmentation == 1).sum() == 4 * 6 * 10


def test_the_inscribed_ellipsoid_touches_its_box_and_fills_about_half_of_it():
    from segbench.models.loading import load_adapter

    file = find_adapter("ellipsoid")
    load_adapter(file, {})

    ellipsoid = sys.modules["segbench_adapter_ellipsoid.ellipsoid"].inscribed_ellipsoid
    mask = ellipsoid((41, 61, 101))
    assert abs(mask.mean() - np.pi / 6) < 0.01
    assert all(mask.any(axis=(b, c)).all() for b, c in ((1, 2), (0, 2), (0, 1)))
    assert ellipsoid((1, 1, 1)).all()


def test_a_name_may_have_hyphens_and_for_a_wrong_one_a_similar_one_is_suggested(tmp_path):
    assert find_adapter("boxfill").name == "boxfill.py"
    with pytest.raises(AdapterNotFound, match="did you mean 'ellipsoid'"):
        find_adapter("elipsoid")
    file = tmp_path / "mine.py"
    file.write_text("")
    assert find_adapter(str(file)) == file


def test_the_source_hash_includes_every_file_of_a_folder(tmp_path):
    (tmp_path / "__init__.py").write_text("a")
    before = source_sha256(tmp_path / "__init__.py")
    (tmp_path / "network.py").write_text("b")
    assert source_sha256(tmp_path / "__init__.py") != before


def test_a_single_file_may_import_files_next_to_it_and_its_hash_includes_them(tmp_path):
    shared, further = tmp_path / "_shared.py", tmp_path / "_further.py"
    further.write_text("VERSION = '1'\n")
    shared.write_text("from ._further import VERSION\n")
    unrelated = tmp_path / "_unrelated.py"
    unrelated.write_text("")
    for name in ("one", "two"):
        (tmp_path / f"{name}.py").write_text(
            "from segbench.core import AdapterInfo\n"
            "from ._shared import VERSION\n"
            "class Mine:\n"
            f"    info = AdapterInfo('{name}', version=VERSION)\n"
            f"{METHODS}"
            "make_adapter = Mine\n"
        )
    one, two = tmp_path / "one.py", tmp_path / "two.py"
    assert [InProcessModel.load(file, {}).info.name for file in (one, two)] == ["one", "two"]
    assert sources_of(one) == [further, shared, one]
    before = source_sha256(one)
    unrelated.write_text("# changed")
    assert source_sha256(one) == before
    further.write_text("VERSION = '2'\n")
    assert source_sha256(one) != before


def test_a_folder_may_import_files_next_to_it_and_its_hash_includes_them(tmp_path):
    shared, folder = tmp_path / "_shared.py", tmp_path / "mine"
    (folder / "inner").mkdir(parents=True)
    shared.write_text("VERSION = '1'\n")
    (folder / "inner" / "__init__.py").write_text("from ..._shared import VERSION\n")
    adapter = folder / "__init__.py"
    adapter.write_text(
        "from segbench.core import AdapterInfo\n"
        "from .inner import VERSION\n"
        "class Mine:\n"
        "    info = AdapterInfo('mine', version=VERSION)\n"
        f"{METHODS}"
        "make_adapter = Mine\n"
    )
    assert InProcessModel.load(adapter, {}).info.version == "1"
    assert sources_of(adapter) == [shared, adapter, folder / "inner" / "__init__.py"]
    before = source_sha256(adapter)
    shared.write_text("VERSION = '2'\n")
    assert source_sha256(adapter) != before


def test_two_adapters_of_one_name_have_their_own_shared_modules(tmp_path):
    versions = []
    for place in ("one", "two"):
        folder = tmp_path / place
        folder.mkdir()
        (folder / "_shared.py").write_text(f"VERSION = {place!r}\n")
        (folder / "my.model.py").write_text(
            "from segbench.core import AdapterInfo\n"
            "from ._shared import VERSION\n"
            "class Mine:\n"
            "    info = AdapterInfo('mine', version=VERSION)\n"
            f"{METHODS}"
            "make_adapter = Mine\n"
        )
        versions.append(InProcessModel.load(folder / "my.model.py", {}).info.version)
    assert versions == ["one", "two"]


def test_the_source_hash_includes_shared_packages_and_ignores_what_is_not_there(tmp_path):
    (tmp_path / "_lib" / "deep").mkdir(parents=True)
    files = [tmp_path / "_lib" / name for name in ("__init__.py", "part.py", "deep/__init__.py")]
    for file in files:
        file.write_text("")
    adapter = tmp_path / "mine.py"
    adapter.write_text(
        "from ._lib import part\nfrom ._lib.deep import x\n" + f"from {'.' * 50}far import y\n"
    )
    assert set(sources_of(adapter)) == {adapter, *files}


def test_a_file_that_is_not_valid_python_can_be_hashed(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("def (\n")
    assert sources_of(file) == [file]


def test_a_pep_723_header_is_found(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("# /// script\n# dependencies = []\n# ///\n")
    assert has_own_environment(file)
    assert not has_own_environment(find_adapter("boxfill"))
