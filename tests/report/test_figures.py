"""The frames of the figures by hand, and what holds for every drawing."""

import io
from itertools import product

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from segbench.core import StepScore
from segbench.errors import RunError
from segbench.report import (
    FigureOptions,
    Resampling,
    differences_to_best,
    figure_files,
    load,
    noc_curves,
    rank_shares,
    report_figures,
    scores_and_seconds,
    significance_map,
    step_intervals,
    write_report,
)
from segbench.report.figures.options import NO_FIGURES
from segbench.report.figures.style import (
    file_contents,
    fitted,
    fitted_all,
    legend_columns,
    printable,
    styled,
    text_points,
)
from segbench.results import CaseResult, StepResult
from tests.report.figure_checks import problems
from tests.report.small_runs import FLAT, RISING, case

FEW = Resampling(draws=200)
NAMES = ("CT_1", "CT_2", "MR_1", "MR_2", "MR_3", "PET_1", "PET_2")
LONG = "a-very-long-method-name_with-a-suffix-v1.2.3-checkpoint-000"


def several(n_methods, names=NAMES, *, step=0.04):
    """Results of methods whose scores differ by ``step`` and, a little, between cases."""
    runs = {}
    for method, (number, name) in product(range(n_methods), enumerate(names)):
        noise = np.random.default_rng([method, number]).normal(0, 0.03)
        dsc = [min(1, value / 2 + 0.1 + method * step + noise) for value in RISING]
        boxes = number % 3 != 2
        runs.setdefault(method, []).append(
            case(name, dsc, boxes=boxes, seconds=0.1 * 3**method, file_sha256=f"{number:064x}")
        )
    return runs


@pytest.fixture
def results(run):
    def make(runs, names=None):
        names = names or [f"m{number}" for number in runs]
        pairs = zip(names, runs.values(), strict=True)
        return load(*(run(name, cases, folder=str(i)) for i, (name, cases) in enumerate(pairs)))

    return make


def only(frame, **values):
    for name, value in values.items():
        frame = frame[frame[name] == value]
    return frame


# ---- frames --------------------------------------------------------------------------------------


def test_scores_by_step_are_split_by_modality_and_box(results):
    cases = [case("CT_1", RISING), case("CT_2", FLAT), case("MR_1", FLAT, boxes=False)]
    frame = step_intervals(results({0: cases}), FEW)
    ct = only(frame, modality="CT", has_boxes=True, measure="dsc").set_index("step")
    assert ct["mean"].tolist() == pytest.approx([0.35, 0.45, 0.5, 0.55, 0.6, 0.65])
    assert (ct["low"] < ct["mean"])[5]
    assert (ct["mean"] < ct["high"])[5]
    mr = only(frame, modality="MR", measure="dsc")
    assert mr["has_boxes"].unique().tolist() == [False]
    assert mr["step"].tolist() == [1, 2, 3, 4, 5]
    assert mr[["low", "high"]].isna().all(axis=None)  # one patient
    total = only(frame, modality="All cases", has_boxes=False, measure="nsd", step=5)
    assert total[["n_cases", "mean"]].to_numpy().tolist() == [[1, 0.25]]


def labels_case(name, dsc_by_label, *, boxes=True):
    steps = []
    for step in range(0 if boxes else 1, 6):
        scores = (StepScore(step, i, dsc[step], 0.5) for i, dsc in enumerate(dsc_by_label, 1))
        steps.append(StepResult(step, tuple(scores), prediction_sha256="ab" * 32))
    return CaseResult(
        name,
        "ok",
        modality="CT",
        labels=tuple(range(1, 1 + len(dsc_by_label))),
        has_boxes=boxes,
        steps=tuple(steps),
        seconds={step.step: 1.0 for step in steps},
    )


def test_a_label_reaches_a_target_once_and_for_all(results):
    up_and_down = (0.0, 0.82, 0.5, 0.5, 0.91, 0.5)
    cases = [
        labels_case("CT_1", [up_and_down, (0.9,) * 6]),
        labels_case("CT_2", [(0.95,) * 6], boxes=False),
        labels_case("CT_3", [(0.0,) * 6]),
    ]
    frame = noc_curves(results({0: cases}), FEW)
    share = {q: only(frame, q=q).sort_values("clicks")["share"].tolist() for q in (0.8, 0.85, 0.9)}
    assert share[0.8] == [1 / 4, 3 / 4, 3 / 4, 3 / 4, 3 / 4, 3 / 4]  # at 0: not the one without box
    assert share[0.85] == share[0.9] == [1 / 4, 2 / 4, 2 / 4, 2 / 4, 3 / 4, 3 / 4]
    assert frame["n_labels"].unique().tolist() == [4]
    assert frame["n_patients"].unique().tolist() == [3]


