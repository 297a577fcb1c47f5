"""The last words of a process."""

from __future__ import annotations

MAX_LINES, MAX_BYTES = 6, 8192


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
