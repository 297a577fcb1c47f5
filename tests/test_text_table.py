"""Tables as plain text."""

from segbench.text_table import text_table, wrapped_table


def test_columns_are_aligned_and_lines_have_no_blanks_at_their_ends():
    rows = [("NAME", "N", "NOTE"), ("a", "10", ""), ("longer", "7", "x")]
    assert text_table(rows, right=[1], rule=True).splitlines() == [
        "NAME     N  NOTE",
        "------  --  ----",
        "a       10",
        "longer   7  x",
    ]
    assert text_table(rows).splitlines()[1:] == ["a       10", "longer  7   x"]


def test_the_last_column_of_a_wrapped_table_has_several_lines():
    rows = [("NAME", "MEANING"), ("size", "one two three four five six seven"), ("x", "")]
    assert wrapped_table(rows, width=30).splitlines() == [
        "NAME  MEANING",
        "size  one two three four five",
        "      six seven",
        "x",
    ]
