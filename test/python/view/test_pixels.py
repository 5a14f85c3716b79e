"""What a browser gets of an image: colours, scale, boxes, sizes, and bytes that are passed on."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from depthai_ros.errors import DecodeError
from depthai_ros.view import pixels
from depthai_ros.view.pixels import ColorScale, for_browser, for_file, thumbnail
from depthai_ros.view.source import Box, ImageChoice, LatestImage

GREY = ImageChoice("left/image_raw", "mono8", "left")
BGR = ImageChoice("rgb/image_raw", "bgr8", "rgb")
DEPTH = ImageChoice("depth/image_raw", "16UC1", "right", "m")
DISPARITY = ImageChoice("disparity/image_raw", "mono8", "right", "px")


def noise(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 255, (height, width, 3), np.uint8)


def jpeg(width: int, height: int) -> bytes:
    return cv2.imencode(".jpg", noise(height, width))[1].tobytes()


def decoded(data: bytes) -> NDArray[np.uint8]:
    image: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return np.asarray(image, np.uint8)


def box(**changes: Any) -> Box:
    values: dict[str, Any] = {
        "label": "chair",
        "score": 0.91,
        "track_id": "3",
        "frame_id": "oak",
        "center_m": (0.0, 0.0, 2.0),
        "size_m": (1.0, 1.0, 1.0),
        "image": (50.0, 100.0, 100.0, 120.0),
    }
    return Box(**(values | changes))


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_compressed_image_with_nothing_to_draw_is_passed_on_untouched(suffix: str) -> None:
    data = cv2.imencode(suffix, noise(48, 64))[1].tobytes()
    sent = for_browser(LatestImage(1, data), BGR, width=64)
    assert sent.data is data
    assert (sent.format, sent.width, sent.height) == (
        {".jpg": "jpeg", ".png": "png"}[suffix],
        64,
        48,
    )


@pytest.mark.parametrize("width", [1280, 640, 300, 160])
def test_images_are_scaled_down_to_the_width_and_never_up(width: int) -> None:
    for image in (LatestImage(1, jpeg(1280, 720)), LatestImage(1, pixels=noise(720, 1280))):
        sent = for_browser(image, BGR, width=width)
        assert (sent.width, sent.height) == (width, round(width * 9 / 16))
        assert decoded(sent.data).shape == (sent.height, sent.width, 3)
    assert for_browser(LatestImage(1, pixels=noise(36, 64)), BGR, width=width).width == 64


def test_a_width_that_nobody_can_want_is_limited() -> None:
    image = LatestImage(1, pixels=noise(90, 160))
    assert for_browser(image, BGR, width=-5).width == 32
    assert for_browser(image, BGR, width=10**9).width == 160


def test_grey_pixels_keep_their_levels() -> None:
    level = np.full((40, 60), 90, np.uint8)
    assert (decoded(for_file(LatestImage(1, pixels=level), GREY)) == 90).all()


def test_near_is_lighter_than_far_in_one_order_and_not_measured_is_none_of_these_colours() -> None:
    for unit, light_first in (("m", True), ("px", False)):
        scale = ColorScale(unit, 1.0, 5.0)
        values = np.linspace(1, 5, 255, dtype=np.float32)[None]
        colors = scale.paint(values)[0]
        lightness = cv2.cvtColor(colors[None], cv2.COLOR_BGR2LAB)[0, :, 0].astype(int)
        ordered = lightness[::-1] if light_first else lightness
        assert (np.diff(ordered) >= -1).all()
        assert ordered[-1] - ordered[0] > 150
        away = np.abs(colors.astype(int) - pixels.NOT_MEASURED).sum(axis=1)
        assert away.min() > 40
        nothing = scale.paint(np.array([[np.nan, np.inf, -np.inf]], np.float32))
        assert (nothing == pixels.NOT_MEASURED).all()


def test_a_range_follows_slowly_and_leaves_out_single_wrong_values() -> None:
    scale = ColorScale("m")
    values = np.random.default_rng(2).uniform(1.0, 3.0, (120, 160)).astype(np.float32)
    values[0, :20] = 60.0
    scale.adapt(values)
    low, high = scale.range
    assert 0.9 < low < 1.2
    assert 2.8 < high < 3.1
    scale.adapt(values * 3)
    assert high < scale.range[1] < high + 0.25 * 6.2
    scale.adapt(np.full((4, 4), np.nan, np.float32))  # nothing is measured: it stays
    assert ColorScale("m", 0.5, 2.0).range == (0.5, 2.0)


def test_a_range_of_one_value_has_a_width() -> None:
    for unit in ("m", "px"):
        scale = ColorScale(unit)
        scale.adapt(np.full((8, 8), 2.0, np.float32))
        low, high = scale.range
        assert low < 2.0 < high
        assert scale.ticks()


@pytest.mark.parametrize(("low", "high"), [(0.3, 9.7), (0.0, 95.0), (1.999, 2.001), (0.0, 1e6)])
def test_numbers_at_the_scale_are_round_and_inside(low: float, high: float) -> None:
    ticks = ColorScale("m", low, high).ticks()
    assert 3 <= len(ticks) <= 8
    assert all(low - 1e-6 <= tick <= high + 1e-6 for tick in ticks)
    steps = np.diff(ticks)
    assert np.allclose(steps, steps[0])
    mantissa = steps[0] / 10 ** math.floor(math.log10(steps[0]) + 1e-9)
    assert min(abs(mantissa - nice) for nice in (1, 2, 5, 10)) < 1e-6


def test_a_scale_is_below_the_image_and_hides_nothing_of_it() -> None:
    depth = np.linspace(1, 5, 640, dtype=np.float32)[None].repeat(360, axis=0)
    depth[:, :40] = np.nan
    scale = ColorScale("m", 1.0, 5.0)
    shown = decoded(for_file(LatestImage(1, pixels=depth), DEPTH, scale=scale))
    assert shown.shape == (396, 640, 3)
    assert (shown[:100] == scale.paint(depth)[:100]).all()
    bar = shown[370, 130:500].astype(int)  # from the colour of 1 m to that of 5 m
    ends = scale.paint(np.array([[1.0, 5.0]], np.float32))[0].astype(int)
    assert np.abs(bar[0] - ends[0]).max() < 12
    assert np.abs(bar[-1] - ends[1]).max() < 20
    assert (shown[380:392] > 200).any()  # the numbers


@pytest.mark.parametrize("width", [32, 100, 200, 500, 1280])
@pytest.mark.parametrize("choice", [DEPTH, DISPARITY])
def test_scales_fit_images_of_every_width(width: int, choice: ImageChoice) -> None:
    values = np.full((20, 1280), 3.0, np.float32)
    sent = for_browser(LatestImage(1, pixels=values), choice, width=width)
    assert sent.width == width
    assert thumbnail(LatestImage(1, pixels=values), choice, width=width).width == width


def test_measured_values_are_taken_and_never_averaged() -> None:
    values = np.where(np.indices((64, 512)).sum(0) % 2, 1.0, 5.0).astype(np.float32)
    scale = ColorScale("m", 1.0, 5.0)
    small = thumbnail(LatestImage(1, pixels=values), DEPTH, width=100, scale=scale)
    assert small.width == 100
    values[:] = np.nan
    values[::2] = 2.0
    shown = decoded(for_file(LatestImage(1, pixels=values[:, :100]), DEPTH, scale=scale))[:64]
    colors = {tuple(color) for color in shown.reshape(-1, 3).tolist()}
    assert len(colors - {(235, 235, 235), (24, 24, 24)}) <= 2


def test_boxes_are_where_they_belong_also_on_a_scaled_image() -> None:
    preview = LatestImage(1, pixels=np.zeros((300, 300, 3), np.uint8))
    shown = decoded(for_file(preview, BGR, boxes=[box()]))
    factor = shown.shape[1] / 300
    assert shown.shape[1] == 600  # so that the text can be read
    color = np.array(pixels.label_color("chair"))
    for x, y in ((50, 160), (150, 160), (100, 100), (100, 220)):
        found = shown[round(y * factor) - 1 : round(y * factor) + 2, round(x * factor)]
        assert np.abs(found.astype(int) - color).sum(axis=1).min() < 30, (x, y)
    assert not shown[round(160 * factor), round(100 * factor)].any()
    sent = for_browser(LatestImage(1, jpeg(300, 300)), BGR, width=300, boxes=[box()])
    assert sent.width == 300


def test_text_of_a_box_has_what_is_known() -> None:
    assert pixels.box_text(box()) == "chair 91 % #3 2.00 m"
    assert pixels.box_text(box(track_id="", center_m=None)) == "chair 91 %"
    assert len(pixels.box_text(box(label="x" * 1000, track_id="9" * 1000))) < 80
    assert "\n" not in pixels.box_text(box(label="a\nb"))


def test_boxes_that_cannot_be_drawn_are_left_out_and_no_more_than_a_page_can_show() -> None:
    preview = LatestImage(1, pixels=np.zeros((30, 30, 3), np.uint8))
    for place in (None, (math.nan, 0.0, 1.0, 1.0), (0.0, math.inf, 1.0, 1.0)):
        assert not decoded(for_file(preview, BGR, boxes=[box(image=place)])).any()
    many = [box(image=(1e30, -1e30, 1e30, 1e30), center_m=(math.inf, 0.0, 0.0))] * 5000
    assert for_browser(preview, BGR, width=640, boxes=many).width == 600


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8",
        b"\xff\xd8\xff\xc0\x00\x04",
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a" + bytes(100),
        b"\xff\xd8" + b"\xff" * 100,
        jpeg(64, 48)[:200] + bytes(4000),
    ],
)
def test_bytes_that_are_no_image_are_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        for_browser(LatestImage(1, data), BGR, width=32, boxes=[box()])


def test_an_image_that_says_it_is_huge_is_refused_before_it_is_decoded() -> None:
    png = bytearray(cv2.imencode(".png", noise(8, 8))[1].tobytes())
    png[16:24] = (60_000).to_bytes(4, "big") * 2
    with pytest.raises(DecodeError, match="60000x60000"):
        for_browser(LatestImage(1, bytes(png)), BGR, width=640)
    with pytest.raises(DecodeError, match="bytes, at most"):
        pixels.encoded_size(bytes((32 << 20) + 1))
    wide = np.broadcast_to(np.zeros(1, np.uint8), (8192, 8192))
    with pytest.raises(DecodeError, match="8192x8192"):
        for_browser(LatestImage(1, pixels=wide), GREY, width=640)
    with pytest.raises(DecodeError, match="shape"):
        for_browser(LatestImage(1, pixels=np.zeros((0, 5), np.uint8)), GREY, width=640)
