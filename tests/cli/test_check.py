"""`segbench check`: three formats, exit status, and files that are replaced or not."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from segbench.cli import cli
from segbench.data.check.codes import CODES, LEVELS
from tests.data.check.planted import FAULTS, clean, several, write

DOCS = Path(__file__).parents[2] / "docs"


def check(*words):
    words = ["check", *map(str, words)]
    return CliRunner().invoke(cli, words, catch_exceptions=False)


@pytest.fixture
def val(tmp_path):
    """Return a folder of six cases: a broken one, five with the same warning."""
    folder = tmp_path / "val"
    several(*(lambda n=n: clean(n) | {"boxes": clean(n)["boxes"][::-1]} for n in range(5)))(folder)
    write(folder, "CT_Toy_006", clean(6) | {"spacing": None})
    return folder


@pytest.mark.parametrize(
    ("code", "strict", "status"),
    [
        ("label-gaps", True, 0),
        ("box-order", False, 0),
        ("box-order", True, 1),
        ("spacing-invalid", False, 1),
    ],
)
def test_the_exit_status_is_1_for_errors_and_for_warnings_if_strict(tmp_path, code, strict, status):
    FAULTS[code](tmp_path / "val")
    result = check(tmp_path / "val", *(["--strict"] if strict else []))
    assert result.exit_code == status
    assert f"{CODES[code].level} {code} (1)" in result.stdout


def test_the_text_is_grouped_and_fits_in_80_columns(val):
    lines = check(val).stdout.splitlines()
    assert max(map(len, lines)) <= 80
    heads = [line for line in lines if line.startswith(LEVELS)]
    assert [head.split(":")[0] for head in heads] == [
        "error spacing-invalid (1)",
        "warning box-order (5)",
    ]
    assert "  and 1 more" in lines
    assert "1 error, 5 warnings, 0 notes in 6 cases; 0 without boxes." in lines


def test_a_long_name_does_not_widen_the_text(tmp_path):
    FAULTS["label-gaps"](tmp_path / "val")
    name = f"CT_{'long' * 50}"
    (tmp_path / "val" / "CT_Toy_001.npz").rename(tmp_path / "val" / f"{name}.npz")
    lines = check(tmp_path / "val").stdout.splitlines()
    assert max(len(line) for line in lines if "per job" not in line and name not in line) <= 80


def test_json_has_all_findings_and_all_cases(val):
    content = json.loads(check(val, "--format", "json").stdout)
    assert content["counts"] == {"error": 1, "warning": 5, "note": 0}
    assert len(content["findings"]) == 6
    first = content["findings"][0]
    assert (first["code"], first["level"], first["case"]) == (
        "spacing-invalid",
        "error",
        "CT_Toy_006",
    )
    assert content["findings"][1]["numbers"] == {"fits": {"1": 2, "2": 1}}
    (case, *_) = content["cases"]
    assert (case["name"], case["shape"], case["labels"]) == ("CT_Toy_001", [26, 60, 66], [1, 2])
    assert case["memory_mb"] == pytest.approx(26 * 60 * 66 * 9 / 1e6, rel=0.01)
    assert len(content["cases"]) == 6


@pytest.mark.parametrize("code", [code for code in FAULTS if "refused" not in code])
def test_every_finding_can_be_written_in_every_format(tmp_path, code):
    FAULTS[code](tmp_path / "val")
    for form in ("json", "html"):
        text = check(tmp_path / "val", "--format", form).stdout
        assert code in text
    assert str(tmp_path) not in text


def test_the_page_loads_no_other_file_and_escapes_what_files_say(val):
    arrays = clean(7)
    write(val, "CT_<b>x_001", {**arrays, "boxes": arrays["boxes"][:1]})
    page = check(val, "--format", "html").stdout
    assert not re.findall(r"(?:src|href)=\"(?!#)", page)
    assert "<b>x" not in page
    assert page.count("CT_&lt;b&gt;x_001") >= 2
    for code in ("spacing-invalid", "boxes-invalid", "box-order", "cases"):
        assert f'id="{code}"' in page
        assert f'href="#{code}"' in page


@pytest.mark.parametrize("form", ["text", "json", "html"])
def test_a_file_of_an_earlier_check_is_replaced_and_no_other(val, tmp_path, form):
    out = tmp_path / "found"
    first = check(val, "--format", form, "--out", out)
    assert "1 error, 5 warnings" in first.stdout
    assert len(first.stdout.splitlines()) == 2
    before = out.read_text()
    assert check(val, "--format", form, "--ignore", "box-order", "--out", out).exit_code == 1
    assert "box-order" in before
    assert "box-order" not in out.read_text()
    out.write_text("mine")
    refused = check(val, "--format", form, "--out", out)
    assert refused.exit_code == 2
    assert "found '" in refused.stderr
    assert out.read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--ignore", "box-ordr"], "--ignore: expected a code of a finding, found 'box-ordr'; did"),
        (["--ignore", "zzz"], "docs/check.md lists them"),
        (["--patient-pattern", "("], "--patient-pattern: expected a regular expression, found '('"),
        (["--format", "pdf"], "--format: expected one of text, json, html, found 'pdf'"),
    ],
)
def test_a_wrong_option_is_one_line(val, words, message):
    result = check(val, *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_folder_without_cases_is_a_bad_request(tmp_path):
    (tmp_path / "val").mkdir()
    result = check(tmp_path / "val")
    assert (result.exit_code, result.stdout) == (2, "")


def test_jobs_and_another_folder(val, tmp_path):
    several(clean)(tmp_path / "train")
    words = [val, "--against", tmp_path / "train", "--patient-pattern", r"\d+$"]
    one, two = check(*words), check(*words, "--jobs", 2)
    assert one.stdout == two.stdout
    assert "warning case-in-both (1)" in one.stdout


def test_the_page_of_the_documentation_has_every_code_with_its_level():
    text = (DOCS / "check.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z-]+)` \| (\w+) \|", text, re.M)
    assert dict(rows) == {code: CODES[code].level for code in CODES}
    assert len(rows) == len(CODES)
