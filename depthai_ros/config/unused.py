"""What a user asked for and does not get, with the reason and the remedy.

One wording everywhere: the warning at the start, the status of the stream, and /diagnostics.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .settings import Settings, cameras_of, stream_list


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


def connected(settings: Settings, cameras: Mapping[str, bool]) -> dict[str, bool]:
    """By camera: it is connected. `cameras` is what the device reports, which may be swapped."""
    present = dict(cameras)
    if settings["board_config.swap_left_and_right_cameras"]:
        present["left"], present["right"] = present["right"], present["left"]
    return present


def without_camera(settings: Settings, cameras: Mapping[str, bool]) -> list[Unused]:
    """The streams that need a camera which is not connected, by what the device reports."""
    rows = []
    for camera, is_present in connected(settings, cameras).items():
        needing = [name for name in stream_list(settings) if camera in cameras_of(settings, name)]
        if not is_present and needing:
            names = ", ".join(needing)
            text = (
                f"the {camera} camera is not connected, as the device reports: check its cable, or "
                f"leave out of stream_list what needs it ({names})"
            )
            rows += [Unused(text, name) for name in needing]
    return rows
