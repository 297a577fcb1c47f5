"""The tables of ranks and pairs have the numbers of the frames, never a bare rank."""

import csv
import io

import numpy as np
import pytest

import segbench
from segbench.errors import RunError
from segbench.report import rank_runs, ranking_text, ranks_with_groups, report_tables
from segbench.report.pairs import compare_pairs
from segbench.report.ranking import rank_methods
from segbench.report.resampling import Resampling
from segbench.report.tables.pairs import pairs_table
from segbench.report.tables.ranking import ranking_table
from segbench.report.tables.render import to_csv
from tests.report.small_runs import case

FEW = Resampling(draws=300)
COLUMNS = {
    "Rank": ("rank_then_aggregate", "micro"),
    "Macro rank": ("rank_then_aggregate", "macro"),
    "By means": ("aggregate_then_rank", "micro"),
    "Macro means": ("aggregate_then_rank", "macro"),
    "Tests": ("test_then_rank", "micro"),
}


def random_cases(seed, mean, n_cases=16):
    rng = np.random.default_rng(seed)
    return [
        case(f"{'CT' if i % 2 else 'MR'}_{i:02}", tuple(rng.normal(mean, 0.05, 6).tolist()))
        for i in range(n_cases)
    ]


@pytest.fixture
def runs(run):
    means = {"good": 0.8, "alike": 0.8, "bad": 0.4}
    return [run(name, random_cases(i, mean)) for i, (name, mean) in enumerate(means.items())]


@pytest.fixture
def results(runs):
    return segbench.load(*runs)


def rows_of(table):
    return list(csv.DictReader(io.StringIO(to_csv(table))))


def test_the_table_has_the_ranks_of_the_ranking(results):
    ranking = rank_methods(results.cases, resampling=FEW)
    frame = ranking.table.set_index(["rule", "average", "method"])
    rows = rows_of(ranking_table(results, rank_runs(results, resampling=FEW), resampling=FEW))
    assert {row["Method"] for row in rows} == {"good", "alike", "bad"}
    for row in rows:
        for title, key in COLUMNS.items():
            expected = frame.loc[(*key, row["Method"])]
            assert float(row[title]) == expected["rank"]
            if title != "Tests":
                bounds = [float(row[f"{title} {bound}"]) for bound in ("low", "high")]
                assert bounds == expected[["rank_low", "rank_high"]].tolist()
        assert float(row["Mean rank"]) == frame["score"][(*COLUMNS["Rank"], row["Method"])]
        assert float(row["Won"]) == frame["score"][(*COLUMNS["Tests"], row["Method"])]


def test_methods_that_cannot_be_told_apart_are_one_group(results):
    table = ranking_table(results, rank_runs(results, resampling=FEW), resampling=FEW)
    assert [[row[1].value for row in group] for group in table.groups] == [[1, 1], [2]]
    assert table.groups[1][0][0].value == "bad"
    assert any("their order is not established" in note for note in table.notes)


def test_a_rank_without_an_interval_shows_that_it_has_none(run):
    results = segbench.load(
        run("a", [case("CT_1"), case("CT_2"), case("PET_1")]),
        run("b", [case("CT_1"), case("CT_2"), case("PET_1")]),
    )
    table = ranking_table(results, rank_runs(results, resampling=FEW), resampling=FEW)
    assert [row[4].text for row in table.rows] == ["1 [–]", "1 [–]"]
    assert [row[3].text for row in table.rows] == ["1 [–]", "1 [–]"]
    averages = rank_runs(results, ties="average", resampling=FEW)
    table = ranking_table(results, averages, ties="average", resampling=FEW)
    assert table.rows[0][3].text == "1.5 [–]"


def test_a_winner_that_depends_on_the_rule_is_named(run):
    # in CT, a is better twice by little, b once by much
    results = segbench.load(
        run("a", [case(f"CT_{i}", (score,) * 6) for i, score in enumerate((0.51, 0.51, 0.1))]),
        run("b", [case(f"CT_{i}", (0.5,) * 6) for i in range(3)]),
    )
    notes = ranking_table(results, rank_runs(results, resampling=FEW), resampling=FEW).notes
    assert notes[0] == (
        "The winner depends on the rule: a by the challenge's rule, macro rank; b by means, "
        "macro means; by tests no method wins."
    )


