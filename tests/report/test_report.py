"""Reports from small runs whose means are computed by hand in the tests."""

import csv
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import pytest

from segbench.core import Settings
from segbench.errors import RunError
from segbench.report import report_tables, terminal_table, write_report
from segbench.report.frames import load_results
from segbench.report.written_files import report_files
from segbench.results import CaseResult, Policy
from tests.report.small_runs import RISING, case


def tables(*folders, published=(), policy=Policy()):
    made = report_tables(load_results(folders, policy), published)
    return {table.name: table for table in made}


def row(table, *keys):
    """The printed cells after the keys of the only row with these keys."""
    found = [r for r in table.rows if tuple(cell.value for cell in r[: len(keys)]) == keys]
    assert len(found) == 1, f"{keys} found {len(found)} times in {table.name}"
    return [cell.text for cell in found[0][len(keys) :]]


def read_csv(file):
    return list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8"))))


def notes(table):
    return "\n".join(table.notes)


# ---- table 3 ---------------------------------------------------------------------------------


def test_table_3_holds_means_over_the_cases_of_a_modality(run):
    table = tables(run("ours", [case("CT_1", RISING), case("CT_2"), case("MR_1")]))["table3"]
    # RISING and FLAT: AUC 2.4 and 2.0, final 0.8 and 0.5; NSD is half of it
    assert row(table, "CT", "ours") == ["2", "2.2000", "1.1000", "0.6500", "0.3250"]
    assert row(table, "MRI", "ours") == ["1", "2.0000", "1.0000", "0.5000", "0.2500"]


def test_the_mean_over_modalities_is_not_the_mean_over_cases(run):
    table = tables(run("ours", [case("CT_1", RISING), case("CT_2"), case("MR_1")]))["table3"]
    over_modalities = ["2 modalities", "2.1000", "1.0500", "0.5750", "0.2875"]
    assert row(table, "Mean over modalities", "ours") == over_modalities
    assert row(table, "Mean over all cases", "ours") == [
        "3",
        "2.1333",
        "1.0667",
        "0.6000",
        "0.3000",
    ]


def test_a_run_that_sees_the_reference_is_shown_with_a_note(run):
    perfect = run("oracle", [case("CT_1", (1.0,) * 6)], sees_reference=True)
    table = tables(run("a", [case("CT_1", RISING)]), run("b", [case("CT_1")]), perfect)["table3"]
    assert row(table, "CT", "oracle (sees the reference)")[3] == "1.0000"
    assert "oracle sees the reference" in notes(table)


def test_only_common_cases_are_compared_and_the_notes_name_the_others(run):
    whole = run("whole", [case("CT_1"), case("CT_2", RISING), case("PET_1")])
    part = run("part", [case("CT_1", RISING), case("PET_1", RISING)], planned=3)
    made = tables(whole, part)
    assert row(made["table3"], "CT", "whole") == ["1", "2.0000", "1.0000", "0.5000", "0.2500"]
    assert row(made["table3"], "Mean over all cases", "whole")[0] == "2"
    assert row(made["table4"], "whole", "CT", "Yes")[0] == "1"
    assert row(made["steps"], "DSC", "CT", "whole")[0] == "1"
    assert "part lacks 1 case (CT_2)" in notes(made["table3"])
    assert "part: 2 of 3 cases done (unfinished)" in notes(made["table3"])
    assert "Compared over the 2 common cases only. Scored cases beyond: whole 1;" in notes(
        made["table3"]
    )
    assert row(made["own-cases"], "whole") == ["3", "2.1333", "1.0667", "0.6000", "0.3000", "2"]
    assert row(made["own-cases"], "part")[-1] == "2"


def test_a_case_whose_file_changed_between_runs_is_not_the_same_case(run):
    a = run("a", [case("CT_1", RISING, file_sha256="1" * 64)])
    made = tables(a, run("b", [case("CT_1", file_sha256="2" * 64)]))
    assert row(made["table3"], "Mean over all cases", "a")[0] == "0"
    assert "Not the same files: 1 case (CT_1)" in notes(made["table3"])
    assert "Compared over no case: none is common." in notes(made["table3"])
    assert row(made["own-cases"], "a")[:2] == ["1", "2.4000"]


def test_a_run_that_has_just_started_takes_no_case_from_the_others(run):
    runs = run("a", [case("CT_1", RISING)]), run("b", [case("CT_1")]), run("new", [], planned=1)
    made = tables(*runs)
    assert row(made["table3"], "CT", "new") == ["0", *["–"] * 4]
    assert "own-cases" not in made


