"""What a user asked for and does not get, with the reason and the remedy.

One wording everywhere: the warning at the start, the status of the stream, and /diagnostics.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unused:
    """One sentence for the user; `stream` is the stream it concerns, "" = none of them."""

    text: str
    stream: str = ""


class UnusedTable:
    """The rows of each source, which replaces its own; a text is new only once."""

    def __init__(self) -> None:
        self._rows: dict[str, tuple[Unused, ...]] = {}
        self._known: set[str] = set()

    def report(self, source: str, rows: Iterable[Unused]) -> list[str]:
        """Replace the rows of a source; returns the texts that were never reported before."""
        found = tuple(rows)
        self._rows = {**self._rows, source: found}  # another thread may read the old ones
        new = [text for text in dict.fromkeys(row.text for row in found) if text not in self._known]
        self._known.update(new)
        return new

    def text(self, stream: str | None = None) -> str:
        """The sentences about one stream (None: about anything), "" = everything is used."""
        rows = (row for found in self._rows.values() for row in found)
        return "; ".join(
            dict.fromkeys(row.text for row in rows if stream is None or row.stream == stream)
        )