def test_no_method_wins_by_tests_if_none_wins_a_test(run):
    results = segbench.load(
        run("a", [case(f"CT_{i}", (0.51,) * 6) for i in range(3)]),
        run("b", [case(f"CT_{i}", (0.5,) * 6) for i in range(3)]),
    )
    ranking = rank_runs(results, resampling=FEW)
    table = ranking_table(results, ranking, resampling=FEW)
    assert [row[-1].text for row in table.rows] == ["0.00", "0.00"]
    assert table.notes[0] == "First by every other rule: a; by tests no method wins."
    assert not ranking.winner_changes


def test_a_run_without_a_scored_case_changes_no_rank(runs, run, results):
    more = segbench.load(*runs, run("started", []))
    ranking = rank_runs(more, resampling=FEW)
    assert ranking.table.equals(rank_runs(results, resampling=FEW).table)
    notes = ranking_table(more, ranking, resampling=FEW).notes
    assert "started has no scored case and is not ranked." in notes
    assert not any("started lacks" in note for note in notes)


def test_every_row_of_ranks_has_its_group(results):
    frame = ranks_with_groups(rank_runs(results, resampling=FEW))
    assert dict(zip(frame["method"], frame["group"], strict=True)) == {
        **{"good": 1, "alike": 1, "bad": 2}
    }


def test_a_text_fits_a_terminal_even_with_long_names(run):
    names = ["x" * 70 + str(i) for i in range(3)]
    results = segbench.load(
        *(run(name, random_cases(i, 0.5), folder=f"r{i}") for i, name in enumerate(names))
    )
    text = ranking_text(results, rank_runs(results, resampling=FEW), resampling=FEW)
    table = text.split("Notes")[0].splitlines()
    assert max(map(len, table)) <= 100
    assert len({line.split()[0] for line in table if line.startswith("xxx")}) == 3


def test_no_ranking_has_a_reason(run):
    one = run("one", [case("CT_1")])
    reasons = {
        "at least two runs, found 1": [one],
        "do not see the reference, found 1; oracle sees it": [
            one,
            run("oracle", [case("CT_1")], sees_reference=True),
        ],
        "a scored case, found none in started": [one, run("started", [])],
        "expected a case that all methods have scored, found none": [
            one,
            run("other", [case("CT_2")]),
        ],
    }
    for reason, folders in reasons.items():
        results = segbench.load(*folders)
        ranking = rank_runs(results)
        assert ranking_table(results, ranking) is None
        with pytest.raises(RunError, match=reason):
            ranking_text(results, ranking)


def test_the_table_of_pairs_has_the_numbers_of_the_frame(results):
    frame = compare_pairs(results.cases, resampling=FEW)
    rows = rows_of(pairs_table(results, resampling=FEW))
    titles = {"difference": "A - B", "low": "A - B low", "high": "A - B high", "p": "p"}
    titles |= {"p_holm": "p (Holm)", "false_claim": "P (false)", "effect": "Effect"}
    titles |= {"wins": "Wins", "ties": "Ties", "losses": "Losses", "n_cases": "n"}
    for name, title in titles.items():
        assert [float(row[title]) for row in rows] == frame[name].tolist(), name


def test_a_probability_is_never_printed_as_0(results):
    table = pairs_table(results, resampling=FEW)
    texts = [row[-1].text for row in table.rows]
    assert "<0.0001" in texts
    assert "0.0000" not in texts


def test_a_report_has_both_tables_only_for_two_ranked_runs(runs, results, run):
    assert {"ranking", "pairs"} <= {table.name for table in report_tables(results)}
    oracle = run("oracle", random_cases(1, 0.7), sees_reference=True)
    for folders in ([runs[0]], [runs[0], oracle]):
        names = {table.name for table in report_tables(segbench.load(*folders))}
        assert not {"ranking", "pairs"} & names
