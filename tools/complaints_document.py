"""Writes docs/complaints.md: what users of camera drivers complain about, and the tests against it.

The words stand here; the tests are those that bear the marker `complaint(number)`.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / "test"

_HEAD = """# What people complain about

Written by `make docs` from the tests that bear the marker `complaint`; the words are in
`tools/complaints_document.py`. The list was collected from the trackers of many ROS camera drivers,
most frequent first. `pytest -m complaint` runs the tests.

All of it runs without hardware: on a virtual device that speaks the real protocol over a socket,
and for USB on an emulated board below the real libusb. No row was seen on silicon yet. Tests in
`test/usb` need umockdev, those in `test/launch` the package launch; where that is missing they say
so and are skipped.
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One complaint, what this driver does instead, and what no test here can show."""

    complaint: str
    answer: str
    open: str = ""


ROWS = {
    1: Row(
        "The camera is lost (cable, static, reset), and the node is dead until it is restarted",
        "The same process looks for the device again, with growing pauses (`reconnect.*`). Topics "
        "and frames stay, the node stays active, `/diagnostics` says how it goes",
        "how long a real board takes to come back",
    ),
    2: Row(
        "After a crash or Ctrl-C the camera only works again when its plug was pulled",
        "Every orderly end resets the device; a start accepts a device that still runs firmware "
        "and resets it first",
        "firmware that hangs so badly that only power helps",
    ),
    3: Row(
        "“No device found”, whatever the reason is",
        "Each reason has a sentence of its own with its cure: nothing plugged in, not allowed "
        "(path, owner, rule), in use (by whom), booted but not seen again, not what the selector "
        "names",
    ),
    4: Row(
        "The link fell back to USB 2 and nobody noticed; pictures are missing",
        "The speed is in `/diagnostics`, a slow link is a warning; what the streams need is "
        "compared with what the link carries before they start (`usb.on_insufficient`)",
        "what a real cable carries",
    ),
    5: Row(
        "Fewer pictures than configured, late, choppy in rviz",
        "No pixel is touched by Python: a message is written around the bytes that came from the "
        "device. Rates, drops and latency are in `/diagnostics`; `make bench` compares with "
        "baselines",
        "rates of a real board, and rviz itself",
    ),
    6: Row(
        "The processor is busy although nobody subscribes",
        "Nothing is converted or sent for a topic without subscribers; a stream that nobody wants "
        "is also stopped on the device if asked for (`publish.idle_hold_s`)",
    ),
    7: Row(
        "Starting and stopping at run time leaks, or leaves a busy thread",
        "Every transition joins the threads it started and closes what it opened",
    ),
    8: Row(
        "`camera_info` is wrong: sign or unit of the baseline, zeros, another resolution",
        "One calibration module: Tx = −fx·B of the right camera in metres, scaled and cropped with "
        "the picture, stamp and frame of its image. Without a calibration K is 0, never invented "
        "unless asked for",
        "the calibration of a real board",
    ),
    9: Row(
        "The disparity message has a wrong scale: depth is off by a factor",
        "Z = f·T/d holds against the depth picture of the same exposure; step and valid window are "
        "filled in",
    ),
    10: Row(
        "Messages name frames that TF does not know; rviz: no transform",
        "All names come from one table that messages, URDF and TF share",
    ),
    11: Row(
        "Optical frames are turned; the cloud lies on its side",
        "The rotation of REP 103 stands in one place; a point one metre ahead of a lens is one "
        "metre in front of the base",
    ),
    12: Row(
        "`/tf_static` comes from two publishers with different values",
        "`tf.source` is urdf, calibration or none, and the launch files set both sides from it",
    ),
    13: Row(
        "Two cameras collide: topics, frames, or the wrong device is taken",
        "Every name is relative to the node, frames begin with its name, a device is chosen by "
        "port or serial, and one that is taken cannot be taken twice",
    ),
    14: Row(
        "`ros2 param set` says success and nothing happens",
        "What can change goes to the device before success is told, and is read back; what needs "
        "a new pipeline is refused with that reason; of several values all count or none",
        "what silicon does with a value",
    ),
    15: Row(
        "A wrong or unknown parameter is ignored without a word",
        "Unknown parameters and launch arguments are errors that name the nearest one",
    ),
    16: Row(
        "Stamps jump, lie in the past or the future, or drift",
        "The stamp is the moment of capture by the device's clock, whose offset and drift are "
        "estimated all the time; stamps of a topic only increase, also through a reboot and a "
        "step of the host's clock",
    ),
    17: Row(
        "Left, right and depth of one moment have different stamps; matchers drop everything",
        "What belongs to one exposure has one stamp, bit for bit; `sync.enable` publishes only "
        "whole exposures and counts the others",
    ),
    18: Row(
        "rviz or another consumer gets nothing because QoS does not fit",
        "Publishers are reliable, which serves both kinds; each has its `qos_overrides`; a "
        "subscriber that does not fit is told with the parameter that helps",
    ),
    19: Row(
        "Depth comes in an unexpected encoding or unit",
        "16UC1 in millimetres with 0 for unknown; on request also 32FC1 in metres with NaN; never "
        "mono16",
    ),
    20: Row(
        "Compressed topics: coded anew, without camera_info, with a format nobody reads",
        "The device's own JPEG is passed on byte by byte, with the format that readers expect and "
        "a camera_info beside it",
    ),
    21: Row(
        "Detections mix pixels and metres, have no class names, boxes are not on the picture",
        "2D boxes are in pixels of the preview picture, 3D ones in metres in the optical frame, "
        "class names are in the message",
        "the axes in which a real device gives positions",
    ),
    22: Row(
        "The point cloud is in the wrong place or has no colour",
        "Depth and its camera_info suit depth_image_proc: right camera, Tx = 0",
        "the C++ component itself: the test computes what it computes",
    ),
    23: Row(
        "A managed (lifecycle) node is wanted",
        "It is one, and starts by itself unless `autostart` is false",
    ),
    24: Row(
        "Diagnostics are one text that is always OK, or asking for them blocks the driver",
        "Numbers with thresholds for each part; what is reported was measured before, and what is "
        "too old is STALE",
    ),
    25: Row(
        "Nothing can be developed or tested without the camera",
        "A virtual device behind the same node, topics and parameters: a synthetic room, pictures, "
        "videos, faults on request",
    ),
}


def _numbers(node: ast.FunctionDef) -> Iterator[int]:
    """Arguments of the markers on a test."""
    for decorator in node.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func).endswith(
            "mark.complaint"
        ):
            yield from (ast.literal_eval(argument) for argument in decorator.args)


def _tests() -> dict[int, list[tuple[Path, str]]]:
    """Row number -> files and names of the tests that bear it, in a steady order."""
    found: dict[int, list[tuple[Path, str]]] = defaultdict(list)
    for path in sorted(TESTS.glob("*/**/test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                for number in _numbers(node):
                    found[number].append((path, node.name))
    return {number: sorted(rows) for number, rows in found.items()}


def complaints_markdown() -> str:
    """The table of complaints.

    Raises  SystemExit if a row has no test, or a test names no row
    """
    tests = _tests()
    if stray := tests.keys() - ROWS.keys():
        raise SystemExit(f"tests with the marker complaint({min(stray)}): there is no such row")
    lines = [_HEAD, "| # | complaint | here | tests |", "|---|---|---|---|"]
    for number, row in ROWS.items():
        shown = tests.get(number, [])
        if not shown:
            raise SystemExit(f"no test bears the marker complaint({number}): {row.complaint}")
        answer = f"{row.answer}. Not shown: {row.open}" if row.open else row.answer
        links = "; ".join(
            f"[{name.removeprefix('test_').replace('_', ' ')}](../{path.relative_to(ROOT)})"
            for path, name in shown
        )
        lines.append(f"| {number} | {row.complaint} | {answer} | {links} |")
    return "\n".join(lines) + "\n"
