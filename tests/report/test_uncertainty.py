"""Bold, underline and intervals in the tables of scores, and the notes that explain them."""

import csv
import io
from dataclasses import replace

import pytest

import segbench
from segbench import report
from segbench.errors import RunError
from segbench.report import Resampling, TableOptions, report_tables, write_report
from segbench.report.tables.render import to_csv, to_html, to_markdown
from tests.report.small_runs import case

FEW = Resampling(draws=500)
MARKS = TableOptions(resampling=FEW)
INTERVALS = TableOptions(intervals=True, resampling=FEW)
LEVELS = [0.3, 0.42, 0.5, 0.55, 0.61, 0.7, 0.74, 0.8]
LEADS, TIED, NEITHER = "bold", "underlined", ""


def scans(added=0.0, *, n=8, modality="CT", **facts):
    """Cases of different difficulty; a number is added to each, or one number per case."""
    gains = [added] * n if isinstance(added, float) else added
    return [
        case(f"{modality}_{i}", (LEVELS[i % 8] + gains[i],) * 6, boxes=i % 2 == 0, **facts)
        for i in range(n)
    ]


def tables(*folders, options=MARKS, published=()):
    made = report_tables(segbench.load(*folders), published, options)
    return {table.name: table for table in made}


def cells(table, *keys):
    """The cells of the measures in the only row with these keys."""
    found = [r for r in table.rows if tuple(cell.value for cell in r[: len(keys)]) == keys]
    assert len(found) == 1, f"{keys} found {len(found)} times in {table.name}"
    titles = [column.title for column in table.columns]
    first = titles.index("n with box" if "n with box" in titles else "n") + 1
    return found[0][first:]


def marks(table, *keys):
    """The one mark that all measures of a row have."""
    found = {
        LEADS * cell.bold + TIED * cell.underline
        for cell in cells(table, *keys)
        if cell.value is not None
    }
    assert len(found) == 1, found
    return found.pop()


def notes(table):
    return "\n".join(table.notes)


# ---- marks -----------------------------------------------------------------------------------


@pytest.fixture
def led(run):
    """One run is better in every case by about the same, two are worse."""
    better = [0.1, 0.11, 0.09, 0.1, 0.12, 0.1, 0.08, 0.1] * 2
    return run("a", scans(better, n=16)), run("b", scans(n=16)), run("c", scans(-0.2, n=16))


def test_a_leader_is_bold_in_every_table_that_compares_scores(led):
    made = tables(*led)
    for modality in ("CT", "Mean over modalities", "Mean over all cases"):
        found = [marks(made["table3"], modality, name) for name in "abc"]
        assert found == [LEADS, NEITHER, NEITHER]
    for keys in (("CT", "Yes"), ("CT", "No"), ("Overall", "No"), ("Mean over modalities", "Yes")):
        assert marks(made["table4"], "a", *keys) == LEADS
        assert marks(made["table4"], "b", *keys) == NEITHER
    for modality in ("CT", "All cases", "Mean over modalities"):
        assert marks(made["steps"], "NSD", modality, "a") == LEADS
        assert marks(made["steps"], "DSC", modality, "b") == NEITHER
        assert marks(made["steps"], "Seconds", modality, "a") == NEITHER


def test_a_dataset_has_its_own_leader(run):
    first, second = ({"dataset": name, "modality": name} for name in ("CT", "MR"))
    a = run("a", [*scans(0.1, **first), *scans(**second)])
    b = run("b", [*scans(**first), *scans(0.1, **second)])
    table = tables(a, b)["datasets"]
    assert [marks(table, "CT", "CT", name) for name in "ab"] == [LEADS, NEITHER]
    assert [marks(table, "MRI", "MR", name) for name in "ab"] == [NEITHER, LEADS]


def test_without_a_leader_all_that_cannot_be_told_from_the_best_are_underlined(run):
    changing = [0.05, -0.06, 0.04, -0.05, 0.06, -0.03, 0.05, -0.04]
    folders = run("a", scans()), run("b", scans(changing)), run("c", scans(-0.2))
    table = tables(*folders)["table3"]
    assert [marks(table, "CT", name) for name in "abc"] == [TIED, TIED, NEITHER]
    assert "Underlined: otherwise, the best and all that cannot" in notes(table)


def test_equal_runs_are_both_underlined(run):
    table = tables(run("a", scans()), run("b", scans()))["table3"]
    assert [marks(table, "CT", name) for name in "ab"] == [TIED, TIED]


@pytest.mark.parametrize("n", [1, 5])
def test_nothing_is_marked_with_fewer_than_six_patients(run, n):
    table = tables(run("a", scans(0.1, n=n)), run("b", scans(n=n)))["table3"]
    assert marks(table, "Mean over all cases", "a") == NEITHER
    assert "Neither below 6 patients" in notes(table)


