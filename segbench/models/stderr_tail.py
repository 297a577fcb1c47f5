"""The last words of a process."""

from __future__ import annotations

from segbench.messages import one_line

MAX_LINES, MAX_BYTES = 6, 8192
MAX_CHARACTERS = 300  # of a line that is shown alone


class Tail:
    """The end of what a process writes to stderr, limited in lines and in bytes."""

    def __init__(self) -> None:
        self._bytes = b""

    def add(self, chunk: bytes) -> None:
        """Append a chunk."""
        self._bytes = (self._bytes + chunk)[-MAX_BYTES:]

    def text(self) -> str:
        """Return the last lines, as text that UTF-8 can encode."""
        text = self._bytes.decode(errors="backslashreplace")
        return "\n".join([line for line in text.splitlines() if line.strip()][-MAX_LINES:])

    def last_line(self) -> str:
        """Return the last line that says something: one with a letter in it."""
        said = [line for line in self.text().splitlines() if any(map(str.isalpha, line))]
        return one_line(said[-1])[:MAX_CHARACTERS] if said else ""