def test_a_run_that_sees_the_reference_takes_no_case_from_the_others(run):
    oracle = run("oracle", [case("CT_1"), case("CT_9")], sees_reference=True)
    made = tables(run("a", [case("CT_1", RISING), case("CT_2", RISING)]), oracle)
    assert row(made["table3"], "CT", "a")[0] == "2"
    assert row(made["table3"], "CT", "oracle (sees the reference)")[0] == "1"


def test_modalities_are_in_the_order_of_the_paper_unknown_ones_last(run):
    names = ["XA_1", "PET_1", "US_1", "Microscopy_1", "MR_1", "CT_1", "OCT_1"]
    made = tables(run("a", [case(name) for name in names]), published=["table5"])
    long = ["CT", "MRI", "Microscopy", "PET", "Ultrasound", "OCT", "XA"]
    short = ["CT", "MR", "PET", "US", "Microscopy", "OCT", "XA"]
    for name, expected in (("table3", long), ("table5", short)):
        first = [group[0][0].value for group in made[name].groups]
        assert first == [*expected, "Mean over modalities", "Mean over all cases"]


# ---- table 4 and steps -----------------------------------------------------------------------


def test_table_4_has_rows_with_and_without_a_box_in_the_papers_order(run):
    cases = [case("CT_1", RISING, boxes=False), case("CT_2"), case("MR_1", boxes=False)]
    table = tables(run("ours", cases))["table4"]
    assert [c.title for c in table.columns][3:] == [
        *("n", "DSC Final", "NSD Final", "DSC AUC", "NSD AUC")
    ]
    assert [[cell.text for cell in line[1:5]] for line in table.rows] == [
        ["CT", "No", "1", "0.8000"],
        ["CT", "Yes", "1", "0.5000"],
        ["MRI", "No", "1", "0.5000"],
        ["Overall", "Yes", "1", "0.5000"],
        ["Overall", "No", "2", "0.6500"],
        ["Mean over modalities", "Yes", "1 modality", "0.5000"],
        ["Mean over modalities", "No", "2 modalities", "0.6500"],
    ]
    assert row(table, "ours", "Overall", "No") == ["2", "0.6500", "0.3250", "2.2000", "1.1000"]


def test_the_mean_at_the_box_leaves_out_cases_without_one(run):
    cases = [case("CT_1", RISING), case("CT_2", boxes=False), case("MR_1", boxes=False)]
    table = tables(run("ours", cases))["steps"]
    assert row(table, "DSC", "CT", "ours")[:4] == ["2", "1", "0.2000", "0.4500"]
    assert row(table, "DSC", "MRI", "ours")[:4] == ["1", "0", "–", "0.5000"]
    assert row(table, "NSD", "All cases", "ours")[:3] == ["3", "1", "0.1000"]
    macro = row(table, "DSC", "Mean over modalities", "ours")
    assert macro[:2] == ["2 modalities", "1 modality"]
    assert macro[2:4] == ["0.2000", "0.4750"]  # CT 0.45, MR 0.5
    assert row(table, "Seconds", "All cases", "ours")[2:4] == ["1.00", "1.00"]


# ---- policies and failures -------------------------------------------------------------------


def test_a_failed_step_scores_zero_or_as_the_last_prediction(run):
    folder = run("ours", [case("CT_1", RISING, failed=(5,)), case("CT_2", failed=range(6))])
    zero, carried = tables(folder), tables(folder, policy=Policy("carry_forward"))
    # zero: AUC (0.45 + 0.55 + 0.65 + 0.35 + 0) / 2 cases; carry-forward: 0.45 + ... + 0.7 = 2.35
    assert row(zero["table3"], "CT", "ours")[:2] == ["2", "1.0000"]
    assert row(carried["table3"], "CT", "ours")[:2] == ["1", "2.3500"]
    assert "2 of 2 cases done, 2 scored, 2 failed, 0 invalid." in notes(zero["table3"])
    assert "1 left out because no step has a prediction" in notes(carried["table3"])
    assert row(zero["facts"], "Failed steps") == ["7"]
    assert row(carried["facts"], "Failure policy") == ["carry-forward"]
    assert "Policy carry-forward: a failed step has the score of the last" in notes(
        carried["table3"]
    )


