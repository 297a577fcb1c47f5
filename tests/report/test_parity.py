"""An official folder with one planted difference of each kind: all are named, and nothing else."""

import csv
import io
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import segbench
from segbench.cli import cli
from segbench.errors import RunError
from segbench.report.parity import (
    CAUSES,
    parity_csv,
    parity_frame,
    parity_json,
    parity_text,
)
from tests.report.official_script import Run, official_scores

SPACING = (3.0, 1.0, 0.8)
SHAPE = (10, 20, 31)
GOLDEN = Path(__file__).parents[1] / "golden"
LARGE = {"c17_larger", "c30_large_even"}  # tests/protocol/test_golden.py has all of them


def reference_of(seed, labels=(1, 2)):
    rng = np.random.default_rng(seed)
    reference = np.zeros(SHAPE, np.uint16 if max(labels) > 255 else np.uint8)
    for label, (y, x) in zip(labels, [(2, 3), (11, 16)], strict=False):
        z, height, width = rng.integers(1, 4), rng.integers(5, 8), rng.integers(7, 12)
        reference[z : z + 4, y : y + height, x : x + width] = label
    return reference


def answers(reference, seed):
    """Return a label map for each step, each better than the one before, none perfect."""
    rng, maps = np.random.default_rng(seed), []
    for step in range(6):
        answer = np.roll(reference, (1, 1, 3 - step // 2), (0, 1, 2))
        answer[rng.random(reference.shape) < 0.02] = 0
        maps.append(answer)
    return maps


def official_run(*, n_cases=4, **changed):
    """Return a run of cases A, B, C, ...; ``changed`` has other references or answers."""
    run = Run()
    for number in range(n_cases):
        name = f"CT_Toy_{chr(65 + number)}"
        reference = changed.get(f"reference_{chr(65 + number)}", reference_of(number))
        writes = changed.get(f"writes_{chr(65 + number)}", answers(reference, number))
        run.add(name, reference, SPACING, writes, boxes=number != 1)
    return run.evaluate()


def found_in(run, tmp_path, **keywords):
    data = tmp_path / "val"
    if not data.exists():
        run.write_data(data)
    return segbench.parity(run.write(tmp_path / "official"), data, **keywords)


def named(found):
    """Return the causes of each case, and the columns that they have."""
    result = {}
    for each in found.differences:
        result.setdefault((each.case[-1], each.cause), set()).add(each.column)
    return result


def steps(*numbers):
    return {f"{measure}_{number}" for measure in ("DSC", "NSD") for number in numbers}


def summaries(*kinds):
    return {f"{measure}_{kind}" for measure in ("DSC", "NSD") for kind in kinds}


def change_row(run, name, **values):
    run.row(f"CT_Toy_{name}").update(values)


def swap(mapping, one, other):
    mapping[one], mapping[other] = mapping[other], mapping[one]


# ---- nothing differs ---------------------------------------------------------------------------


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_folder_of_the_script_is_equal_in_every_number(tmp_path, jobs):
    found = found_in(official_run(), tmp_path, jobs=jobs)
    assert found.differences == ()
    assert found.repeated == ()
    # 12 scores, 4 summaries, total, classes, limit; the time of the step that was not run is 0
    assert (found.n_rows, found.n_compared, found.n_equal) == (4, 4, 4 * 19 + 1)
    assert found.n_unchecked == 0


def test_a_repeated_label_map_is_named_and_no_difference(tmp_path):
    reference = reference_of(0)
    writes = answers(reference, 0)
    writes[3] = None  # the model failed: the file of step 3 counts in step 4
    found = found_in(official_run(writes_A=writes), tmp_path)
    assert found.differences == ()
    assert found.repeated == ("CT_Toy_A: step 4 has the label map of step 3",)
    assert "the files cannot tell" in parity_text(found)


def test_a_perfect_answer_may_be_repeated(tmp_path):
    reference = reference_of(0)
    found = found_in(official_run(writes_A=[reference] * 6), tmp_path)
    assert found.differences == ()
    assert found.repeated == ()


def test_a_model_that_fails_at_first_is_scored_as_zeros(tmp_path):
    reference = reference_of(0)
    writes = [None, None, *answers(reference, 0)[2:]]
    found = found_in(official_run(writes_A=writes), tmp_path)
    assert found.differences == ()


@pytest.mark.parametrize(
    "answer",
    [
        lambda maps: [each.astype(np.float64) for each in maps],
        lambda maps: [each.astype(np.int64) for each in maps],
        lambda maps: [np.asfortranarray(each) for each in maps],
    ],
    ids=["floats", "int64", "Fortran order"],
)
def test_answers_of_any_type_are_equal(tmp_path, answer):
    reference = reference_of(0)
    found = found_in(official_run(writes_A=answer(answers(reference, 0))), tmp_path)
    assert found.differences == ()


# ---- one planted difference --------------------------------------------------------------------


def test_a_file_left_from_an_earlier_step_is_named(tmp_path):
    run = official_run()
    stored = run.files["CT_Toy_A"]
    run.files["CT_Toy_A"] = {"segs": stored["all_segs"][3], "all_segs": stored["all_segs"][:4]}
    found = found_in(run, tmp_path)
    assert named(found) == {("A", "stale-file"): steps(6) | summaries("Final")}
    assert "segs is the label map of step 4" in found.differences[0].detail
    assert found.n_unchecked == 2  # DSC_5 and NSD_5


def test_segs_left_from_an_earlier_step_is_named_next_to_all_steps(tmp_path):
    run = official_run()
    stored = run.files["CT_Toy_A"]
    run.files["CT_Toy_A"] = {"segs": stored["all_segs"][2], "all_segs": stored["all_segs"]}
    found = found_in(run, tmp_path)
    assert named(found) == {("A", "stale-file"): steps(6) | summaries("Final", "AUC")}


def test_a_row_scored_on_the_file_of_the_step_before_is_named(tmp_path):
    run = official_run()
    row = run.row("CT_Toy_A")
    change_row(run, "A", DSC_4=row["DSC_3"], NSD_4=row["NSD_3"])
    found = found_in(run, tmp_path)
    assert named(found) == {("A", "stale-file"): steps(4)}
    assert found.differences[0].detail.startswith("DSC_4 and NSD_4 are the scores of the label map")


def test_a_file_left_from_an_earlier_run_is_named_if_that_run_is_given(tmp_path):
    older = official_run(writes_A=answers(reference_of(0), 99))
    older.write(tmp_path / "older")
    run = official_run()
    run.files["CT_Toy_A"] = older.files["CT_Toy_A"]
    found = found_in(run, tmp_path, earlier=tmp_path / "older")
    assert {key: len(value) for key, value in named(found).items()} == {("A", "stale-file"): 16}
    assert "the run older" in found.differences[0].detail
    alone = segbench.parity(tmp_path / "official", tmp_path / "val")
    assert {cause for _, cause in named(alone)} == {"unexplained"}


def test_a_dropped_case_is_named(tmp_path):
    found = found_in(official_run(writes_B=[None] * 6), tmp_path)
    assert named(found) == {("B", "dropped-case"): {"row"}}
    assert "no later case" not in found.differences[0].detail


def test_a_case_after_the_end_of_the_script_is_named_with_both_reasons(tmp_path):
    run = official_run()
    del run.files["CT_Toy_D"]
    run.rows.pop()
    found = found_in(run, tmp_path)
    assert named(found) == {("D", "dropped-case"): {"row"}}
    assert "or the script ended before it" in found.differences[0].detail


def test_a_label_above_255_is_wrapped_in_all_steps_but_the_last(tmp_path):
    reference = reference_of(0, labels=(7, 300))
    run = official_run(reference_A=reference)
    assert 44 in run.files["CT_Toy_A"]["all_segs"]
    found = found_in(run, tmp_path)
    assert named(found) == {("A", "8-bit-cast"): steps(1, 2, 3, 4, 5) | summaries("AUC")}
    assert found.differences[0].detail.endswith("44 for 300")


def test_a_predicted_257_counts_as_label_1_only_where_it_was_cast(tmp_path):
    reference = reference_of(0)
    writes = [np.where(each == 1, 257, each.astype(np.uint16)) for each in answers(reference, 0)]
    found = found_in(official_run(writes_A=writes), tmp_path)
    assert {cause for _, cause in named(found)} == {"8-bit-cast"}
    assert steps(1, 2, 3, 4, 5) - {"NSD_1"} <= named(found)["A", "8-bit-cast"]
    assert "DSC_6" not in named(found)["A", "8-bit-cast"]


def test_a_row_scored_after_the_cast_is_named(tmp_path):
    reference = reference_of(0, labels=(7, 300))
    run = official_run(reference_A=reference)
    last = run.files["CT_Toy_A"]["segs"].astype(np.uint8)
    dsc, nsd = official_scores(reference, last, SPACING)
    change_row(run, "A", DSC_6=dsc, NSD_6=nsd, DSC_Final=dsc, NSD_Final=nsd)
    found = found_in(run, tmp_path)
    assert {cause for _, cause in named(found)} == {"8-bit-cast"}
    details = {each.column: each.detail for each in found.differences}
    assert details["DSC_6"] == "the official scores are those of segs cast to 8 bits"


def test_labels_that_eight_bits_cannot_tell_apart_stay_unexplained(tmp_path):
    reference = reference_of(0, labels=(44, 300))
    found = found_in(official_run(reference_A=reference), tmp_path)
    assert {cause for _, cause in named(found)} == {"unexplained"}
    details = {each.column: each.detail for each in found.unexplained}
    assert details["DSC_1"] == "all_segs has 8 bits and cannot tell 300 from 44"


def test_a_shifted_time_is_named(tmp_path):
    run = official_run()
    change_row(run, "A", RunningTime_3=run.row("CT_Toy_A")["RunningTime_3"] + 5)
    found = found_in(run, tmp_path)
    assert named(found) == {("A", "time"): {"TotalRunningTime"}}
    assert found.differences[0].detail.endswith("-5 s")


def test_times_shifted_by_a_step_are_named(tmp_path):
    run = official_run()
    row = run.row("CT_Toy_B")
    names = [f"RunningTime_{number}" for number in range(1, 7)]
    seconds = [row[name] for name in names]
    change_row(run, "B", **dict(zip(names, [*seconds[1:], 0], strict=True)))
    found = found_in(run, tmp_path)
    assert named(found) == {("B", "time"): {"RunningTime_1", "RunningTime_6"}}


def test_the_mean_instead_of_the_total_time_is_named(tmp_path):
    run = official_run()
    change_row(run, "A", TotalRunningTime=run.row("CT_Toy_A")["TotalRunningTime"] / 6)
    found = found_in(run, tmp_path)
    assert named(found) == {("A", "time"): {"TotalRunningTime"}}
    assert found.differences[0].detail.endswith("but their mean")


def test_a_time_limit_is_named(tmp_path):
    run = official_run()
    row = run.row("CT_Toy_A")
    row["RunningTime_2"] += 1000
    row["TotalRunningTime"] = sum(row[f"RunningTime_{number}"] for number in range(1, 7))
    row.update(dict.fromkeys([*steps(1, 2, 3, 4, 5, 6), *summaries("AUC", "Final")], 0))
    found = found_in(run, tmp_path)
    assert {key: len(value) for key, value in named(found).items()} == {("A", "time"): 16}


def test_another_limit_per_label_is_named(tmp_path):
    run = official_run()
    change_row(run, "A", runtime_upperbound=120)
    assert named(found_in(run, tmp_path)) == {("A", "time"): {"runtime_upperbound"}}


def test_swapped_rows_are_named(tmp_path):
    run = official_run()
    one, other = run.row("CT_Toy_A"), run.row("CT_Toy_C")
    swap_names = one["CaseName"], other["CaseName"]
    other["CaseName"], one["CaseName"] = swap_names
    found = found_in(run, tmp_path)
    assert {key[1] for key in named(found)} == {"swapped-cases"}
    assert Counter(each.case for each in found.differences) == {"CT_Toy_A": 16, "CT_Toy_C": 16}
    assert found.differences[0].detail == (
        "the row has the scores of CT_Toy_C, and its row those of CT_Toy_A"
    )


def test_swapped_rows_with_and_without_a_box_are_named(tmp_path):
    run = official_run()
    one, other = run.row("CT_Toy_A"), run.row("CT_Toy_B")
    one["CaseName"], other["CaseName"] = other["CaseName"], one["CaseName"]
    assert set(named(found_in(run, tmp_path))) == {
        ("A", "swapped-cases"),
        ("B", "swapped-cases"),
    }


def test_swapped_files_are_named(tmp_path):
    run = official_run()
    swap(run.files, "CT_Toy_A", "CT_Toy_C")
    found = found_in(run, tmp_path)
    assert set(named(found)) == {("A", "swapped-cases"), ("C", "swapped-cases")}
    assert "the file of CT_Toy_C has the predictions of this case" in found.differences[0].detail


def test_swapped_files_of_other_shapes_are_named(tmp_path):
    other = np.ascontiguousarray(reference_of(2)[:, :19])
    writes = [each[:, :19] for each in answers(reference_of(2), 2)]
    run = official_run(reference_C=other, writes_C=writes)
    swap(run.files, "CT_Toy_A", "CT_Toy_C")
    found = found_in(run, tmp_path)
    assert named(found) == {("A", "swapped-cases"): {"file"}, ("C", "swapped-cases"): {"file"}}


def test_a_changed_value_is_unexplained(tmp_path):
    run = official_run()
    change_row(run, "A", DSC_4=run.row("CT_Toy_A")["DSC_4"] + 0.01)
    found = found_in(run, tmp_path)
    assert named(found) == {("A", "unexplained"): {"DSC_4"}}
    assert found.n_equal == 4 * 19


def test_the_value_of_another_step_in_one_measure_is_no_stale_file(tmp_path):
    run = official_run()
    change_row(run, "A", DSC_4=run.row("CT_Toy_A")["DSC_3"])
    assert named(found_in(run, tmp_path)) == {("A", "unexplained"): {"DSC_4"}}


def test_what_follows_from_a_changed_value_is_unexplained_too(tmp_path):
    run = official_run()
    row = run.row("CT_Toy_A")
    change_row(run, "A", DSC_6=row["DSC_6"] + 0.01, DSC_Final=row["DSC_6"] + 0.01)
    found = found_in(run, tmp_path)
    assert named(found) == {("A", "unexplained"): {"DSC_6", "DSC_Final"}}
    details = {each.column: each.detail for each in found.unexplained}
    assert details["DSC_Final"] == "it follows from the steps of the row"


def test_rounded_values_are_named(tmp_path):
    run = official_run()
    row = run.row("CT_Toy_A")
    for name in [*steps(1, 2, 3, 4, 5, 6), *summaries("AUC", "Final")]:
        row[name] = round(row[name], 4)
    found = found_in(run, tmp_path)
    assert {cause for _, cause in named(found)} == {"rounding"}
    (line,) = [line for line in parity_text(found).splitlines() if ": rounding: " in line]
    assert line.startswith("CT_Toy_A, 16 numbers: rounding: rounded as it is written, by ")


def test_one_decimal_is_no_rounding(tmp_path):
    run = official_run()
    change_row(run, "A", DSC_4=round(run.row("CT_Toy_A")["DSC_4"], 1))
    assert named(found_in(run, tmp_path)) == {("A", "unexplained"): {"DSC_4"}}


def test_a_last_bit_is_rounding(tmp_path):
    run = official_run()
    change_row(run, "A", NSD_4=np.nextafter(run.row("CT_Toy_A")["NSD_4"], 1))
    found = found_in(run, tmp_path)
    assert named(found) == {("A", "rounding"): {"NSD_4"}}
    assert "CT_Toy_A, 1 number: rounding: the last bits differ" in parity_text(found)


def test_an_area_over_six_steps_is_named(tmp_path):
    run = official_run()
    row = run.row("CT_Toy_A")
    values = [row[f"DSC_{number}"] for number in range(1, 7)]
    change_row(run, "A", DSC_AUC=sum((a + b) / 2 for a, b in zip(values, values[1:], strict=False)))
    found = found_in(run, tmp_path)
    assert named(found) == {("A", "other-formula"): {"DSC_AUC"}}
    assert found.differences[0].detail == "the area over all six steps"


def test_a_row_without_file_and_a_file_without_row_are_named(tmp_path):
    run = official_run()
    del run.files["CT_Toy_A"]
    run.rows.remove(run.row("CT_Toy_C"))
    found = found_in(run, tmp_path)
    assert named(found) == {("A", "row-without-file"): {"file"}, ("C", "file-without-row"): {"row"}}


def test_a_script_that_ended_in_a_case_is_named(tmp_path):
    run = official_run()
    run.rows.pop()
    stored = run.files["CT_Toy_D"]
    run.files["CT_Toy_D"] = {"segs": stored["all_segs"][1], "all_segs": stored["all_segs"][:2]}
    found = found_in(run, tmp_path)
    assert named(found) == {("D", "file-without-row"): {"row"}}
    assert found.differences[0].detail == "all_segs has 2 steps: the script ended in this case"


def test_a_case_that_the_data_do_not_have_is_named(tmp_path):
    run = official_run()
    data = run.write_data(tmp_path / "val")
    (data / "CT_Toy_C.npz").unlink()
    assert named(found_in(run, tmp_path)) == {("C", "case-not-in-data"): {"row"}}


def test_a_run_without_the_boxes_of_the_data_is_named(tmp_path):
    run = official_run()
    run.cases["CT_Toy_A"]["boxes"] = False
    fresh = Run(run.cases).evaluate()
    fresh.cases["CT_Toy_A"]["boxes"] = True
    assert named(found_in(fresh, tmp_path)) == {("A", "box-or-not"): {"RunningTime_1"}}


def test_a_run_with_boxes_that_the_data_do_not_have_is_named(tmp_path):
    run = official_run()
    run.cases["CT_Toy_A"]["boxes"] = False
    assert named(found_in(run, tmp_path)) == {("A", "box-or-not"): {"RunningTime_1"}}


def test_another_reference_is_named_if_it_is_given(tmp_path):
    run = official_run()
    run.write_data(tmp_path / "old_gts")
    newer = np.roll(reference_of(0), 1, 0)
    run.cases["CT_Toy_A"]["gts"] = newer
    found = found_in(run, tmp_path, other_references=[tmp_path / "old_gts"])
    assert {cause for _, cause in named(found)} == {"other-reference"}
    alone = segbench.parity(tmp_path / "official", tmp_path / "val")
    assert {cause for _, cause in named(alone)} == {"unexplained"}


def test_a_reference_with_fewer_labels_is_named(tmp_path):
    run = official_run()
    gts = reference_of(0)
    more = gts.copy()
    more[8:, :3, :3] = 3
    run.cases["CT_Toy_A"]["gts"] = more
    found = found_in(run, tmp_path)
    assert set(named(found)) == {("A", "other-reference")}
    assert found.differences[0].detail.endswith("no other labels than 1, 2")


def test_a_reference_with_renumbered_labels_is_named(tmp_path):
    run = official_run()
    gts = run.cases["CT_Toy_A"]["gts"]
    run.cases["CT_Toy_A"]["gts"] = np.where(gts == 2, 5, gts)
    assert set(named(found_in(run, tmp_path))) == {("A", "other-reference")}


def test_a_number_of_labels_alone_is_no_other_reference(tmp_path):
    run = official_run()
    change_row(run, "A", num_class=1, runtime_upperbound=90)
    assert named(found_in(run, tmp_path)) == {("A", "unexplained"): {"num_class"}}


def test_a_spacing_in_the_other_order_is_named(tmp_path):
    run = official_run()
    run.cases["CT_Toy_A"]["spacing"] = SPACING[::-1]
    found = found_in(run, tmp_path)
    assert set(named(found)) == {("A", "other-spacing")}
    assert "order (x, y, z)" in found.differences[0].detail


@pytest.mark.parametrize("content", [b"", b"no archive", None], ids=["empty", "text", "pickle"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, content):
    run = official_run()
    data, official = run.write_data(tmp_path / "val"), run.write(tmp_path / "official")
    if content is None:
        np.savez(official / "CT_Toy_A.npz", segs=np.array([{"a": 1}], object))
    else:
        (official / "CT_Toy_A.npz").write_bytes(content)
    found = segbench.parity(official, data)
    assert named(found) == {("A", "unreadable-file"): {"file"}}


def test_outputs_without_the_steps_are_checked_at_the_last(tmp_path):
    run = official_run()
    run.files = {name: {"segs": stored["segs"]} for name, stored in run.files.items()}
    found = found_in(run, tmp_path)
    assert found.differences == ()
    assert found.n_unchecked == 4 * 10 - 2  # the box step of one case was not run
    assert "38 scores not checked" in parity_text(found)


def test_older_scripts_store_the_previous_segmentations_too(tmp_path):
    run = official_run()
    for name, stored in run.files.items():
        maps, older = list(stored["all_segs"]), []
        for step, now in enumerate(maps):
            is_box_step = step == 0 and run.cases[name]["boxes"]
            before = maps[step - 1] if step else np.zeros_like(now)
            older += [now] if is_box_step else [before, now]
        stored["all_segs"] = np.stack(older)
    found = found_in(run, tmp_path)
    assert found.differences == ()
    assert found.n_unchecked == 0


# ---- all at once -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Return a data and an official folder with seven planted differences."""
    tmp_path = tmp_path_factory.mktemp("planted")
    wide = reference_of(1, labels=(7, 300))
    run = official_run(n_cases=9, reference_D=wide, writes_C=[None] * 6)
    stored = run.files["CT_Toy_A"]
    run.files["CT_Toy_A"] = {"segs": stored["all_segs"][3], "all_segs": stored["all_segs"][:4]}
    change_row(run, "E", RunningTime_3=run.row("CT_Toy_E")["RunningTime_3"] + 5)
    one, other = run.row("CT_Toy_F"), run.row("CT_Toy_G")
    one["CaseName"], other["CaseName"] = other["CaseName"], one["CaseName"]
    change_row(run, "H", NSD_2=run.row("CT_Toy_H")["NSD_2"] - 0.01)
    return run.write_data(tmp_path / "val"), run.write(tmp_path / "official")


CAUSE_OF_CASE = {
    ("A", "stale-file"), ("C", "dropped-case"), ("D", "8-bit-cast"), ("E", "time"),
    ("F", "swapped-cases"), ("G", "swapped-cases"), ("H", "unexplained"),
}  # fmt: skip


@pytest.fixture(scope="module")
def planted_parity(planted):
    return segbench.parity(planted[1], planted[0])


def test_every_planted_difference_is_named_and_nothing_else(planted_parity):
    found = planted_parity
    assert set(named(found)) == CAUSE_OF_CASE
    assert sum(found.counts.values()) == len(found.differences)
    assert list(found.counts) == [cause for cause in CAUSES if cause in found.counts]


def test_the_text_has_one_line_per_difference_and_a_summary(planted_parity):
    text = parity_text(planted_parity)
    lines = text.splitlines()
    blank = lines.index("")
    # the file of A was left after step 4, so it is the label map of step 4 that counts as the last
    assert [(line.split()[0][-1], cause) for line in lines[:blank] for cause in CAUSES
            if f": {cause}: " in line] == sorted(CAUSE_OF_CASE)  # fmt: skip
    assert lines[-3] == "8 cases scored again, of 8 rows"
    assert "1 unexplained" in lines[-2]


def test_the_formats_have_every_difference(planted_parity):
    found = planted_parity
    content = json.loads(parity_json(found, "segbench 1"))
    rows = list(csv.DictReader(io.StringIO(parity_csv(found))))
    frame = parity_frame(found)
    assert len(rows) == len(frame) == len(content["differences"]) == len(found.differences)
    assert content["explained"] + content["unexplained"] == len(rows)
    numbers = [(row["official"], row["found"]) for row in rows if row["official"]]
    stored = [each for each in found.differences if each.official is not None]
    assert numbers == [(repr(each.official), repr(each.found)) for each in stored]


# ---- the command -------------------------------------------------------------------------------


def command(*words):
    return CliRunner().invoke(cli, ["parity", *map(str, words)], catch_exceptions=False)


def test_the_command_says_whether_anything_differs(planted, tmp_path):
    data, official = planted
    run = official_run()
    equal = run.write(tmp_path / "equal"), run.write_data(tmp_path / "equal_val")
    assert command(equal[0], "--data", equal[1]).exit_code == 0
    assert command(official, "--data", data).exit_code == 1
    allowed = [word for _, cause in CAUSE_OF_CASE if cause != "unexplained"
               for word in ("--allow", cause)]  # fmt: skip
    assert command(official, "--data", data, *allowed).exit_code == 1
    run.row("CT_Toy_A")["TotalRunningTime"] += 1
    late = run.write(tmp_path / "late")
    assert command(late, "--data", equal[1]).exit_code == 1
    assert command(late, "--data", equal[1], "--allow", "time").exit_code == 0


@pytest.mark.parametrize("form", ["text", "json", "csv"])
def test_the_command_prints_each_format(planted, planted_parity, form):
    data, official = planted
    done = command(official, "--data", data, "--format", form)
    assert done.exit_code == 1
    found = planted_parity
    shown = {"text": parity_text, "csv": parity_csv}
    if form == "json":
        assert json.loads(done.stdout)["causes"] == found.counts
    else:
        assert done.stdout == shown[form](found)


def test_a_folder_without_a_table_is_refused(tmp_path, data):
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match="expected one file TEAM_metrics.csv"):
        segbench.parity(tmp_path / "empty", data)
    done = CliRunner().invoke(cli, ["parity", str(tmp_path / "empty"), "--data", str(data)])
    assert done.exit_code == 2


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("a,b\n1,2\n", "expected the columns of the official script"),
        ("CaseName,DSC_1\nA.npz,x\n", "line 2: expected a number as DSC_1, found 'x'"),
        ("CaseName,DSC_1\nA.npz,0\nA.npz,0\n", "found a second of 'A'"),
    ],
)
def test_a_table_that_is_none_of_the_script_is_refused(tmp_path, data, text, match):
    (tmp_path / "x_metrics.csv").write_text(text)
    with pytest.raises(RunError, match=match):
        segbench.parity(tmp_path, data, metrics=tmp_path / "x_metrics.csv")


