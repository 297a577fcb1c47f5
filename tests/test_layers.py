"""The architecture, as a test: which module may import which."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE, ADAPTERS, KIT = ROOT / "segbench", ROOT / "adapters", ROOT / "segbench_adapters"
BASE = [
    *(
        "errors",
        "messages",
        "activity",
        "files",
        "arrays",
        "text_table",
        "core",
        "results",
        "threads",
    ),
    *("processes", "keywords", "overview", "contract"),
]
# layers, the lowest first: a package imports only from layers below its own
# (docs/architecture.md)
LAYERS = [
    [*BASE],
    ["protocol"],
    ["further_metrics"],
    ["data"],
    ["models"],
    ["runs"],
    ["report", "phantoms"],
    ["run_result"],
    ["cli", "evaluation", "case_conversion", "rescoring"],
    ["__init__", "__main__"],
]
# inside a package imports point one way, too: a module imports only from those before it
ORDER = {
    "": BASE,
    "protocol": [
        *("validation", "boxes", "packed_mask", "depth", "surface_distances"),
        *("surface_normals", "metrics", "mask_pairs", "scoring", "simulator", "interaction"),
    ],
    "further_metrics": [
        *("metric", "voxel_surfaces", "distances", "lesions", "poor_predictions", "mask_pair"),
        *("own_function", "prepared_case"),
    ],
    "data": [
        *(
            "pickled_numpy",
            "safe_pickle",
            "case_grid",
            "challenge_boxes",
            "challenge_npz",
            "dataset",
        ),
        *("case_folder", "case_arrays", "pool", "convert", "check"),
        *("archives", "hub", "fetch_record", "fetch"),
    ],
    "data.convert": [
        *("volume", "nifti", "slabs", "stored_bytes", "label_voxels"),
        *("nifti_scaling", "nifti_reader", "itk_header", "itk"),
        *("text_files", "label_names", "label_rule"),
        *("dicom_files", "dicom_references"),
        *("dicom_frames", "dicom_grid", "dicom_pixels", "dicom_series"),
        *("dicom_painting", "dicom_placing", "dicom_seg", "dicom_polygons", "dicom_rtstruct"),
        *("dicom_labels", "dicom"),
        *("readers", "percentiles", "intensity", "labels"),
        *("components", "box_rule", "grids", "scan", "pairing", "pair_list", "nnunet", "bids"),
        *("layouts", "rules", "case_maker", "conversion_record", "conversion", "batch"),
        *("index_csv", "conversion_report", "convert_data", "option_values", "request"),
    ],
    "data.check": [
        *("codes", "finding", "file", "geometry", "intensity", "metric", "labels", "boxes"),
        *("case", "dataset", "against", "check_data", "text"),
    ],
    "models": [
        *("adapter_option", "adapter_source", "source_files"),
        *("adapter_failure", "adapter_contract", "loading"),
        *("prompt_painting", "submission_npz", "worker", "registry"),
        *("environments", "weights", "resolve", "model_page", "download", "training"),
        *("scratch", "stderr_tail", "worker_process", "supervisor", "in_process", "given"),
        *("check_cases", "check_questions", "check_findings", "check_order", "contract_check"),
    ],
    "runs": [
        *("json_files", "config", "case_json", "manifest_json"),
        *(
            "run_folder",
            "derived_json",
            "json_schema",
            "run_data",
            "prediction_store",
            "metrics_csv",
            "case_locks",
        ),
        *("pace", "progress", "progress_count"),
        *("step_channel", "job", "manifest", "pending_cases", "run_case", "backends"),
        *("runner", "verify", "derived_case", "rescore_case", "rescore", "dry_run", "submission"),
    ],
    "runs.backends": ["base", "serial", "loky"],
    "report": [
        *("modalities", "published", "private_text", "written_files"),
        *("run_folders", "compared_runs", "method_facts", "derived_rows", "frames"),
        *("comparison", "derived_values", "clusters", "case_scores", "resampling"),
        *("paired_tests", "pairs", "statistics", "leaders", "ranks", "ranking"),
        *("case_groups", "insight", "method_order", "choices", "sensitivity"),
        *("tables", "parts", "figures", "page", "check_page", "report_folder"),
        *("ranking_text", "compare", "compare_text", "challenger", "card_text", "card", "export"),
        *("volumes", "parity", "viewer"),
    ],
    "report.parity": [
        *("causes", "metrics_table", "official_folder", "stored_maps", "rescored", "expected"),
        *("row_facts", "row_tests", "step_tests", "summary_tests", "compare_case"),
        *("folder_tests", "find_parity", "parity_text"),
    ],
    "report.figures": [
        *("options", "figure", "style", "notes", "curves", "steps", "noc", "differences"),
        *("rank_stability", "significance", "dsc_nsd", "seconds"),
        *("case_choice", "case_views", "click_numbers", "case_drawing", "case_pictures"),
    ],
    "report.viewer": [
        *("encoding", "window", "thumbnail", "case_data", "plan", "case_list"),
        *("documents", "write"),
    ],
    "report.volumes": [
        *("masks", "numbers", "colours", "placement", "markups", "slicer_script", "plan", "write"),
    ],
    "report.tables": [
        *("table", "render", "latex", "options", "means", "uncertainty", "notes"),
        *("by_modality", "by_box", "by_step", "by_dataset"),
        *("by_label", "ranking", "pairs", "own_cases", "time_limit", "facts", "failures"),
        *("saturation", "insight", "sensitivity"),
    ],
    "report.tables.latex": ["text", "columns", "rows", "layout"],
    "phantoms": ["scene", "cases", "orientations", "files"],
    "cli": [
        *(
            "misuse",
            "option_types",
            "completion",
            "params",
            "confirm",
            "options",
            "group",
            "interruption",
            "check",
            "run_end",
            "run",
            "verify",
            "report",
            "rank",
            "compare",
            "export",
            "parity",
            "rescore",
            "train",
            "predict",
            "models",
            "phantoms",
            "fetch",
            "convert_options",
            "convert",
        ),
    ],
}
LAYER = {name: layer for layer, names in enumerate(LAYERS) for name in names}
ADAPTERS_MAY = {
    *("core", "errors", "contract", "data.challenge_npz"),
    *("models.prompt_painting", "models.submission_npz"),
}
KIT_MAY = {"arrays", "errors", "files"}
FOREIGN = {
    *("__init__", "arrays", "core", "errors", "contract", "files", "messages"),
    *("data.__init__", "data.case_grid", "data.challenge_boxes", "data.challenge_npz"),
    *("data.pickled_numpy", "data.safe_pickle", "models.__init__"),
    *("models.adapter_option", "models.adapter_source", "models.adapter_failure"),
    *("models.adapter_contract", "models.source_files"),
    *("models.loading", "models.prompt_painting", "models.submission_npz", "models.worker"),
}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def module_of(file: Path) -> str:
    """Return the name of a module below segbench, such as protocol.metrics."""
    return ".".join(file.relative_to(PACKAGE).with_suffix("").parts)


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
    """Return the modules of segbench that a file imports, by their names below segbench."""
    known = {module_of(each) for each in modules()}
    found = set()
    for name in imported(file):
        parts = name.split(".")[1:] if name.startswith("segbench.") else []
        for end in range(len(parts), 0, -1):
            inner = ".".join(parts[:end])
            if inner in known or f"{inner}.__init__" in known:
                found.add(inner if inner in known else f"{inner}.__init__")
                break
    return found


def points_down(module: str, other: str) -> bool:
    """Whether ``module`` may import ``other``."""
    mine, its = module.split("."), other.split(".")
    if LAYER[mine[0]] != LAYER[its[0]]:
        return LAYER[mine[0]] > LAYER[its[0]]
    if LAYER[mine[0]] > 0 and mine[0] != its[0]:
        return False  # two packages of one layer
    shared = 0
    while shared < min(len(mine), len(its)) - 1 and mine[shared] == its[shared]:
        shared += 1
    if mine[shared] == "__init__":
        return True  # a package's front may use all that is in it
    order = ORDER[".".join(mine[:shared])]
    return its[shared] != "__init__" and order.index(its[shared]) < order.index(mine[shared])


def violations(file: Path, module: str) -> list[str]:
    """Return the imports of a file that do not point downward."""
    others = sorted(from_segbench(file) - {module})
    return [f"{module} imports {other}" for other in others if not points_down(module, other)]


@pytest.mark.parametrize("file", modules(), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_point_downward(file):
    assert violations(file, module_of(file)) == []


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("protocol.metrics", "from segbench.protocol.interaction import interact"),
        ("protocol.metrics", "def f():\n    from segbench.data import dataset"),
        ("protocol.metrics", "import segbench.protocol.simulator"),
        ("core", "from segbench import contract"),
        ("report.tables.table", "from segbench.report.page import html_page"),
        ("report.frames", "from segbench.report.tables.means import mean"),
        ("runs.runner", "from segbench.report.frames import load"),
        ("phantoms.scene", "from segbench.report.modalities import modality_code"),
        ("evaluation", "from segbench.cli.options import SECONDS"),
    ],
)
def test_the_rule_sees_an_import_that_points_up(tmp_path, module, text):
    file = tmp_path / "module.py"
    file.write_text(text + "\n")
    assert len(violations(file, module)) == 1


def test_the_adapters_page_names_everything_that_adapters_may_import():
    page = (ROOT / "docs" / "adapters.md").read_text(encoding="utf-8")
    section = page.split("### Allowed imports")[1].split("\n### ")[0]
    named = set(re.findall(r"`segbench\.([a-z_.]+)`", section))
    assert named == ADAPTERS_MAY


def test_every_module_has_its_place():
    for module in map(module_of, modules()):
        package, _, name = module.rpartition(".")
        if name not in ("__init__", "__main__") and package:
            assert name in ORDER[package], module


def test_core_imports_nothing_but_numpy_and_the_standard_library():
    roots = {name.split(".")[0] for name in imported(PACKAGE / "core.py")}
    assert roots - set(sys.stdlib_module_names) == {"numpy"}


FOREIGN_FILES = [
    *(PACKAGE / f"{module.replace('.', '/')}.py" for module in sorted(FOREIGN)),
    *sorted(KIT.rglob("*.py")),
]


@pytest.mark.parametrize("file", FOREIGN_FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_what_runs_in_foreign_environments_needs_numpy_alone(file):
    tree = ast.parse(file.read_text(encoding="utf-8"), feature_version=(3, 9))
    top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    roots = {
        (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name).split(".")[0]
        for node in top
        if not getattr(node, "level", 0)
    }
    assert roots - set(sys.stdlib_module_names) <= {"numpy", "segbench"}


@pytest.mark.parametrize(
    "file", sorted(ADAPTERS.rglob("*.py")), ids=lambda file: str(file.relative_to(ADAPTERS))
)
def test_adapters_see_only_the_contract_and_the_kit(file):
    of_kit = {name for name in imported(file) if name.startswith("segbench_adapters")}
    assert of_kit <= {"segbench_adapters.kit"}
    found = from_segbench(file)
    if "training" in file.parts:
        found = {module for module in found if not module.startswith("protocol.")}
    assert found <= ADAPTERS_MAY


@pytest.mark.parametrize("file", sorted(KIT.rglob("*.py")), ids=lambda file: file.name)
def test_the_kit_sees_little_of_segbench(file):
    assert from_segbench(file) <= KIT_MAY


@pytest.mark.parametrize("file", modules(), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_each_dependency_stays_where_it_belongs(file):
    roots, module = {name.split(".")[0] for name in imported(file)}, module_of(file)
    homes = {
        "click": "cli",
        "pandas": "report",
        "matplotlib": "report",
        "joblib": "runs.backends",
        "rich": "runs.progress",
        "pydantic": "runs",
        "platformdirs": "models",
        "huggingface_hub": "data.hub",
        "nibabel": "data.convert",
        "pydicom": "data.convert",
        "SimpleITK": "data.convert",
        "yaml": "data.convert",
        "torch": "nowhere",
        "segbench_adapters": "nowhere",
    }
    assert [name for name, home in homes.items() if name in roots and home not in module] == []


def test_no_module_names_a_model():
    sources = [file.read_text(encoding="utf-8") for file in modules()]
    assert not any("adapters.ours" in source or "_adapters.ours" in source for source in sources)


def test_the_harness_imports_without_torch():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import segbench.cli, segbench.runs.runner, segbench.report, segbench.phantoms"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


SCORE = """
import numpy, segbench
part = numpy.zeros((4, 9, 9), numpy.uint8)
part[1:3, 2:7, 2:7] = 1
assert segbench.score(numpy.roll(part, 1, 2), part, (1.0, 1.0, 1.0))[0].nsd == 1
"""


@pytest.mark.parametrize(
    "code",
    ["import segbench.cli, segbench.contract, segbench.models.registry", SCORE],
    ids=["help and the contract", "a score"],
)
def test_what_must_start_quickly_loads_nothing_heavy(code):
    command = [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    heavy = {"torch", "scipy", "pandas", "cc3d", "matplotlib", "joblib", "rich", "pydantic"}
    assert not loaded & heavy
