"""Tables as plain text."""

from segbench.text_table import text_table


def test_columns_are_aligned_and_lines_have_no_blanks_at_their_ends():
    rows = [("NAME", "N", "NOTE"), ("a", "10", ""), ("longer", "7", "x")]
    assert text_table(rows, right=[1], rule=True).splitlines() == [
        "NAME     N  NOTE",
        "------  --  ----",
        "a       10",
        "longer   7  x",
    ]
    assert text_table(rows).splitlines()[1:] == ["a       10", "longer  7   x"]