def test_scores_with_and_without_the_limit_are_shown_if_a_case_is_above_it(run):
    folder = run("ours", [case("CT_1", seconds=20.0), case("CT_2", seconds=10.0)])
    raw = tables(folder)
    assert row(raw["table3"], "CT", "ours")[3] == "0.5000"
    assert row(raw["time-limit"], "ours", "raw")[3:] == ["0.5000", "0.2500", "1"]
    assert row(raw["time-limit"], "ours", "limited")[3:] == ["0.2500", "0.1250", "1"]
    assert "Cases above 90 s per label: ours 1" in notes(raw["table3"])
    limited = tables(folder, policy=Policy(time_limit=200.0))
    assert "time-limit" not in limited
    limited = tables(folder, policy=Policy(time_limit=50.0))
    assert row(limited["table3"], "CT", "ours")[3] == "0.0000"
    assert row(limited["time-limit"], "ours", "raw")[3] == "0.5000"


def test_invalid_cases_are_left_out_counted_and_listed(run):
    refused = CaseResult("CT_2", "invalid", reason="no spacing", modality="CT")
    made = tables(run("ours", [case("CT_1"), refused]))
    assert row(made["table3"], "CT", "ours")[0] == "1"
    assert "2 of 2 cases done, 1 scored, 0 failed, 1 invalid." in notes(made["table3"])
    assert row(made["failures"], "ours", "CT_2") == ["invalid", "no spacing"]


def test_a_long_list_of_failures_is_cut_and_ends_with_the_number_of_the_others(run):
    made = tables(run("ours", [case(f"CT_{i}", failed=range(6)) for i in range(5)]))
    assert len(made["failures"].rows) == 21
    assert made["failures"].rows[-1][1].text == "+10 more, in the run's case files"
    assert "failures" not in tables(run("fine", [case("CT_1")]))


def test_the_facts_show_how_a_run_was_made(run):
    usual = case("CT_1")
    unknown = replace(usual.steps[0], unknown_labels=(9,))
    cases = [replace(usual, steps=(unknown, *usual.steps[1:]))]
    folder = run("ours", cases, version="1.2", licence="MIT", weights_sha256="ab" * 32)
    facts = tables(folder)["facts"]
    assert row(facts, "Adapter version") == ["1.2"]
    assert row(facts, "Weights sha256") == ["abababababab"]
    assert row(facts, "Licence") == ["MIT"]
    assert row(facts, "Boxes") == ["as the cases have them"]
    assert row(facts, "Protocol settings") == [Settings().hash]
    assert row(facts, "Steps with unknown labels") == ["1 (labels 9)"]
    assert row(facts, "Data") == ["val"]


# ---- which runs can be in one report ---------------------------------------------------------


def test_runs_under_different_protocols_are_refused_naming_the_difference(run):
    a = run("a", [case("CT_1")])
    b = run("b", [case("CT_1")], settings=Settings(nsd_tolerance_mm=1.0))
    with pytest.raises(RunError, match=r"a and .*b: .*nsd_tolerance_mm 2.0 and 1.0"):
        tables(a, b)


def test_runs_with_the_same_name_are_distinguished_by_their_folders(run):
    made = tables(
        run("ours", [case("CT_1")], folder="old"),
        run("ours", [case("CT_1")], folder="new"),
        run("box", [case("CT_1")]),
    )
    methods = [line[1].value for line in made["table3"].groups[0]]
    assert methods == ["ours (old)", "ours (new)", "box"]


def test_a_run_is_not_compared_with_itself(run, tmp_path):
    folder = run("ours", [case("CT_1")])
    (tmp_path / "other").mkdir()
    with pytest.raises(RunError, match="expected each run once, found it 2 times"):
        tables(folder, tmp_path / "other" / ".." / "ours")


def test_no_folder_and_a_folder_without_a_run_are_refused(tmp_path):
    with pytest.raises(RunError, match="at least one run"):
        write_report([], tmp_path)
    with pytest.raises(RunError, match="found an empty folder; give a folder that"):
        write_report([tmp_path], tmp_path / "out")


def test_a_run_without_a_finished_case_still_makes_a_report(run, tmp_path):
    made = tables(run("ours", [], planned=4))
    assert row(made["table3"], "Mean over all cases", "ours") == ["0", *["–"] * 4]
    assert "0 of 4 cases done (unfinished)" in notes(made["table3"])


# ---- published tables ------------------------------------------------------------------------


def test_the_papers_rows_are_marked_and_cited(run):
    a, b = run("ours", [case("CT_1", RISING)]), run("nnInteractive", [case("CT_1")])
    table = tables(a, b, published=["table3"])["table3"]
    assert row(table, "CT", "Ours (paper)") == ["–", "3.2197", "3.3272", "0.8197", "0.8511"]
    assert "Camaret Ndir" in notes(table)
    assert "not comparable" in notes(table)
    assert row(table, "Mean over all cases", "Ours (paper)")[3] == "0.6385"
    assert [line[1].text for line in table.groups[0]][-1] == "Ours (paper) †"


