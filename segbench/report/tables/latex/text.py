r"""Text for LaTeX: escapes, width in print, places where a line may break.

The output is ASCII and needs no particular input or font encoding: names and reasons come from
users, and pdflatex stops at a character that it lacks. A character without a form here is printed
as its code point, such as ``[U+4E2D]``.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

# In mathematics where the text symbol needs a font that a small installation lacks.
_SYMBOLS = {
    **{"⁄": "/", "–": "--", "—": "---", "‐": "-", "‑": "-", "−": "$-$", "…": r"\ldots{}"},
    **{"‘": "`", "’": "'", "“": "``", "”": "''", "„": "''"},
    **{"†": r"$\dagger$", "‡": r"$\ddagger$", "•": r"$\bullet$", "·": r"$\cdot$", "§": r"$\S$"},
    **{"×": r"$\times$", "÷": r"$\div$", "±": r"$\pm$", "≤": r"$\leq$", "≥": r"$\geq$"},
    **{"≠": r"$\neq$", "≈": r"$\approx$", "∞": r"$\infty$", "→": r"$\to$", "←": r"$\gets$"},
    **{"°": r"$^{\circ}$", "²": "$^2$", "³": "$^3$", "µ": r"$\mu$", "∅": r"$\emptyset$"},
    **{"ß": r"\ss{}", "ø": r"\o{}", "Ø": r"\O{}", "æ": r"\ae{}", "Æ": r"\AE{}"},
    **{"œ": r"\oe{}", "Œ": r"\OE{}", "ł": r"\l{}", "Ł": r"\L{}", "ı": r"\i{}"},
    **{"đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th"},
}


def _greek(char: str) -> str:
    name = unicodedata.name(char).split()[-1].lower().replace("lamda", "lambda")
    return rf"$\{name.title() if char.isupper() else name}$"


_SYMBOLS |= {char: _greek(char) for char in "αβγδεζηθικλμνξπρςστυφχψωΓΔΘΛΞΠΣΥΦΨΩ"}
_ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",  # in German babel the character has a meaning
    "`": r"\`{}",  # ?` and !` are one sign each
    # At the start of a row these would be the argument or the star of the \\ above.
    **{char: f"{{{char}}}" for char in "[]*"},
    **{char: f"\\{char}" for char in "&%#_{}"},
    "$": r"$\mathdollar$",
    **_SYMBOLS,
}
_ACCENTS = {
    **{"\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u"},
    **{"\u0307": ".", "\u0308": '"', "\u030a": "r", "\u030b": "H", "\u030c": "v"},
    **{"\u0323": "d", "\u0327": "c", "\u0331": "b"},
}
# Widths in Computer Modern Roman, 1/1000 em; most other text fonts are narrower.
_WIDTHS = {
    **dict.fromkeys("!',.:;[]`il", 278),
    **dict.fromkeys("fj", 306),
    **dict.fromkeys(" -‐‑’‘", 334),
    **dict.fromkeys("I_", 361),
    **dict.fromkeys("()tr", 392),
    **dict.fromkeys("scez", 445),
    **dict.fromkeys("?", 473),
    **dict.fromkeys("J", 514),
    **dict.fromkeys("kvxyqSbdhnpu", 556),
    **dict.fromkeys("ZLF", 639),
    **dict.fromkeys("EPBCTw", 722),
    **dict.fromkeys("RDAHNUVXYGKOQ&+=@<>", 785),
    **dict.fromkeys("#%mM", 917),
    **dict.fromkeys("W—", 1028),
    **dict.fromkeys('0123456789$*/\\^ago{}~|–"', 501),
}
_OTHER_WIDTH = 800  # of a symbol


def escape_latex(text: str) -> str:
    """Escape text for LaTeX in one pass, so that escapes are not escaped again."""
    simple = re.sub("-(?=-)", "-\0", _with_minus(_simplify(text)))  # two hyphens become a dash
    parts = re.findall(r".[\u0300-\u0331]?", simple)
    return "".join(map(_escape_part, parts))


def _with_minus(text: str) -> str:
    """Return text with a minus before negative numbers; it is twice as wide as a hyphen."""
    return re.sub(r"(?<![\w\-.)\]])-(?=\.?\d)", "−", text)


def _escape_part(part: str) -> str:
    if part == "\0":
        return "{}"
    if len(part) == 1:
        return _ESCAPES.get(part, part)
    return rf"\{_ACCENTS[part[1]]}{{{part[0]}}}"


@lru_cache(maxsize=1 << 14)
def text_width(text: str) -> float:
    """Return the width of text in em of 10 pt Computer Modern Roman, before kerning."""
    return sum(map(_char_width, _with_minus(_simplify(text))))


def _char_width(char: str) -> float:
    return 0.0 if char in _ACCENTS else _WIDTHS.get(char, _OTHER_WIDTH) / 1000


def break_text(text: str, room: float) -> list[list[str]]:
    """Return the words of text, each as pieces between which a line may break.

    A word wider than half of ``room`` (in em) may break after punctuation; a piece wider than
    ``room`` is cut.
    """
    words = text.split()
    return [_pieces(word, room) if text_width(word) > room / 2 else [word] for word in words]


def _pieces(word: str, room: float) -> list[str]:
    # A line does not break after the point in 0.5.
    pieces = re.split(r"(?<=\w[_/=:+\-\\@])(?=[\w.])|(?<=\w[.,;])(?=[^\W\d])", word)
    return [part for piece in pieces for part in _cut(piece, room)]


def _cut(piece: str, room: float) -> list[str]:
    parts, used = [""], 0.0
    for char in piece:
        width = text_width(char)
        if parts[-1] and used + width > room:
            parts.append("")
            used = 0.0
        parts[-1] += char
        used += width
    return parts


def count_lines(text: str, room: float) -> int:
    """Return the number of lines that text takes in a column of width ``room`` (in em)."""
    if text_width(text) <= room:
        return 1
    n_lines, used = 1, 0.0
    for word in break_text(text, room):
        for number, piece in enumerate(word):
            width = text_width(piece)
            space = text_width(" ") if number == 0 and used else 0.0
            fits = used + space + width <= room
            n_lines += not fits
            used = used + space + width if fits else width
    return n_lines


def _simplify(text: str) -> str:
    """Return text of ASCII, known symbols, and letters with at most one known accent each."""
    return "".join(map(_simplify_char, unicodedata.normalize("NFC", " ".join(text.split()))))


def _simplify_char(char: str) -> str:
    if char in _SYMBOLS or (char.isascii() and char.isprintable()):
        return char
    if unicodedata.category(char) in {"Cc", "Cf", "Mn"}:
        return ""  # invisible, or an accent that has no letter
    plain = unicodedata.normalize("NFKD", char)
    base, marks = plain[0], plain[1:]
    if base.isascii() and base.isalpha() and all(map(unicodedata.combining, marks)):
        return base + next((mark for mark in marks if mark in _ACCENTS), "")
    return plain if plain.isascii() and plain.isprintable() else f"[U+{ord(char):04X}]"
