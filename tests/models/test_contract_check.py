"""`segbench models check`: each broken rule is found by its own name."""

import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from segbench.cli import cli
from segbench.models.check_cases import check_cases, check_interactions, next_check_interactions
from segbench.models.contract_check import check_contract
from segbench.models.supervisor import WorkerModel
from segbench.models.worker_process import WorkerConfig

BASE = """
import os
import numpy as np
from segbench.core import AdapterInfo
from segbench.models.prompt_painting import paint_prompts


class Base:
    info = AdapterInfo("mine", version="2", licence="MIT")

    def set_image(self, image, labels):
        self.image, self.labels = image, labels

    def predict(self, interactions):
        return paint_prompts(interactions, lambda size: np.ones(size, bool))


class Mine(Base):
    {body}


make_adapter = Mine
"""
BROKEN = {
    "loads": "def predict(self): ...",
    "info": "info = AdapterInfo('mine', licence='MIT', prompts=('text',))",
    "set_image": "def set_image(self, image, labels): raise MemoryError('too large')",
    "predict": "def predict(self, interactions): return None",
    "shape": "def predict(self, interactions): return super().predict(interactions).T",
    "dtype": "def predict(self, interactions): return super().predict(interactions) > 0",
    "range": "def predict(self, interactions): return super().predict(interactions) - np.int16(1)",
    "labels": "def predict(self, interactions): return super().predict(interactions) * 3",
    "second image": """
    def set_image(self, image, labels):
        assert image.voxels.dtype == np.uint8
        super().set_image(image, labels)
""",
    "asked twice": """
    def set_image(self, image, labels):
        self.calls = 0

    def predict(self, interactions):
        self.calls += 1
        found = super().predict(interactions)
        found[0, 0, 0] = self.calls > 4
        return found
""",
    "out of order": """
    def set_image(self, image, labels):
        self.found = np.zeros(image.voxels.shape, np.uint8)

    def predict(self, interactions):
        for prompt in interactions.new:
            if hasattr(prompt, "voxel"):
                self.found[prompt.voxel] = prompt.label
        return self.found
""",
    "forgets the last image": """
    def set_image(self, image, labels):
        if not hasattr(self, "labels"):
            super().set_image(image, labels)

    def predict(self, interactions):
        return np.where(self.image.voxels > 60, 1, 0).astype(np.uint8)
""",
    "deterministic": """
    def predict(self, interactions):
        found = super().predict(interactions)
        found[0, 0, :8] = np.frombuffer(os.urandom(8), np.uint8) % 3
        return found
""",
    "without boxes": """
    def predict(self, interactions):
        return super().predict(interactions) * int(interactions.boxes[0].label > 0)
""",
}
WARNED = {
    "licence": "info = AdapterInfo('mine')",
    "background": "def predict(self, interactions): return super().predict(interactions) * 0",
    "clicks": """
    def predict(self, interactions):
        found = np.zeros(self.image.voxels.shape, np.uint8)
        found[0] = 1
        return found
""",
    "label numbers": """
    def predict(self, interactions):
        found = super().predict(interactions)
        return np.searchsorted((0, *self.labels), found).astype(np.uint8)
""",
}
# each keeps something of an earlier step, and only the rule that forbids this is broken
KEEPS = {
    "needs step 0": """
    def predict(self, interactions):
        if interactions.step == 0:
            self.state = interactions.boxes
        assert self.state is not None
        return super().predict(interactions)
""",
    "needs step 0, which has no boxes": """
    def predict(self, interactions):
        if interactions.step == 0:
            self.found = np.zeros(self.image.voxels.shape, np.uint8)
            for box in interactions.boxes:
                self.found[tuple(map(slice, box.low, box.high))] = box.label
        return np.maximum(self.found, super().predict(interactions))
""",
    "is another without step 0": """
    def set_image(self, image, labels):
        super().set_image(image, labels)
        self.level = 0

    def predict(self, interactions):
        if interactions.step == 0:
            self.level = 60
        return (self.image.voxels > self.level).astype(np.uint8)
""",
}
RIGHT_AFTER_THE_BOX = """
    def predict(self, interactions):
        bright, found = self.image.voxels >= 80, super().predict(interactions)
        for box in interactions.boxes:
            inside = tuple(map(slice, box.low, box.high))
            found[inside] = box.label
        found[~bright] = 0
        return found
"""
OK = ["loads", "info", "steps", "labels", "out of order", "asked twice"]
OK += ["forgets the last image", "without boxes", "cost"]


@pytest.fixture
def findings(tmp_path):
    """Return a function that checks an adapter in worker processes."""

    def check(body: str):
        file = tmp_path / "mine.py"
        file.write_text(BASE.replace("{body}", body))
        config = WorkerConfig(step_timeout=60, threads=1)
        return list(check_contract(lambda: WorkerModel(file, {}, config), check_cases()))

    return check


def rules(findings, status):
    return [finding.rule for finding in findings if finding.status == status]


def test_an_adapter_that_keeps_the_contract_has_no_finding(findings):
    found = findings("pass")
    assert [(finding.status, finding.rule) for finding in found] == [("ok", rule) for rule in OK]
    assert "\n" not in "".join(finding.line for finding in found)


@pytest.mark.parametrize("rule", BROKEN)
def test_a_broken_rule_is_found_by_its_name_and_no_other_is(findings, rule):
    assert rules(findings(BROKEN[rule]), "failed") == [rule]