def test_the_papers_table_4_has_its_own_rows(run):
    table = tables(run("ours", [case("CT_1")]), published=["table4"])["table4"]
    expected = ["–", "0.8276", "0.8863", "3.2550", "3.4774"]
    assert row(table, "Ours (paper)", "Overall", "Yes") == expected
    assert row(table, "Ours (paper)", "CT", "No")[1] == "0.0626"


def test_the_papers_table_5_has_its_own_names_of_methods_and_modalities(run):
    table = tables(run("ours", [case("MR_1")]), published=["table5"])["table5"]
    assert row(table, "MR", "Ours, norateam (paper)")[3] == "0.7938"
    assert row(table, "Mean over modalities", "aim (paper)")[0] == "1 modality"


def test_an_unknown_published_table_is_refused(run):
    with pytest.raises(RunError, match="table3, table4, table5, found 'table6'"):
        tables(run("ours", [case("CT_1")]), published=["table6"])


@pytest.mark.parametrize(
    ("name", "rows"),
    [("table3_validation.csv", 25), ("table4_bbox.csv", 9), ("table5_test.csv", 45)],
)
def test_the_published_tables_are_package_data(name, rows):
    text = (files("segbench.report") / "published" / name).read_text(encoding="utf-8")
    assert len(list(csv.DictReader(io.StringIO(text)))) == rows


# ---- files -----------------------------------------------------------------------------------


def test_csv_holds_floats_exactly(run, tmp_path):
    dsc = (0.1, 1 / 3, 2 / 3, 0.1 + 0.2, 0.7, 1 / 7)
    write_report([run("ours", [case("CT_1", dsc)])], tmp_path / "out")
    rows = read_csv(tmp_path / "out" / "table3.csv")
    assert rows[0]["DSC Final"] == "0.14285714285714285"
    steps = read_csv(tmp_path / "out" / "steps.csv")
    assert [float(steps[0][f"Click {i}"]) for i in range(1, 6)] == list(dsc[1:])
    assert [line["Modality"] for line in steps] == ["CT", "All cases", "Mean over modalities"] * 3


def test_a_report_has_each_table_in_each_format_and_two_indexes(run, tmp_path):
    out = tmp_path / "out"
    written = write_report([run("ours", [case("CT_1", failed=(2,))])], out)
    names = ("table3", "table4", "steps", "labels", "noc", "gain", "seconds", "facts", "failures")
    expected = {f"{name}.{kind}" for name in names for kind in ("md", "csv", "tex", "html")}
    assert {file.name for file in written} == expected | {"index.html", "index.md"}
    assert {file.name for file in out.iterdir()} == {file.name for file in written}
    index = (out / "index.md").read_text(encoding="utf-8")
    assert all((out / f"{name}.md").read_text(encoding="utf-8").strip() in index for name in names)


def test_the_page_has_its_parts_in_the_order_a_reader_wants(run, tmp_path):
    runs = [run(name, [case("CT_1", dataset="D")]) for name in ("a", "b")]
    write_report(runs, tmp_path / "out")
    index = (tmp_path / "out" / "index.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)$", index, re.M) == [
        *("Who leads, and how sure that is", "Scores", "How models use clicks"),
        *("Other choices", "How each run was made"),
    ]
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    linked = re.findall(r'<a href="#([a-z0-9-]+)">', page)
    assert linked == re.findall(r'<section id="([a-z0-9-]+)">', page)
    assert linked == [
        *("ranking", "pairs", "table3", "table4", "steps", "datasets", "labels"),
        *("noc", "gain", "seconds", "sensitivity", "facts"),
    ]
    assert page.index("<h2>Scores</h2>") < page.index("<h3>Scores by modality")


def test_a_second_report_removes_tables_of_the_first_and_is_reproducible(run, tmp_path):
    out, folder = tmp_path / "out", run("ours", [case("CT_1")])
    write_report([folder], out, published=["table5"])
    assert (out / "table5.csv").exists()
    first = {file.name: file.read_bytes() for file in write_report([folder], out)}
    assert not (out / "table5.csv").exists()
    assert first == {file.name: file.read_bytes() for file in write_report([folder], out)}


@pytest.mark.parametrize("name", ["index.html", "index.md", "table3.csv", "steps.html"])
def test_a_report_replaces_no_file_of_somebody_else(run, tmp_path, name):
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text("<title>my thesis</title>")
    with pytest.raises(RunError, match=f"out/{name}: expected nothing or a file that segbench"):
        write_report([run("ours", [case("CT_1")])], out)
    assert (out / name).read_text() == "<title>my thesis</title>"
    assert [file.name for file in out.iterdir()] == [name]