def test_patients_count_not_their_scans(run):
    folders = run("a", scans(0.1)), run("b", scans())
    two = TableOptions(resampling=Resampling(draws=500, patient_pattern="[0-3]|[4-7]"))
    assert marks(tables(*folders, options=two)["table3"], "CT", "a") == LEADS
    two = TableOptions(resampling=Resampling(draws=500, patient_pattern="CT"))
    table = tables(*folders, options=two)["table3"]
    assert marks(table, "CT", "a") == NEITHER
    assert "8 cases of 1 patient, by the pattern CT." in notes(table)


def test_a_single_ranked_run_has_no_mark_and_no_note_on_marks(run):
    oracle = run("oracle", scans(0.2), sees_reference=True)
    table = tables(run("a", scans()), oracle)["table3"]
    assert marks(table, "CT", "a") == NEITHER
    assert marks(table, "CT", "oracle (sees the reference)") == NEITHER
    assert "Bold" not in notes(table)


def test_a_run_that_sees_the_reference_changes_no_mark(run):
    oracle = run("oracle", scans(0.2), sees_reference=True)
    table = tables(run("a", scans(0.1)), run("b", scans()), oracle)["table3"]
    assert marks(table, "CT", "a") == LEADS
    assert marks(table, "CT", "oracle (sees the reference)") == NEITHER


def test_a_run_that_has_just_started_changes_no_mark(run):
    table = tables(run("a", scans(0.1)), run("b", scans()), run("new", [], planned=8))["table3"]
    assert marks(table, "CT", "a") == LEADS


def test_marks_are_over_common_cases(run):
    """Over all of its own cases, b would be better."""
    more = [*scans(n=8), case("CT_8", (1.0,) * 6), case("CT_9", (1.0,) * 6)]
    made = tables(run("a", scans(0.01)), run("b", more))
    assert marks(made["table3"], "CT", "a") == LEADS
    assert marks(made["own-cases"], "b") == NEITHER


def test_no_mean_over_modalities_is_marked_if_one_has_a_single_patient(run):
    pet = case("PET_1", (0.9,) * 6)
    table = tables(run("a", [*scans(0.1), pet]), run("b", [*scans(), pet]))["table3"]
    assert marks(table, "Mean over all cases", "a") == LEADS
    assert marks(table, "Mean over modalities", "a") == NEITHER


def test_published_rows_have_neither_marks_nor_intervals(run):
    options = replace(INTERVALS, decimals=6)
    folders = run("a", scans(0.1)), run("b", scans())
    made = tables(*folders, options=options, published=["table3", "table4"])
    rows = [cells(made["table3"], "CT", "nnInteractive (paper)")]
    rows.append(cells(made["table4"], "Ours (paper)", "CT", "No"))
    for row in rows:
        assert not any(cell.bold or cell.underline or cell.interval for cell in row)
        assert all(len(cell.text) == len("0.1234") for cell in row)  # the paper has no more


def test_marks_can_be_switched_off(run):
    folders = run("a", scans(0.1)), run("b", scans())
    made = tables(*folders, options=replace(MARKS, significance=False))
    assert marks(made["table3"], "CT", "a") == NEITHER
    assert "Bold" not in notes(made["table3"])
    assert to_csv(made["table3"]) == to_csv(tables(*folders)["table3"])


def test_labels_have_intervals_but_no_marks(run):
    made = tables(run("a", scans(0.1)), run("b", scans()), options=INTERVALS)
    row = cells(made["labels"], "DSC", "CT", "not stated", 1, "a")
    assert all(cell.interval and not cell.bold for cell in row)
    assert "Bold" not in notes(made["labels"])
    assert "In brackets" in notes(made["labels"])


# ---- intervals and decimals ------------------------------------------------------------------


def test_intervals_are_those_of_the_statistics_over_the_same_cases(run):
    mr = scans(0.05, modality="MR")
    folders = run("a", [*scans(0.1), *mr]), run("b", [*scans(), *mr, case("MR_9")])
    results = report.common_cases(segbench.load(*folders))
    expected = report.mean_intervals(results.cases, resampling=FEW).set_index(
        ["method", "measure", "average"]
    )
    made = tables(*folders, options=INTERVALS)
    totals = {"micro": "Mean over all cases", "macro": "Mean over modalities"}
    for average, total in totals.items():
        for name in "ab":
            cell = cells(made["table3"], total, name)[0]
            low, high = expected.loc[(name, "dsc_auc", average), ["low", "high"]]
            assert cell.interval == (low, high)
            assert cell.value == pytest.approx(expected.loc[(name, "dsc_auc", average), "mean"])
            assert cell.text == f"{cell.value:.4f} [{low:.3f}, {high:.3f}]"


def test_every_table_of_scores_has_intervals_on_request(run):
    folders = run("a", scans(0.1, dataset="D")), run("b", [*scans(dataset="D"), case("CT_9")])
    made = tables(*folders, options=INTERVALS)
    keys = {
        "table3": ("CT", "a"),
        "table4": ("a", "Overall", "Yes"),
        "steps": ("Seconds", "All cases", "a"),
        "datasets": ("CT", "D", "a"),
        "labels": ("NSD", "CT", "D", 1, "a"),
        "own-cases": ("a",),
    }
    for name, key in keys.items():
        assert cells(made[name], *key)[0].interval, name
    without = tables(*folders)
    assert not any(cells(without[name], *key)[0].interval for name, key in keys.items())


