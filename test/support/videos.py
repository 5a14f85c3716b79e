"""Encoded video for tests: made with PyAV, and decoded with it."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

SIZE = (320, 240)
#: Name of the codec in libav -> its encoder, and options: pictures of two slices, no B frames.
ENCODERS = {
    "h264": ("libx264", {"x264-params": "slices=2"}),
    "hevc": (
        "libx265",
        {"x265-params": "log-level=error:pools=1:frame-threads=1:slices=2:bframes=0"},
    ),
}


def picture(number: int) -> NDArray[np.uint8]:
    """A gradient with a moving square, I420 (360, 320)."""
    width, height = SIZE
    y, x = np.mgrid[:height, :width]
    luma = (x * 0.4 + y * 0.3 + 20).astype(np.uint8)
    luma[100:140, 20 + 8 * number : 60 + 8 * number] = 230
    return np.vstack([luma, np.full((height // 2, width), 128, np.uint8)])


def encoded(libav: str, count: int, every: int, parameters: str = "") -> list[bytes]:
    """One packet for each of `picture(0)`, `picture(1)` …; a key frame comes `every` pictures."""
    av = pytest.importorskip("av")
    encoder, options = ENCODERS[libav]
    context = av.CodecContext.create(encoder, "w")
    context.width, context.height = SIZE
    context.pix_fmt, context.gop_size, context.max_b_frames = "yuv420p", every, 0
    context.time_base, context.thread_count = Fraction(1, 30), 1
    own = {key: f"{value}{parameters}" for key, value in options.items()}
    context.options = {"preset": "ultrafast", "tune": "zerolatency", "crf": "15", **own}
    packets: list[bytes] = []
    for number in range(count):
        frame = av.VideoFrame.from_ndarray(picture(number), format="yuv420p")
        frame.pts = number
        packets += [bytes(packet) for packet in context.encode(frame)]
    packets += [bytes(packet) for packet in context.encode(None)]
    assert len(packets) == count
    return packets


def decoded(libav: str, units: Iterable[bytes], pixels: str = "yuv420p") -> list[NDArray[Any]]:
    """The images of what a subscriber received, one message after the other."""
    av = pytest.importorskip("av")
    context = av.CodecContext.create(libav, "r")
    frames = [frame for unit in units for frame in context.decode(av.Packet(unit))]
    return [frame.to_ndarray(format=pixels) for frame in (*frames, *context.decode(None))]


def psnr_db(image: NDArray[Any], truth: NDArray[Any]) -> float:
    """Peak signal-to-noise ratio of images with 8 bits."""
    error = np.mean((image.astype(float) - truth.astype(float)) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))