def test_an_unknown_cause_is_refused(tmp_path, data):
    done = CliRunner().invoke(
        cli, ["parity", str(data), "--data", str(data), "--allow", "unexplained"]
    )
    assert done.exit_code == 2
    assert "expected a cause that can be established, found 'unexplained'" in done.stderr


def test_two_tables_in_a_folder_are_refused_until_one_is_named(tmp_path):
    run = official_run()
    data, official = run.write_data(tmp_path / "val"), run.write(tmp_path / "official")
    table = (official / "team_metrics.csv").rename(tmp_path / "elsewhere.csv")
    for name in ("a_metrics.csv", "b_metrics.csv"):
        (official / name).write_text("CaseName,DSC_1\n")
    with pytest.raises(RunError, match="found a_metrics.csv, b_metrics.csv; name it with"):
        segbench.parity(official, data)
    assert segbench.parity(official, data, metrics=table).differences == ()


def test_predictions_may_be_in_a_folder_of_their_own(tmp_path):
    run = official_run()
    data, official = run.write_data(tmp_path / "val"), run.write(tmp_path / "official")
    (official / "outputs").mkdir()
    for file in official.glob("*.npz"):
        file.rename(official / "outputs" / file.name)
    assert segbench.parity(official, data).n_compared == 4
    (official / "older").mkdir()
    (official / "older" / "CT_Toy_A.npz").write_bytes(b"")
    with pytest.raises(RunError, match=r"found \.npz files in older, outputs; give one"):
        segbench.parity(official, data)


