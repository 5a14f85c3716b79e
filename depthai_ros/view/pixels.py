"""What a browser gets of an image: JPEG or PNG bytes with colours, scale, boxes and labels.

Sizes are bounded: what comes in has at most `_MOST_PIXELS`, what goes out the width that is asked
for. No ROS, no web library.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from itertools import takewhile
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ..bounded import clean_text
from ..errors import DecodeError
from .source import Box, ImageChoice, LatestImage

Pixels = NDArray[np.uint8]
Measured = NDArray[np.float32]

#: Pixels of one image, as in `depth/checks.py`, and bytes of a compressed one.
_MOST_PIXELS, _MOST_BYTES = 1 << 24, 32 << 20
#: Widths that a browser may ask for.
_NARROWEST, _WIDEST = 32, 4096
_MOST_BOXES = 100
#: Preview images are small: text on them is drawn at this width at least.
_READABLE_WIDTH = 600
#: Colour of pixels without a value; the map has no grey. Blue, green, red.
NOT_MEASURED = (56, 56, 56)
_INK, _PAPER = (235, 235, 235), (24, 24, 24)
_FONT, _FONT_SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.42
_BAR_HEIGHT, _STRIP_HEIGHT = 10, 36
#: Widths of the parts beside the bar, and the least width of an image that has room for them.
_LEGEND_WIDTH, _CENTRE_WIDTH, _WIDE = 118, 118, 460
#: Pixels of which the range is computed; share at each end that may lie outside; share of the new
#: range in the next one, so that colours do not flicker.
_SAMPLES, _OUTSIDE_PERCENT, _FOLLOWING = 20_000, 2.0, 0.2
#: Unit -> smallest width of a range that adapts.
_LEAST_SPAN = {"m": 0.2, "px": 4.0}


class BrowserImage(NamedTuple):
    """The bytes of a file, and its size in px."""

    format: Literal["jpeg", "png"]
    data: bytes
    width: int
    height: int


class ColorScale:
    """Colours of distances or disparities, in the order of their lightness: near is light.

    The range is that of the images so far, or fixed by `low` and `high`, in the unit of the choice.
    """

    def __init__(self, unit: str, low: float | None = None, high: float | None = None) -> None:
        self.unit = unit
        self._fixed = low, high
        self._range: tuple[float, float] | None = None
        colors = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_VIRIDIS)
        near_first = colors[::-1] if unit == "m" else colors
        self._table = np.ascontiguousarray(near_first.reshape(256, 3), np.uint8)
        self._table[0] = NOT_MEASURED

    @property
    def range(self) -> tuple[float, float]:
        """The values of the first and the last colour."""
        found_low, found_high = self._range or (0.0, _LEAST_SPAN.get(self.unit, 1.0))
        low, high = self._fixed
        low = found_low if low is None else low
        high = found_high if high is None else high
        return low, max(high, low + 1e-3)

    def adapt(self, values: Measured) -> None:
        """Move the range towards that of an image."""
        step = math.isqrt(max(1, values.size // _SAMPLES)) or 1
        sample = values[::step, ::step]
        sample = sample[np.isfinite(sample)]
        if not sample.size:
            return
        ends = np.percentile(sample, (_OUTSIDE_PERCENT, 100.0 - _OUTSIDE_PERCENT))
        low, high = float(ends[0]), float(ends[1])
        missing = max(0.0, _LEAST_SPAN.get(self.unit, 1.0) - (high - low))
        low, high = max(0.0, low - missing / 2), high + missing / 2
        if self._range is not None:
            before = self._range
            low, high = (
                old + _FOLLOWING * (new - old) for old, new in zip(before, (low, high), strict=True)
            )
        self._range = low, high

    def paint(self, values: Measured) -> Pixels:
        """(H, W) values, NaN = not measured -> (H, W, 3) BGR."""
        low, high = self.range
        with np.errstate(invalid="ignore", over="ignore"):
            index = np.clip((values - low) * (254.0 / (high - low)) + 1.0, 1.0, 255.0)
        index[~np.isfinite(values)] = 0.0
        colors: Pixels = self._table[index.astype(np.uint8)]
        return colors

    def ticks(self) -> list[float]:
        """Round values in the range, at most seven."""
        low, high = self.range
        rough = (high - low) / 6
        size = 10.0 ** math.floor(math.log10(rough))
        step = next(factor * size for factor in (1, 2, 5, 10) if factor * size >= rough)
        first = math.ceil(low / step - 1e-9)
        rounded = (number * step for number in range(first, first + 8))
        return list(takewhile(lambda value: value <= high + 1e-9, rounded))


# -- for the page


def for_browser(
    image: LatestImage,
    choice: ImageChoice,
    *,
    width: int,
    scale: ColorScale | None = None,
    boxes: Sequence[Box] = (),
    quality: int = 80,
) -> BrowserImage:
    """A JPEG of at most this width; the bytes of the image where nothing has to change.

    `scale` colours depth and disparity, `boxes` are drawn with their labels.
    Raises  DecodeError for bytes that are no image, or too large a one
    """
    width = min(max(width, _NARROWEST), _WIDEST)
    if image.pixels is None and not boxes:
        size = encoded_size(image.data)
        if size.width <= width:
            return size
    shown = _drawn(image, choice, width, scale, boxes)
    data = _encoded(".jpg", shown, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return BrowserImage("jpeg", data, shown.shape[1], shown.shape[0])


def for_file(
    image: LatestImage,
    choice: ImageChoice,
    *,
    scale: ColorScale | None = None,
    boxes: Sequence[Box] = (),
) -> bytes:
    """The image in its full size as PNG, with colours, scale and boxes. Raises DecodeError."""
    shown = _drawn(image, choice, _WIDEST, scale, boxes)
    return _encoded(".png", shown, [cv2.IMWRITE_PNG_COMPRESSION, 3])


def thumbnail(
    image: LatestImage, choice: ImageChoice, *, width: int = 160, scale: ColorScale | None = None
) -> BrowserImage:
    """A small JPEG without a scale, for a frustum. Raises DecodeError."""
    small = _painted(_reduced(image, min(max(width, _NARROWEST), _WIDEST)), choice, scale)
    data = _encoded(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 75])
    return BrowserImage("jpeg", data, small.shape[1], small.shape[0])


# -- sizes and decoding


def encoded_size(data: bytes) -> BrowserImage:
    """Format and size of a JPEG or PNG, from its header. Raises DecodeError."""
    if len(data) > _MOST_BYTES:
        raise DecodeError(f"compressed image has {len(data)} bytes, at most {_MOST_BYTES}")
    if data[:8] == b"\x89PNG\r\n\x1a\n" and data[12:16] == b"IHDR":
        found: BrowserImage | None = BrowserImage(
            "png", data, int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
        )
    else:
        found = _jpeg_size(data)
    if found is None or min(found.width, found.height) < 1:
        raise DecodeError(f"{len(data)} bytes that begin with {data[:4].hex(' ')} are no image")
    check_area(found.width, found.height)
    return found


def _jpeg_size(data: bytes) -> BrowserImage | None:
    """From the frame header. Source: ITU-T T.81, B.2."""
    if data[:2] != b"\xff\xd8":
        return None
    place = 2
    while place + 9 <= len(data) and data[place] == 0xFF:
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height = int.from_bytes(data[place + 5 : place + 7], "big")
            return BrowserImage(
                "jpeg", data, int.from_bytes(data[place + 7 : place + 9], "big"), height
            )
        place += 1 if marker == 0xFF else 2 + max(2, length)
    return None


def check_area(width: int, height: int, what: str = "image") -> None:
    """Raises DecodeError if there are no pixels, or too many."""
    if not 0 < width * height <= _MOST_PIXELS:
        raise DecodeError(f"{what} of {width}x{height} pixels, must have 1 to {_MOST_PIXELS}")


#: Reduction while decoding -> flag of imdecode; libjpeg then does the smaller part of its work.
_REDUCTIONS = {8: cv2.IMREAD_REDUCED_COLOR_8, 4: cv2.IMREAD_REDUCED_COLOR_4}
_REDUCTIONS |= {2: cv2.IMREAD_REDUCED_COLOR_2, 1: cv2.IMREAD_COLOR}


def _decoded(data: bytes, width: int) -> Pixels:
    """BGR pixels, not narrower than `width` where the image is not."""
    size = encoded_size(data)
    flag = next(
        flag for part, flag in _REDUCTIONS.items() if part == 1 or size.width // part >= width
    )
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    except cv2.error:
        image = None
    if image is None:
        raise DecodeError(f"{size.format} of {size.width}x{size.height} pixels cannot be decoded")
    return np.asarray(image, np.uint8)


def _reduced(image: LatestImage, width: int) -> NDArray[Any]:
    """The pixels, at most this wide; measured values are taken, never averaged."""
    pixels = image.pixels
    if pixels is None:
        pixels = _decoded(image.data, width)
    if pixels.ndim not in (2, 3) or pixels.size == 0:
        raise DecodeError(f"image has the shape {pixels.shape}, must be (H, W) or (H, W, 3)")
    height, before = pixels.shape[:2]
    check_area(before, height)
    if before <= width:
        return pixels
    size = (width, max(1, round(height * width / before)))
    is_measured = pixels.dtype != np.uint8
    how = cv2.INTER_NEAREST if is_measured else cv2.INTER_AREA
    return np.asarray(cv2.resize(pixels, size, interpolation=how), pixels.dtype)


# -- drawing


def _painted(pixels: NDArray[Any], choice: ImageChoice, scale: ColorScale | None) -> Pixels:
    """BGR of any pixels."""
    if pixels.dtype == np.uint8:
        return _as_bgr(pixels)
    scale = scale or ColorScale(choice.unit)
    scale.adapt(pixels)
    return scale.paint(pixels)


def _as_bgr(pixels: Pixels) -> Pixels:
    return pixels if pixels.ndim == 3 else np.repeat(pixels[:, :, None], 3, axis=2)


def _drawn(
    latest: LatestImage,
    choice: ImageChoice,
    width: int,
    scale: ColorScale | None,
    boxes: Sequence[Box],
) -> Pixels:
    pixels = _reduced(latest, width)
    if pixels.dtype != np.uint8 and scale is None:
        scale = ColorScale(choice.unit)
    image = _painted(pixels, choice, scale)
    if boxes:
        full_width = (
            latest.pixels.shape[1] if latest.pixels is not None else encoded_size(latest.data).width
        )
        image = _with_boxes(image, boxes, full_width, min(width, _READABLE_WIDTH))
    if pixels.dtype != np.uint8 and scale is not None:
        image = _with_scale(image, scale, float(pixels[pixels.shape[0] // 2, pixels.shape[1] // 2]))
    return image


def _with_boxes(image: Pixels, boxes: Sequence[Box], full_width: int, least: int) -> Pixels:
    """A copy with boxes, whose places are in pixels of an image `full_width` wide."""
    height, width = image.shape[:2]
    enlarged = max(1.0, least / width)
    size = round(width * enlarged), round(height * enlarged)
    image = np.array(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    factor = size[0] / full_width
    for box in boxes[:_MOST_BOXES]:
        if box.image is None or not all(map(math.isfinite, box.image)):
            continue
        left, top, box_width, box_height = (
            min(max(number * factor, -1e4), 1e4) for number in box.image
        )
        corner = round(left), round(top)
        color = label_color(box.label)
        other = round(left + box_width), round(top + box_height)
        cv2.rectangle(image, corner, other, color, 2)
        _write_above(image, box_text(box), corner, color)
    return image


def box_text(box: Box) -> str:
    """Label, score, track id and distance of a box, as far as they are known."""
    words = [clean_text(box.label, 40), f"{100 * box.score:.0f} %"]
    if box.track_id:
        words.append(f"#{clean_text(box.track_id, 12)}")
    if box.center_m is not None:
        words.append(f"{math.dist(box.center_m, (0, 0, 0)):.2f} m")
    return " ".join(words)


def label_color(label: str) -> tuple[int, int, int]:
    """A saturated colour, always the same for a label; blue, green, red."""
    hue = np.array([[[zlib.crc32(label.encode("utf-8", "replace")) % 180, 210, 170]]], np.uint8)
    blue, green, red = cv2.cvtColor(hue, cv2.COLOR_HSV2BGR)[0, 0].tolist()
    return blue, green, red


def _write_above(
    image: Pixels, text: str, corner: tuple[int, int], color: tuple[int, int, int]
) -> None:
    """Text on a filled background above `corner`, or below it if there is no room."""
    (width, height), below = cv2.getTextSize(text, _FONT, _FONT_SCALE, 1)
    tall = height + below + 4
    x = max(0, min(corner[0], image.shape[1] - width - 4))
    bottom = corner[1] if corner[1] >= tall else corner[1] + tall
    cv2.rectangle(image, (x, bottom - tall), (x + width + 4, bottom), color, cv2.FILLED)
    _write(image, text, (x + 2, bottom - below))


def _write(image: Pixels, text: str, place: tuple[int, int]) -> None:
    cv2.putText(image, text, place, _FONT, _FONT_SCALE, _INK, 1, cv2.LINE_AA)


def _with_scale(image: Pixels, scale: ColorScale, centre: float) -> Pixels:
    """The image with its scale below, a cross in its middle, and the value there."""
    height, width = image.shape[:2]
    is_wide = width >= _WIDE
    left = 8 + (_LEGEND_WIDTH if is_wide else 0)
    right = width - 16 - (_CENTRE_WIDTH if is_wide else 0)
    strip = np.full((_STRIP_HEIGHT, width, 3), _PAPER, np.uint8)
    if right - left >= 64:
        _draw_bar(strip, scale, left, right)
    image = np.vstack([image, strip])
    if is_wide:
        middle = (width // 2, height // 2)
        for color, thickness in ((_PAPER, 3), (_INK, 1)):
            cv2.drawMarker(image, middle, color, cv2.MARKER_CROSS, 12, thickness)
        cv2.rectangle(image, (8, height + 6), (20, height + 18), NOT_MEASURED, cv2.FILLED)
        cv2.rectangle(image, (8, height + 6), (20, height + 18), _INK, 1)
        _write(image, "not measured", (26, height + 17))
        digits = 2 if scale.unit == "m" else 0
        text = f"{centre:.{digits}f} {scale.unit}" if math.isfinite(centre) else "-"
        _write(image, f"centre {text}", (width - _CENTRE_WIDTH, height + 17))
    return image


def _draw_bar(strip: Pixels, scale: ColorScale, left: int, right: int) -> None:
    """Colours from the lowest to the highest value, with round numbers below."""
    low, high = scale.range
    values = np.linspace(low, high, right - left, dtype=np.float32)[None]
    strip[6 : 6 + _BAR_HEIGHT, left:right] = scale.paint(values)
    taken = -math.inf
    ticks = scale.ticks()
    for number, value in enumerate(ticks):
        x = left + round((value - low) / (high - low) * (right - left - 1))
        unit = f" {scale.unit}" if number == len(ticks) - 1 else ""
        text = f"{value:.6g}{unit}"
        width = cv2.getTextSize(text, _FONT, _FONT_SCALE, 1)[0][0]
        begin = min(max(x - width // 2, 0), strip.shape[1] - width)
        if begin > taken:
            cv2.line(strip, (x, 6 + _BAR_HEIGHT), (x, 8 + _BAR_HEIGHT), _INK, 1)
            _write(strip, text, (begin, _STRIP_HEIGHT - 6))
            taken = begin + width + 6


def _encoded(extension: str, image: Pixels, parameters: list[int]) -> bytes:
    is_done, data = cv2.imencode(extension, image, parameters)
    if not is_done:
        raise DecodeError(f"image of the shape {image.shape} cannot be encoded")
    return data.tobytes()
