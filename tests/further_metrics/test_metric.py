"""Names of metrics: what they mean, and what is refused."""

import math

import numpy as np
import pytest

from segbench.errors import RunError
from segbench.further_metrics.metric import is_current, kind_of, parse_metric, parse_metrics
from segbench.further_metrics.own_function import load_function, own_value

MASKS = np.ones((2, 3, 4), bool), np.zeros((2, 3, 4), bool)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("nsd@1mm", "nsd@1mm"),
        ("nsd@1", "nsd@1mm"),
        ("nsd@1.0", "nsd@1mm"),
        ("nsd@0.50mm", "nsd@0.5mm"),
        ("nsd-voxels", "nsd-voxels@2mm"),
        ("nsd-box@1e-3", "nsd-box@0.001mm"),
        ("hd95", "hd95"),
    ],
)
def test_a_name_has_one_spelling(text, name):
    assert parse_metric(text).name == name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nds@1mm", "metric: expected one of nsd, .*; did you mean 'nsd'?"),
        ("nsd@0", "expected a tolerance above 0 mm, as in nsd@1mm, found 'nsd@0'"),
        ("nsd@", "expected a tolerance above 0 mm"),
        ("nsd@1cm", "expected a tolerance above 0 mm"),
        ("nsd@1.2.3", "expected a tolerance above 0 mm"),
        ("nsd@1e999", "expected a tolerance above 0 mm"),
        ("hd95@99", "metric hd95: expected no value, found 'hd95@99'"),
        ("own.py", "expected path/to/file.py:function, found 'own.py'"),
        ("own.py:1a", "expected path/to/file.py:function"),
        ("own.py:hd95", "expected another name than that of a metric of segbench, found 'hd95'"),
        ("none.py:f", "metric none.py:f: expected a file, found FileNotFoundError"),
    ],
)
def test_what_is_no_metric_is_refused(text, message):
    with pytest.raises(RunError, match=message):
        parse_metric(text)


def test_each_metric_counts_once_and_none_is_refused():
    assert [each.name for each in parse_metrics(["nsd@1", "hd95", "nsd@1mm"])] == [
        *("nsd@1mm", "hd95")
    ]
    with pytest.raises(RunError, match="expected at least one of nsd, .*, found none"):
        parse_metrics([])


@pytest.fixture
def own(tmp_path):
    """Return a function that writes a file with a metric and returns the metric."""

    def write(body, name="own"):
        file = tmp_path / f"{name}.py"
        file.write_text(f"def share(prediction, reference, spacing):\n    {body}\n")
        return parse_metric(f"{file}:share")

    return write


def test_two_functions_of_one_name_are_refused(own):
    files = [str(own("return 1", name).file) for name in ("a", "b")]
    with pytest.raises(RunError, match="one metric of the name share, found 2; rename a function"):
        parse_metrics([f"{file}:share" for file in files])


def test_a_function_of_ones_own_gets_masks_and_spacing(own):
    metric = own("return prediction.mean() - reference.sum() + spacing[0]")
    assert own_value(metric, *MASKS, (3.0, 1.0, 1.0)) == 4
    assert math.isnan(own_value(own("return float('nan')"), *MASKS, (1, 1, 1)))


def test_a_changed_function_is_another_metric(own):
    first = own("return 1")
    second = own("return 2")
    assert first.definition(0.2) != second.definition(0.2)
    assert own_value(second, *MASKS, (1, 1, 1)) == 2


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return None", "share: expected a number, found TypeError"),
        ("return 1 / 0", "share: expected a number, found ZeroDivisionError: division by zero"),
        ("return float('inf')", "share: expected a finite number or NaN, found inf"),
    ],
)
def test_a_function_that_gives_no_number_is_named(own, body, message):
    with pytest.raises(RunError, match=message):
        own_value(own(body), *MASKS, (1, 1, 1))


def test_a_file_without_the_function_or_that_cannot_be_imported_is_named(own):
    metric = own("return 1")
    with pytest.raises(RunError, match="expected a function other in it, found none"):
        load_function(parse_metric(f"{metric.file}:other"))
    metric.file.write_text("import nowhere_at_all\n")
    with pytest.raises(RunError, match="expected a file to import, found ModuleNotFoundError"):
        load_function(parse_metric(f"{metric.file}:share"))


def test_values_of_another_version_or_gate_are_not_current():
    metric = parse_metric("nsd@1mm")
    assert is_current("nsd@1mm", metric.definition(0.2), 0.2)
    assert not is_current("nsd@1mm", metric.definition(0.2), 0.3)
    assert not is_current("hd95", "version 0", 0.2)
    assert is_current("share", "sha256 of any file", 0.2)
    assert math.isnan(kind_of("share").worst)