def test_a_wrong_keyword_is_answered_with_the_right_one(tmp_path):
    with pytest.raises(TypeError, match="did you mean `jobs`"):
        segbench.parity(tmp_path, tmp_path, workers=2)


def test_a_name_in_a_table_cannot_command_a_terminal(tmp_path):
    run = official_run()
    change_row(run, "A", CaseName="CT\x1b[2J.npz")
    found = found_in(run, tmp_path)
    assert ("CT?[2J", "case-not-in-data") in {(each.case, each.cause) for each in found.differences}
    assert "\x1b" not in parity_text(found) + parity_csv(found)


def test_a_name_with_a_path_opens_no_file_outside_the_folder(tmp_path):
    run = official_run()
    change_row(run, "A", CaseName="../val/CT_Toy_A.npz")
    found = found_in(run, tmp_path)
    assert ("../val/CT_Toy_A", "case-not-in-data") in {
        (each.case, each.cause) for each in found.differences
    }


def test_references_may_be_in_a_folder_of_their_own(tmp_path):
    run = official_run()
    whole, images = run.write_data(tmp_path / "whole"), tmp_path / "val"
    images.mkdir()
    for file in whole.glob("*.npz"):
        with np.load(file, allow_pickle=True) as case:
            np.savez(images / file.name, **{key: case[key] for key in case if key != "gts"})
    assert found_in(run, tmp_path, references=whole).differences == ()
    alone = segbench.parity(tmp_path / "official", images)
    assert {cause for _, cause in named(alone)} == {"unreadable-file"}


