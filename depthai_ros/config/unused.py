"""What a user asked for and does not get, with the reason and the remedy.

One wording everywhere: the warning at the start, the status of the stream, and /diagnostics.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ..streams import STREAMS
from .filters import enabled_filters
from .network import NetworkConfig, has_positions
from .options import NO_EFFECT, OPTIONS
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


def without_effect(settings: Settings, network: NetworkConfig | None) -> list[Unused]:
    """The parameters that have no effect together with the others and the network."""
    rows = [
        Unused(f"{option.key} is not used: {option.meaning}; remove it")
        for option in OPTIONS
        if option.meaning == NO_EFFECT and settings[option.key] != option.default
    ]
    if "depth" not in stream_list(settings) and (names := enabled_filters(settings)):
        found = f"the filters on depth ({', '.join(names)}) are not used"
        rows.append(Unused(f"{found}: add depth to stream_list"))
    if b_frames := settings["video_config.numBFrames"]:
        text = (
            f"video_config.numBFrames is {b_frames} and not used: the device is asked for no B "
            "frames, because viewers of ~/rgb/video cannot show them, and others show them late; "
            "set it to 0"
        )
        rows.append(Unused(text, "video"))
    if network is not None:
        return [*rows, *_of_network(settings, network)]
    keys = [key for key in ("ai.blob_file_config", "ai.labels") if settings[key]]
    return [*rows, *(Unused(f"{key} is not used: set ai.blob_file, too") for key in keys)]


def _of_network(settings: Settings, network: NetworkConfig) -> Iterator[Unused]:
    if not any(STREAMS[name].camera == "nn" for name in stream_list(settings)):
        yield Unused("ai.blob_file is not used: add metaout or previewout to stream_list")
    if settings["ai.labels"] and network.output_format == "raw":
        yield Unused(
            "ai.labels is not used: the output of the network is raw, set output_format detection "
            "in ai.blob_file_config",
            "metaout",
        )
    if has_positions(network) and not settings["ai.calc_dist_to_bb"]:
        yield Unused(
            f"the positions in {settings['ai.blob_file_config']} are not used: set "
            "ai.calc_dist_to_bb",
            "metaout",
        )
