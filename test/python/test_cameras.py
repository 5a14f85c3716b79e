"""What docs/wire_format.md says of cameras, calibrations and commands is what the tables say."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

from depthai_ros import cameras
from depthai_ros.config.options import WHITE_BALANCES
from depthai_ros.config.settings import _MONO_FPS, _RGB_FPS
from depthai_ros.device.pipeline import WATCHDOG_S

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "wire_format.md"
#: Words of the document -> what Gen1 calls the control.
CONTROLS = {
    "move lens": "MOVE_LENS",
    "manual exposure": "AE_MANUAL",
    "automatic exposure": "AE_AUTO",
    "white balance": "SET_AWB_MODE",
    "exposure compensation": "EXPOSURE_COMPENSATION",
    "lock of exposure": "AE_LOCK",
    "of white balance": "AWB_LOCK",
    "exposure region": "AE_REGION",
}


def section(heading: str) -> str:
    """The text below a heading, up to the next one."""
    _, _, below = DOCUMENT.read_text(encoding="utf-8").partition(f"# {heading}\n")
    assert below, heading
    return below.partition("\n#")[0]


def rows(text: str, head: str) -> list[list[str]]:
    """Cells of the table whose first line begins with `head`."""
    lines = text[text.index(f"| {head} |") :].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]


def numbers(text: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", text)]


def in_words(names: Sequence[str]) -> str:
    """Names behind their numbers."""
    return ", ".join(f"{number} {name}" for number, name in enumerate(names)).replace("_", " ")


def test_picture_sizes_and_rates_are_the_documented_ones() -> None:
    sizes: dict[int, int] = {}
    rates: dict[int, float] = {}
    for _, lines, pictures, highest, _ in rows(section("Cameras"), "camera"):
        widths, heights = numbers(pictures)[::2], numbers(pictures)[1::2]
        assert numbers(lines) == heights
        sizes |= dict(zip(heights, widths, strict=True))
        rates |= dict(zip(numbers(lines), map(float, numbers(highest)), strict=False))
    assert sizes == cameras.MONO_WIDTHS | cameras.RGB_WIDTHS
    assert rates == _MONO_FPS | _RGB_FPS


def test_calibration_has_the_documented_fields() -> None:
    text = section("Calibration")
    assert f"{cameras.CALIBRATION_FLOATS} numbers in {cameras.CALIBRATION_BYTES} bytes" in text
    documented: list[tuple[int, int]] = []
    for places, counts, _ in rows(text, "bytes at"):
        starts = numbers(places)
        every = numbers(counts) * (len(starts) if "each" in counts else 1)
        documented += zip(starts, every, strict=True)
    sizes = [math.prod(shape) for shape in cameras.CALIBRATION_FIELDS.values()]
    assert documented == [(4 * sum(sizes[:place]), size) for place, size in enumerate(sizes)]


def test_commands_have_the_documented_numbers() -> None:
    text = section("Commands")
    documented: dict[str, int] = {}
    for number, words, arguments in rows(text, "number"):
        names = [CONTROLS[name] for name in words.split(", ")]
        documented |= dict(zip(names, numbers(number), strict=True))
        if names == ["SET_AWB_MODE"]:
            assert arguments.replace("0 off", "0 none") == in_words(WHITE_BALANCES)
    assert documented == {name: cameras.CONTROLS[name] for name in CONTROLS.values()}
    plain = re.sub(r"\s+\([^)]*\)", "", text).replace("\n", " ").lower()
    assert f"33-byte packet: {in_words(cameras.FOCUS_MODES)}. " in plain


def test_silence_lasts_as_long_as_documented() -> None:
    assert f"receives nothing for {WATCHDOG_S:g} s" in section("Watchdogs").replace("\n", " ")
