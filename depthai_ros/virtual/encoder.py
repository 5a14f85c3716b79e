"""Encodes rgb images: JPEG stills, and one access unit of video per frame.

PyAV encodes H.264 with x264 and H.265 with x265. The presets are the fastest ones without delay:
each image gives one packet. With `numBFrames` the first packets come some images later (x264: that
many), in decoding order; baseline has no B frames. Each key frame carries its parameter sets, so a
decoder can start at any key frame.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..cameras import RATE_CONTROL_MODES, VIDEO_PROFILES
from ..errors import ConfigError

_log = logging.getLogger(__name__)

#: video_config profile -> (encoder, options); "" is MJPEG. x264 needs the x264-params because
#: `ultrafast` writes baseline for every profile. Source: docs/wire_format.md
_X264 = {"preset": "ultrafast", "tune": "zerolatency"}
_X265 = {"preset": "ultrafast", "tune": "zerolatency"}
_PROFILES: dict[str, tuple[str, dict[str, str]]] = {
    "h264_baseline": ("libx264", {**_X264, "profile": "baseline"}),
    "h264_main": ("libx264", {**_X264, "profile": "main", "x264-params": "cabac=1"}),
    "h264_high": ("libx264", {**_X264, "profile": "high", "x264-params": "cabac=1:8x8dct=1"}),
    "h265_main": ("libx265", {**_X265, "x265-params": "log-level=error:pools=1:frame-threads=1"}),
    "mjpeg": ("", {}),
}
_DEFAULT_PROFILE = "h264_high"
_DEFAULT_BITRATE = 8_500_000
_DEFAULT_KEYFRAMES = 30
_DEFAULT_QUALITY = 80
#: Coarsest quantiser (CRF) of H.264 and H.265, used for quality 0.
_COARSEST = 51


def encode_jpeg(image: NDArray[np.uint8], quality: int) -> bytes:
    """One JPEG file.

    Shape   (H, W, 3) uint8 BGR
    Units   quality 0..100
    """
    good, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert good, "cv2.imencode failed on an (H, W, 3) uint8 array"
    return data.tobytes()


def _named(value: Any, names: tuple[str, ...], key: str) -> str:
    """Name of a choice, given as its name in any letter case or as its number."""
    text = str(value).lower()
    if text in names:
        return text
    if text.isdigit() and int(text) < len(names):
        return names[int(text)]
    raise ConfigError(f"video_config.{key} is {value!r}, must be one of {', '.join(names)}")


class VideoEncoder:
    """One stream of encoded images with the settings of `video_config`; {} means all defaults."""

    def __init__(self, size: tuple[int, int], fps: float, video_config: Mapping[str, Any]) -> None:
        profile = _named(video_config.get("profile", _DEFAULT_PROFILE), VIDEO_PROFILES, "profile")
        self._quality = int(video_config.get("quality", _DEFAULT_QUALITY))
        self._context = _open_codec(profile, size, fps, video_config)
        #: Input of `encode`: "color" is I420, (H * 3 / 2, W); "color_bgr" is (H, W, 3).
        self.image_form = "color" if self._context else "color_bgr"

    def encode(self, image: NDArray[np.uint8], sequence: int) -> bytes:
        """The next access unit, after an image in `image_form`; b"" while B frames delay the first.

        `sequence` must increase.
        """
        if self._context is None:
            return encode_jpeg(image, self._quality)
        import av

        frame = av.VideoFrame.from_ndarray(image, format="yuv420p")
        frame.pts = sequence
        return b"".join(bytes(packet) for packet in self._context.encode(frame))


def _open_codec(profile: str, size: tuple[int, int], fps: float, config: Mapping[str, Any]) -> Any:
    """A PyAV encoder that returns at most one packet per image; None for MJPEG or without PyAV."""
    encoder, options = _PROFILES[profile]
    if not encoder:
        return None
    try:
        import av
    except ImportError:
        _log.warning("PyAV is not installed: the video stream is MJPEG instead of %s", profile)
        return None
    context: Any = av.CodecContext.create(encoder, "w")
    context.width, context.height = size
    context.pix_fmt = "yuv420p"
    context.framerate = Fraction(fps).limit_denominator(1000)
    context.time_base = 1 / context.framerate
    context.gop_size = int(config.get("keyframeFrequency", 0)) or _DEFAULT_KEYFRAMES
    context.max_b_frames = int(config.get("numBFrames", 0))
    context.thread_count = 1
    if context.max_b_frames and "x265-params" in options:
        b_frames = f":b-adapt=0:open-gop=0:rc-lookahead={context.max_b_frames + 1}"
        options = {**options, "x265-params": options["x265-params"] + b_frames}
    context.options = {**options, **_rate_options(config)}
    return context


def _rate_options(config: Mapping[str, Any]) -> dict[str, str]:
    """Constant bit rate, or constant quality for "vbr"."""
    control = _named(config.get("rateCtrlMode", 0), RATE_CONTROL_MODES, "rateCtrlMode")
    if control == "vbr":
        quality = int(config.get("quality", 0)) or _DEFAULT_QUALITY
        return {"crf": str(round(_COARSEST * (1 - quality / 100)))}
    bitrate = str(int(config.get("bitrate", 0)) or _DEFAULT_BITRATE)
    return {"b": bitrate, "maxrate": bitrate, "bufsize": bitrate}
