"""The architecture, as a test: which module may import which."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE, ADAPTERS = ROOT / "segbench", ROOT / "adapters"
LAYERS = [
    {"errors", "core", "pickles"},
    {
        "adapter",
        "bits",
        "boxes",
        "challenge",
        "leases",
        "official",
        "painting",
        "finite_image",
        "progress",
        "validation",
    }
    | {"threads"},
    {"comparison", "depth", "distances"},
    {"metrics"},
    {"simulator"},
    {"dataset", "environments", "exchange", "predictions", "results", "scoring", "session"}
    | {"training", "worker", "workplace"},
    {"supervisor"},
    {"evaluation", "manifest", "models", "phantoms", "report"},
    {"fetching", "predict", "rescore", "sharing"},
    {"runner"},
    {"cli"},
    {"__init__", "__main__"},
]
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
ADAPTERS_MAY = {"core", "errors", "challenge", "exchange", "finite_image", "painting"}
FOREIGN = {"__init__", "errors", "core", "pickles", "challenge", "exchange", "painting"}
FOREIGN |= {"adapter", "finite_image", "worker"}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def module_of(file: Path) -> str:
    """Return the part of the package a file belongs to: a module or a sub-package."""
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(file: Path) -> set[str]:
    """Return every module a file imports, wherever it does."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def from_segbench(file: Path) -> set[str]:
    return {name.split(".")[1] for name in imported(file) if name.startswith("segbench.")}


def violations(file: Path, module: str) -> list[str]:
    """Return the imports of a file that do not point downward."""
    return [
        f"{module} imports {other}"
        for other in sorted(from_segbench(file))
        if other != module and RANK[other] != 0 and RANK[other] >= RANK[module]
    ]


@pytest.mark.parametrize("file", modules(), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_point_downward(file):
    assert violations(file, module_of(file)) == []


def test_the_rule_sees_an_import_that_points_up(tmp_path):
    file = tmp_path / "metrics.py"
    file.write_text("def f():\n    from segbench.session import interact\n")
    assert violations(file, "metrics") == ["metrics imports session"]


def test_core_imports_nothing_but_numpy_and_the_standard_library():
    roots = {name.split(".")[0] for name in imported(PACKAGE / "core.py")}
    assert roots - set(sys.stdlib_module_names) == {"numpy"}


@pytest.mark.parametrize("module", sorted(FOREIGN))
def test_what_runs_in_foreign_environments_needs_numpy_alone(module):
    tree = ast.parse((PACKAGE / f"{module}.py").read_text(encoding="utf-8"), feature_version=(3, 9))
    top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    roots = {
        (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name).split(".")[0]
        for node in top
    }
    assert roots - set(sys.stdlib_module_names) <= {"numpy", "segbench"}


@pytest.mark.parametrize(
    "file", sorted(ADAPTERS.rglob("*.py")), ids=lambda file: str(file.relative_to(ADAPTERS))
)
def test_adapters_see_only_the_contract(file):
    training = "training" in file.parts
    assert from_segbench(file) <= ADAPTERS_MAY | ({"simulator", "boxes"} if training else set())


@pytest.mark.parametrize("file", modules(), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_each_dependency_stays_where_it_belongs(file):
    roots, module = {name.split(".")[0] for name in imported(file)}, module_of(file)
    homes = {
        "click": {"cli"},
        "pandas": {"results", "report"},
        "matplotlib": {"report"},
        "joblib": {"sharing"},
        "rich": {"progress"},
        "huggingface_hub": {"fetching"},
        "torch": set(),
    }
    assert [name for name, home in homes.items() if name in roots and module not in home] == []


def test_no_module_names_a_model():
    sources = [file.read_text(encoding="utf-8") for file in modules()]
    assert not any("adapters.ours" in source or "_adapters.ours" in source for source in sources)


def test_the_harness_imports_without_torch():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import segbench.cli, segbench.runner, segbench.report, segbench.phantoms"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_help_and_the_contract_load_nothing_heavy():
    code = "import segbench.cli, segbench.adapter, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert not loaded & {"torch", "scipy", "pandas", "cc3d", "matplotlib", "joblib", "rich"}
