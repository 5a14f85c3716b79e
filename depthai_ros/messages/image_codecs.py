"""Images -> the data of sensor_msgs/CompressedImage, in the formats of the image_transport plugins.

Sources: compressed_image_transport and compressed_depth_image_transport.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from numpy.typing import NDArray

from .. import _core
from ..errors import ConfigError


@dataclass(frozen=True, slots=True)
class CodecSettings:
    """How one topic is coded; the defaults are those of the plugins."""

    format: str  # "jpeg" or "png" (8 bit), "png" or "rvl" (depth)
    jpeg_quality: int = 95  # 1..100
    png_level: int = 3  # 0..9, of zlib
    depth_max: float = 10.0  # m
    depth_quantization: float = 100.0  # of 32FC1 only


class Encoded(NamedTuple):
    """The first `size` bytes of a buffer, whose headroom is free."""

    buffer: _core.Buffer
    size: int
    format: str  # of the message, e.g. "bgr8; jpeg compressed bgr8"


_Coded = tuple[_core.Buffer, int]
_Encode = Callable[[NDArray[Any], str, CodecSettings], _Coded]


def _jpeg(pixels: NDArray[Any], encoding: str, settings: CodecSettings) -> _Coded:
    quality = settings.jpeg_quality
    return _core.encode_jpeg(source=pixels, encoding=encoding, quality=quality)


def _png(pixels: NDArray[Any], encoding: str, settings: CodecSettings) -> _Coded:
    return _core.encode_png(source=pixels, encoding=encoding, level=settings.png_level)


def _depth(pixels: NDArray[Any], encoding: str, settings: CodecSettings) -> _Coded:
    return _core.encode_depth(
        source=pixels,
        encoding=encoding,
        codec=settings.format,
        png_level=settings.png_level,
        depth_max=settings.depth_max,
        depth_quantization=settings.depth_quantization,
    )


#: (settings.format, encoding) -> CompressedImage.format, encoder. The plugin writes the blank
#: behind "compressed" of gray PNG, too.
_CODECS: dict[tuple[str, str], tuple[str, _Encode]] = {
    ("jpeg", "mono8"): ("mono8; jpeg compressed mono8", _jpeg),
    ("jpeg", "bgr8"): ("bgr8; jpeg compressed bgr8", _jpeg),
    ("jpeg", "i420"): ("bgr8; jpeg compressed bgr8", _jpeg),
    ("png", "mono8"): ("mono8; png compressed ", _png),
    ("png", "bgr8"): ("bgr8; png compressed bgr8", _png),
    ("png", "i420"): ("bgr8; png compressed bgr8", _png),
    ("png", "16UC1"): ("16UC1; compressedDepth png", _depth),
    ("png", "32FC1"): ("32FC1; compressedDepth png", _depth),
    ("rvl", "16UC1"): ("16UC1; compressedDepth rvl", _depth),
    ("rvl", "32FC1"): ("32FC1; compressedDepth rvl", _depth),
}

#: Format -> the library that writes it, and its package on Debian and Ubuntu.
_LIBRARIES = {"jpeg": ("libjpeg-turbo", "libjpeg-dev"), "png": ("libpng", "libpng-dev")}


def encode(pixels: NDArray[Any], encoding: str, settings: CodecSettings) -> Encoded:
    """One image, coded without the GIL; may be called from several threads at once.

    encoding   "mono8" (H, W) uint8; "bgr8" (H, W, 3) uint8; "i420" (H * 3 // 2, W) uint8 with
               levels of 16..235, which becomes a bgr8 image; "16UC1" (H, W) uint16, mm; "32FC1"
               (H, W) float32, m, NaN = not measured
    16UC1 is exact up to depth_max; what is above becomes 0. 32FC1 is quantised; what is not between
    0 and depth_max becomes 0, "not measured".
    Raises ConfigError for a format that is not one of the encoding, EncodeError for an image or a
    setting that the format cannot hold.
    """
    found = _CODECS.get((settings.format, encoding))
    if found is None:
        known = ", ".join(f"{name} of {kind}" for name, kind in _CODECS)
        raise ConfigError(f"{settings.format!r} of {encoding!r} is no format; there are {known}")
    text, code = found
    return Encoded(*code(pixels, encoding, settings), text)


def missing_library(format: str) -> str:  # noqa: A002, as in a message
    """ "", or what is missing in this build for the format, and what to do."""
    if format in _core.codecs():
        return ""
    library, package = _LIBRARIES[format]
    return (
        f"{format} is not available: depthai_ros was built without {library}. Install {package} "
        "(Debian, Ubuntu), then build depthai_ros again"
    )