def test_more_label_maps_than_steps_are_not_read(tmp_path):
    run = official_run()
    stored = run.files["CT_Toy_A"]
    stored["all_segs"] = np.repeat(stored["all_segs"], 20, axis=0)
    assert named(found_in(run, tmp_path)) == {("A", "unreadable-file"): {"file"}}


# ---- the numbers of the real script ------------------------------------------------------------


@pytest.mark.parametrize("model", ["modelb", "modelc"])
def test_the_numbers_of_the_real_script_are_equal(tmp_path, model):
    """The golden cases, in the folder that the script would have written."""
    expected = json.loads((GOLDEN / "expected.json").read_text())["cases"]
    run = Run()
    for name, case in expected.items():
        if model in case["models"] and name not in LARGE:
            add_golden(run, name, case, case["models"][model])
    found = found_in(run, tmp_path)
    dropped = {("s", "dropped-case"): {"row"}} if model == "modelc" else {}
    assert named(found) == dropped
    assert found.n_unchecked == 0
    assert found.n_equal > 300


def add_golden(run, name, case, expected):
    with np.load(GOLDEN / f"{name}.npz") as stored:
        reference, spacing = stored["gts"], stored["spacing"]
        maps = stored[expected["pred_key"]]
    writes = [maps[step] if wrote else None for step, wrote in enumerate(expected["wrote"])]
    alone = Run()
    alone.add(name, reference, spacing, writes, boxes=case["has_boxes"])
    run.cases |= alone.cases
    files = {}
    output, stack = None, []
    for step, wrote in enumerate(expected["wrote"]):
        if wrote is None:
            continue
        output = writes[step] if wrote else output
        shown = np.zeros(reference.shape, np.uint8) if output is None else output
        stack.append(shown.astype(np.uint8))
        if output is not None:
            files = {"segs": output, "all_segs": np.stack(stack)}
    if not expected["in_csv"]:
        assert not files
        return
    run.files[name] = files
    numbers = {key: np.nan if expected[key] is None else expected[key] for key in
               ("DSC_AUC", "NSD_AUC", "DSC_Final", "NSD_Final")}  # fmt: skip
    for measure in ("DSC", "NSD"):
        numbers |= {f"{measure}_{step + 1}": np.nan if value is None else value
                    for step, value in enumerate(expected[measure])}  # fmt: skip
    times = [1.0 if wrote is not None else 0 for wrote in expected["wrote"]]
    numbers |= {f"RunningTime_{step + 1}": seconds for step, seconds in enumerate(times)}
    numbers |= {"TotalRunningTime": sum(times), "num_class": case["num_class"]}
    numbers |= {"runtime_upperbound": expected["runtime_upperbound"]}
    run.rows.append({"CaseName": f"{name}.npz", **numbers})
