"""How much code the speed took: a newcomer must be able to read it."""

import ast
import io
import tokenize
from pathlib import Path

import segbench

PACKAGE = Path(segbench.__file__).parent
# all that lies between two label maps and the clicks and scores of a step
MODULES = ("bits", "comparison", "depth", "distances", "metrics", "scoring", "simulator")
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


def test_blanks_comments_and_docstrings_are_not_counted():
    assert (
        code_lines('"""Doc."""\n\n# why\nx = (\n    1\n)\n\ndef f():\n    """Doc\n    on."""\n')
        == 4
    )


def test_the_hot_path_stays_short(show):
    lines = {name: code_lines((PACKAGE / f"{name}.py").read_text("utf-8")) for name in MODULES}
    show(f"{sum(lines.values())} lines: {lines}")
    assert sum(lines.values()) <= MOST