def test_a_mean_at_the_box_has_the_interval_of_the_cases_with_boxes(run):
    results = segbench.load(run("a", scans()))
    boxes = replace(results, cases=results.cases[results.cases["has_boxes"]])
    expected = report.mean_intervals(boxes.cases, measures=["dsc_final"], resampling=FEW)
    frame = report.scores_by_step(results, FEW).set_index(["modality", "step"])
    low = expected.set_index("average").loc["micro", "low"]
    assert frame.loc[("CT", 0), "dsc_low"] == low  # the score is the same at every step


def test_frames_have_the_bounds_only_on_request(run):
    results = segbench.load(run("a", scans()))
    for scores in (report.scores_by_modality, report.scores_by_box, report.scores_by_dataset):
        plain, bounded = scores(results), scores(results, FEW)
        assert not any(name.endswith("_low") for name in plain)
        assert {
            f"{name}_{end}" for name in ("dsc_auc", "nsd_final") for end in ("low", "high")
        } <= {*bounded}
        assert bounded[list(plain)].equals(plain)


def test_csv_has_the_bounds_in_columns_of_their_own(run):
    table = tables(run("a", scans()), options=INTERVALS)["table3"]
    rows = list(csv.DictReader(io.StringIO(to_csv(table))))
    cell = cells(table, "CT", "a")[2]
    assert float(rows[0]["DSC Final"]) == cell.value
    bounds = tuple(float(rows[0][f"DSC Final {end}"]) for end in ("low", "high"))
    assert bounds == cell.interval
    assert "n low" not in rows[0]


def test_marks_and_intervals_in_markdown_and_html(run):
    table = tables(run("a", scans(0.1)), run("b", scans()), options=INTERVALS)["table3"]
    cell = cells(table, "CT", "a")[0]
    low, high = cell.interval
    assert f"**{cell.value:.4f}** \\[{low:.3f}, {high:.3f}\\]" in to_markdown(table)
    small = f"<small>[{low:.3f}, {high:.3f}]</small>"
    assert f"<strong>{cell.value:.4f}</strong> {small}" in to_html(table)
    even = tables(run("d", scans()), run("e", scans()))["table3"]
    assert "<u>2.3100</u>" in to_html(even)


def test_a_single_patient_has_no_interval(run):
    table = tables(run("a", scans(n=1)), options=INTERVALS)["table3"]
    assert cells(table, "CT", "a")[0].text == "1.2000"


@pytest.mark.parametrize(("decimals", "expected"), [(2, "2.31"), (6, "2.310000")])
def test_the_decimals_of_scores_can_be_chosen(run, decimals, expected):
    made = tables(run("a", scans()), options=replace(MARKS, decimals=decimals))
    assert cells(made["table3"], "CT", "a")[0].text == expected
    assert cells(made["steps"], "Seconds", "CT", "a")[1].text == "1.00"


def test_decimals_out_of_range_are_refused():
    with pytest.raises(RunError, match="decimals: expected 1 to 10, found 0"):
        TableOptions(decimals=0)


def test_the_same_seed_gives_the_same_bounds_and_another_seed_others(run):
    folder = run("a", scans())
    texts = [
        to_csv(tables(folder, options=TableOptions(intervals=True, resampling=each))["table3"])
        for each in (Resampling(500, seed=1), Resampling(500, seed=1), Resampling(500, seed=2))
    ]
    assert texts[0] == texts[1] != texts[2]


# ---- notes -----------------------------------------------------------------------------------


def test_small_samples_are_named_once_on_the_page_and_in_short_in_each_table(run, tmp_path):
    folders = [run("a", scans(0.1)), run("b", scans())]
    write_report(folders, tmp_path / "out", options=INTERVALS)
    for name in ("index.md", "index.html"):
        text = (tmp_path / "out" / name).read_text(encoding="utf-8")
        assert text.count("8 cases: intervals of fewer than 50 are unreliable.") == 1
        assert text.count("8 patients: intervals of fewer than 20 are unreliable.") == 1
    short = "All intervals are unreliable: fewer than 50 cases and 20 patients."
    for name in ("table3", "table4", "steps", "labels"):
        assert (tmp_path / "out" / f"{name}.md").read_text(encoding="utf-8").count(short) == 1


def test_without_marks_and_intervals_nothing_is_said_about_patients(run, tmp_path):
    write_report([run("a", scans())], tmp_path / "out")
    texts = {
        file.stem: file.read_text(encoding="utf-8") for file in (tmp_path / "out").glob("*.md")
    }
    assert {name for name, text in texts.items() if "patient" in text} == {"gain", "index"}
    assert texts["index"].count("patient") == texts["gain"].count("patient")


def test_runs_without_a_scored_case_make_a_report_with_every_option(run):
    made = tables(run("a", [], planned=2), run("b", [], planned=2), options=INTERVALS)
    assert cells(made["table3"], "Mean over all cases", "a")[0].text == "–"