@pytest.mark.parametrize("kept", KEEPS)
def test_what_an_earlier_step_left_is_named_by_its_rule_and_first(findings, kept):
    found = findings(KEEPS[kept])
    assert rules(found, "failed") == ["out of order"]
    (text,) = [finding.text for finding in found if finding.status == "failed"]
    assert "step 0" in text or "on a fresh image" in text
    assert text.endswith("; keep nothing between calls of predict: docs/adapters.md")


def test_a_model_that_has_no_error_after_the_box_is_not_told_that_clicks_do_nothing(findings):
    found = findings(RIGHT_AFTER_THE_BOX)
    assert [(finding.status, finding.rule) for finding in found] == [("ok", rule) for rule in OK]


@pytest.mark.parametrize(
    ("method", "line"),
    [
        (
            "set_image(self, image, labels)",
            "failed   set_image               step 0: setting the image: timed out: took more th",
        ),
        (
            "predict(self, interactions)",
            "failed   predict                 step 0: timed out: took more than 50 s",
        ),
        (
            "__init__(self)",
            "failed   loads                   mine: cannot be loaded: timed out: took more",
        ),
    ],
)
def test_a_model_that_hangs_has_failed(tmp_path, method, line, hangs_once):
    file, hangs = tmp_path / "mine.py", tmp_path / "hangs"
    body = f"def {method}: open({str(hangs)!r}, 'w').close(); time.sleep(60)"
    file.write_text(BASE.replace("{body}", body).replace("import os", "import time"))
    hangs_once(hangs)
    result = CliRunner().invoke(cli, ["models", "check", str(file), "--step-timeout", "50"])
    assert result.exit_code == 1, result.output
    (failed,) = [line for line in result.output.splitlines() if line.startswith("failed")]
    assert failed.startswith(line)


def test_clicks_are_where_the_answer_is_wrong():
    case, _ = check_cases()
    asked = check_interactions(case, 0)
    wrong = np.where(case.reference == 1, 0, case.reference)
    (first,) = next_check_interactions(case, asked, wrong).new
    assert (first.label, first.positive) == (1, True)
    assert case.reference[first.voxel] == 1
    assert next_check_interactions(case, asked, case.reference).new == ()


@pytest.mark.parametrize("rule", WARNED)
def test_what_is_allowed_but_unusual_is_a_warning(findings, rule):
    found = findings(WARNED[rule])
    assert rules(found, "failed") == []
    assert rules(found, "warning") == [rule]


def test_the_last_image_may_show_only_in_the_next_one(findings):
    """The image is replaced, but a value computed from the first one stays."""
    body = """
    def set_image(self, image, labels):
        super().set_image(image, labels)
        self.level = getattr(self, "level", image.voxels.mean())

    def predict(self, interactions):
        return (self.image.voxels > self.level).astype(np.uint8)
"""
    found = findings(body)
    assert rules(found, "failed") == ["forgets the last image"]
    (text,) = [finding.text for finding in found if finding.status == "failed"]
    assert text.startswith("B after A, and alone: ")
    assert text.endswith(
        " voxels differ; drop all of the last image in set_image: docs/adapters.md"
    )


def test_an_adapter_that_says_it_is_random_is_not_compared(findings):
    info = "info = AdapterInfo('mine', licence='MIT', deterministic=False)\n"
    found = findings(info + BROKEN["deterministic"])
    assert rules(found, "failed") == []
    assert rules(found, "ok") == OK
    assert "not compared" in next(each.text for each in found if each.rule == "asked twice")


def test_the_command_says_what_is_wrong_and_exits_with_1(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(BASE.replace("{body}", BROKEN["predict"]))
    result = CliRunner().invoke(cli, ["models", "check", str(file)])
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[-2].split(maxsplit=2) == [
        "failed",
        "predict",
        "step 0: returned None, expected a label map: integers, shape (z, y, x) of the image",
    ]
    assert lines[-1] == f"{file}: 1 failed, 0 warnings"


def test_the_command_takes_names_and_options(scripted):
    passed = CliRunner().invoke(cli, ["models", "check", "boxfill"])
    assert passed.exit_code == 0, passed.output
    assert passed.stdout.endswith("boxfill: nothing failed, 0 warnings\n")
    words = ["models", "check", scripted, "--option", "fail=exit"]
    failed = CliRunner().invoke(cli, words)
    assert failed.exit_code == 1
    assert "step 2: crashed: ended with exit status 3" in failed.output
    refused = CliRunner().invoke(cli, [*words[:3], "--option", "fial=exit"])
    assert refused.exit_code == 2
    assert "did you mean 'fail'?" in refused.output


def test_the_page_lists_every_line_that_is_printed():
    root = Path(__file__).parents[2]
    files = [*(root / "segbench" / "models").glob("*check*.py")]
    source = "\n".join(file.read_text(encoding="utf-8") for file in files)
    in_code = set(re.findall(r'Finding\("\w+", "([\w ]+)"', source)) | {*BROKEN, *WARNED, *OK}
    page = (root / "docs" / "adapters.md").read_text(encoding="utf-8")
    section = page.split("## Check an adapter")[1].split("\n## ")[0]
    assert set(re.findall(r"`([\w ]+)`(?=[^|]* \|)", section)) >= in_code
    rows = [row for row in re.findall(r"^\| `([\w ]+)`", section, re.M) if row in OK]
    assert rows == OK  # in the order of the lines