def test_differences_are_those_to_the_best_rank_whatever_the_order_of_the_runs(results):
    frame = differences_to_best(results(several(3)), FEW)
    assert frame["best"].unique().tolist() == ["m2"]
    assert frame["method"].tolist() == ["m1", "m0"] * 4
    final = only(frame, measure="dsc_final", method="m0").iloc[0]
    assert final["low"] < final["difference"] < final["high"] < 0
    assert (final["wins"], final["losses"]) == (0, 7)
    assert final["q05"] <= final["q25"] <= final["q75"] <= final["q95"]
    turned = differences_to_best(results({2: several(3)[2], **several(3)}), FEW)
    columns = ["difference", "low", "high", "q05", "q95", "p_holm"]
    assert turned[columns].to_numpy() == pytest.approx(frame[columns].to_numpy())


def test_the_map_has_every_pair_in_both_directions(results):
    frame = significance_map(results(several(3)), FEW)
    assert len(frame) == 4 * 3 * 2
    one = only(frame, measure="dsc_final", row="m2", column="m0").iloc[0]
    other = only(frame, measure="dsc_final", row="m0", column="m2").iloc[0]
    assert (one["difference"], one["low"], one["p_holm"]) == (
        -other["difference"],
        -other["high"],
        other["p_holm"],
    )
    assert other["verdict"] == "not larger"
    assert one["verdict"] == ("better" if one["p_holm"] <= 0.05 else "larger mean")


def test_shares_of_ranks_sum_to_one_and_mark_the_observed_rank(results):
    frame = rank_shares(results(several(3, step=0.005)), FEW)
    sums = frame.groupby(["rule", "method"])["share"].sum()
    assert sums.tolist() == pytest.approx([1.0] * 6)
    assert (frame.groupby(["rule", "method"])["observed"].sum() == 1).all()
    assert only(frame, rule="rank_then_aggregate")["rank"].between(1, 3).all()
    assert frame["share"].between(0.01, 0.99).any()  # some order is not certain


def test_seconds_per_step_are_those_of_the_steps_that_a_case_has(results):
    cases = [case("CT_1", seconds=2.0), case("CT_2", seconds=4.0, boxes=False)]
    frame = scores_and_seconds(results({0: cases}), FEW)
    assert only(frame, measure="seconds_per_step")["mean"].tolist() == [3.0]
    assert only(frame, measure="dsc_final")["mean"].tolist() == [0.5]


# ---- drawings ------------------------------------------------------------------------------------

SITUATIONS = {
    "one model": lambda: (several(1), None),
    "one case": lambda: (several(2, ["CT_1"]), None),
    "one modality": lambda: (several(3, ["OpticalCoherence3D_1", "OpticalCoherence3D_2"]), None),
    "long names": lambda: (
        several(4),
        [f"{LONG}1", f"{LONG}2", "\u6a21 $x$_\u00e9 & <b>", "_under"],
    ),
    "eleven models": lambda: (several(11, step=0.01), [f"method number {i}" for i in range(11)]),
}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_no_text_is_small_cut_or_on_another_one(results, situation):
    drawn = list(report_figures(results(*SITUATIONS[situation]()), FEW))
    assert len(drawn) >= 5
    for figure in drawn:
        with styled():
            assert problems(figure.figure) == [], figure.name
        assert figure.figure.get_size_inches()[0] == pytest.approx(8 / 2.54)
        assert len(figure.frame)
        assert figure.notes


def test_the_check_of_texts_sees_what_is_wrong():
    from matplotlib.figure import Figure

    with styled():
        figure = Figure(figsize=(3, 2))
        figure.text(0.5, 0.5, "one")
        figure.text(0.5, 0.5, "two")
        figure.text(0.97, 0.2, "beyond the edge")
        figure.text(0.1, 0.2, "tiny", fontsize=5)
        found = "\n".join(problems(figure))
    assert "'one' is on 'two'" in found
    assert "'beyond the edge' is cut" in found
    assert "'tiny' is 5.0 pt" in found


def test_methods_differ_in_grey_print(results):
    """No two of six methods have the same marker, nor the same dashes and a similar grey."""
    from segbench.report.figures.style import method_styles

    styles = list(method_styles({f"m{i}": f"m{i}" for i in range(10)}).values())
    assert len({style.marker for style in styles}) == 10
    grey = [
        np.dot([int(s.colour[i : i + 2], 16) for i in (1, 3, 5)], [0.3, 0.59, 0.11]) for s in styles
    ]
    for one, other in product(range(6), range(6)):
        if one < other and str(styles[one].dashes) == str(styles[other].dashes):
            assert abs(grey[one] - grey[other]) > 25


