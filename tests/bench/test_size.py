"""How much code the speed took: a newcomer must be able to read it."""

import ast
import io
import tokenize
from pathlib import Path

import segbench

PACKAGE = Path(segbench.__file__).parent
HOW = ("bits", "comparison", "depth", "metrics")  # what was written to be fast
WHAT = ("simulator", "scoring", "distances", "memory")  # rules, ties and audits, once a case
MOST = 450  # lines
BLANK = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
BLANK |= {tokenize.ENDMARKER}
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def code_lines(source: str) -> int:
    """Return the number of lines that are not blank, comments or docstrings."""
    used = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in BLANK:
            used |= set(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            used -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return len(used)


def lines_of(modules) -> int:
    return sum(code_lines((PACKAGE / f"{name}.py").read_text("utf-8")) for name in modules)


def test_blanks_comments_and_docstrings_are_not_counted():
    assert (
        code_lines('"""Doc."""\n\n# why\nx = (\n    1\n)\n\ndef f():\n    """Doc\n    on."""\n')
        == 4
    )


def test_the_fast_code_stays_short():
    print(f"\n{lines_of(HOW)} lines, with {' and '.join(WHAT)} {lines_of(HOW + WHAT)}")  # noqa: T201
    assert lines_of(HOW) <= MOST