def test_a_report_keeps_a_file_that_an_earlier_report_did_not_have(run, tmp_path):
    out, good = tmp_path / "out", run("ours", [case("CT_1")])
    write_report([good], out)
    (out / "failures.csv").write_text("mine")
    write_report([good], out)
    assert (out / "failures.csv").read_text() == "mine"
    with pytest.raises(RunError, match=r"failures\.csv: expected nothing or a file"):
        write_report([run("other", [case("CT_1", failed=(2,))])], out)
    assert (out / "failures.csv").read_text() == "mine"


def test_the_committed_report_can_be_written_again():
    folder = Path(__file__).parents[2] / "reports" / "real-scans"
    tables = {file.name for file in folder.iterdir() if file.suffix in (".csv", ".tex", ".html")}
    assert tables <= report_files(folder)


class Page(HTMLParser):
    """Collects the links and the text of a page and checks that its tags are balanced."""

    def __init__(self):
        super().__init__()
        self.loads, self.open, self.text = [], [], ""

    def handle_starttag(self, tag, attrs):
        self.loads += [value for key, value in attrs if key in ("src", "href")]
        if tag not in ("meta", "br", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_the_page_links_only_to_its_own_files_and_escapes_its_text(run, tmp_path):
    folder = run("<script>x & y", [case("CT_1")], folder="odd")
    write_report([folder], tmp_path / "out", published=["table3"], command="a < b")
    page = Page()
    page.feed((tmp_path / "out" / "index.html").read_text(encoding="utf-8"))
    assert page.open == []
    assert "<script>x & y" in page.text
    assert "a < b" in page.text
    local = {file.name for file in (tmp_path / "out").iterdir()}
    assert all(link.startswith("#") or link in local for link in page.loads)


@pytest.mark.parametrize(
    ("datasets", "said"),
    [
        (("Phantom", "Phantom"), "2 of 2 cases are phantoms: generated images, not scans."),
        (("Phantom",), "1 of 1 case is a phantom: generated images, not scans."),
        (("Phantom", "STS"), "1 of 2 cases is a phantom: generated images, not scans."),
        (("phantom", ""), None),
    ],
)
def test_the_page_says_that_phantoms_are_not_scans(run, tmp_path, datasets, said):
    cases = [case(f"CT_{i}", dataset=dataset) for i, dataset in enumerate(datasets)]
    runs = [run("one", cases), run("two", cases)]  # a case of two runs counts once
    write_report(runs, tmp_path / "out")
    for name in ("index.html", "index.md"):
        text = (tmp_path / "out" / name).read_text(encoding="utf-8")
        assert ("generated images" in text) == bool(said)
        if said:
            assert said in text
            assert "may score above a model that was trained on scans" in text


def test_the_maximum_of_auc_and_the_gate_are_said_where_scores_are(run):
    above = [case("CT_1", RISING), case("CT_2", (0.3,) * 6)]
    below = [case("CT_1", RISING), case("CT_2", (0.0, 0.1, 0.2, 0.3, 0.4, 0.5), nsd=0.0)]
    gate = "AUC: at most 4; NSD counts only in steps whose mean DSC is above 0.2."
    for name, cases, said in (("above", above, "AUC: at most 4."), ("below", below, gate)):
        folder = run(name, cases)
        made = tables(folder)
        for table in ("table3", "table4", "labels"):
            assert said in made[table].notes
        assert said in terminal_table([folder]).splitlines()


def test_notes_are_as_wide_as_the_terminal_and_the_numbers_are_not_cut(run, monkeypatch):
    folder = run("ours", [case(f"CT_{i}", RISING) for i in range(3)])
    for columns, widest in (("80", 80), ("200", 100)):
        monkeypatch.setenv("COLUMNS", columns)
        table, _, note = terminal_table([folder]).partition("\n\n")
        assert "2.4000" in table
        assert 60 < max(map(len, note.splitlines())) <= widest


def test_the_terminal_table_is_aligned_and_shows_failures(run):
    a = run("ours", [case("CT_1", RISING), case("CT_2", failed=(1,))])
    text = terminal_table([a, run("a_long_name", [case("CT_1"), case("CT_2")])])
    lines = text.splitlines()
    assert lines[0].split() == [
        *("Method", "n", "DSC", "AUC", "NSD", "AUC", "DSC", "Final", "NSD", "Final", "failed")
    ]
    assert lines[2].split() == ["ours", "2", "2.0750", "1.0375", "0.6500", "0.3250", "1"]
    assert len({len(line) for line in lines[:4]}) == 1
    assert "ours: 2 of 2 cases done, 2 scored, 1 failed, 0 invalid." in text