def test_equal_results_give_equal_files_without_a_date(results):
    made = results(several(2, ["CT_1", "CT_2"]))
    kinds = ("svg", "pdf", "png")
    first, second = (
        {f.name: file_contents(f.figure, kinds) for f in report_figures(made, FEW)}
        for _ in range(2)
    )
    assert first == second
    for files in first.values():
        assert b"<dc:date>" not in files["svg"]
        assert b"CreationDate" not in files["pdf"]


def test_drawing_changes_nothing_outside_and_ignores_the_users_style(results):
    import matplotlib

    made = results(several(2, ["CT_1", "CT_2"]))
    plain = [file_contents(figure.figure, ("svg",)) for figure in report_figures(made, FEW)]
    with matplotlib.rc_context({"font.size": 20, "axes.grid": False, "lines.linewidth": 5}):
        before = dict(matplotlib.rcParams)
        other = [file_contents(figure.figure, ("svg",)) for figure in report_figures(made, FEW)]
        assert dict(matplotlib.rcParams) == before
    assert plain == other


def test_what_needs_two_methods_is_not_there_for_one(results):
    names = {figure.name for figure in report_figures(results(several(1)), FEW)}
    assert names == {
        *("figure-steps-dsc", "figure-steps-nsd", "figure-noc", "figure-dsc-nsd", "figure-seconds")
    }


def test_a_run_without_a_scored_case_has_no_figure(results):
    assert list(report_figures(results({0: []}), FEW)) == []


def test_models_without_seconds_have_no_logarithmic_axis(results):
    made = results({0: [case("CT_1", seconds=0.0), case("CT_2", seconds=0.0)]})
    (figure,) = (f for f in report_figures(made, FEW) if f.name == "figure-seconds")
    assert {axes.get_xscale() for axes in figure.figure.axes} == {"linear"}


# ---- texts ---------------------------------------------------------------------------------------


def test_a_long_text_loses_its_middle_and_equal_ones_get_a_number():
    assert fitted("short", 100) == "short"
    short = fitted("x" * 100, 60)
    assert "\u2026" in short
    assert text_points(short) <= 60
    one, other = fitted_all(["a" * 99 + "b" + "c" * 99, "a" * 99 + "d" + "c" * 99], 60)
    assert one != other
    assert max(text_points(one), text_points(other)) <= 60


def test_characters_without_a_glyph_are_code_points_and_no_formula_starts():
    assert printable("\u6a21 a$b$\n\u00e9") == r"[U+6A21] a\$b\$ é"


def test_a_legend_has_as_many_columns_as_fit():
    assert legend_columns(["a", "b", "c"]) == 3
    assert legend_columns(["a" * 40, "b"]) == 1


# ---- files ---------------------------------------------------------------------------------------


def test_a_report_has_the_figures_and_their_numbers_and_replaces_them(run, tmp_path):
    runs = [run(f"m{i}", cases) for i, cases in several(2).items()]
    out = tmp_path / "report"
    options = FigureOptions(("svg", "png"))
    files = {file.name for file in write_report(runs, out, figures=options)}
    assert {"figure-noc.svg", "figure-noc.png", "figure-noc.csv"} <= files
    assert Image.open(io.BytesIO((out / "figure-noc.png").read_bytes())).width == 944
    assert {"method", "q", "clicks", "share"} <= set(pd.read_csv(out / "figure-noc.csv").columns)
    page = (out / "index.html").read_text(encoding="utf-8")
    assert page.count("data:image/svg+xml;base64,") == 8
    assert '<a href="figure-noc.png">' in page
    assert "![Stability of the ranks](figure-ranks.svg)" in (out / "index.md").read_text()
    write_report(runs, out, figures=NO_FIGURES)
    assert not list(out.glob("figure-*"))


def test_a_file_of_the_user_is_not_replaced_by_a_figure(run, tmp_path):
    out = tmp_path / "report"
    out.mkdir()
    (out / "figure-noc.svg").write_text("mine")
    with pytest.raises(RunError, match="figure-noc.svg: expected nothing or a file"):
        write_report([run("a", [case("CT_1")])], out, figures=FigureOptions())
    assert not (out / "index.html").exists()


def test_an_unknown_format_is_refused():
    with pytest.raises(RunError, match="figures: expected formats of svg, pdf, png, found 'gif'"):
        FigureOptions(("gif",))


def test_pdf_alone_is_linked_and_not_shown(results):
    drawn = figure_files(results(several(1)), FigureOptions(("pdf",)), FEW)
    from segbench.report.page import figures_html

    page = figures_html(drawn)
    assert "<img" not in page
    assert '<a href="figure-noc.pdf">' in page
