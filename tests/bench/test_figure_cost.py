"""What the figures of many cases cost, without pictures of cases, which need the data."""

import time

import pytest

from segbench.report import FigureOptions, figure_files
from tests.bench.result_frames import made_results

pytestmark = pytest.mark.slow

SECONDS, MODELS, CASES = 60, 6, 500


@pytest.mark.parametrize("formats", [("svg",), ("svg", "pdf", "png")], ids=",".join)
def test_the_figures_of_many_cases_take_less_than_60_seconds(formats, show):
    results = made_results(MODELS, CASES)
    wall, cpu = time.perf_counter(), time.process_time()
    drawn = figure_files(results, FigureOptions(formats))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    names = [figure.name.removeprefix("figure-") for figure in drawn.figures]
    megabytes = sum(map(len, drawn.files.values())) / 1e6
    show(
        f"{CASES} cases x {MODELS} models, {','.join(formats)}: {wall:.1f} s ({cpu:.1f} CPU s), "
        f"{megabytes:.1f} MB: {', '.join(names)}"
    )
    assert len(names) == 8
    assert wall <= SECONDS
