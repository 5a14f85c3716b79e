"""examples/watch_compressed.py decodes what reference encoders write and what the node sends."""

from __future__ import annotations

import importlib.util
import struct
import subprocess
import sys
from array import array
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from ffmpeg_image_transport_msgs.msg import FFMPEGPacket
from foxglove_msgs.msg import CompressedVideo
from nodes import ROOT, Listener, StartNode
from numpy.typing import NDArray
from recordings import pixels
from sensor_msgs.msg import CompressedImage, Image

from depthai_ros.virtual.encoder import VideoEncoder

EXAMPLE = ROOT / "examples" / "watch_compressed.py"
spec = importlib.util.spec_from_file_location("watch_compressed", EXAMPLE)
assert spec is not None
assert spec.loader is not None
example = importlib.util.module_from_spec(spec)
spec.loader.exec_module(example)

SIZES = [(1, 1), (2, 3), (101, 161)]
#: Header of compressedDepth with depth_quantization 100 and depth_max 10.
A, B = 100.0 * 101.0, 1.0 - 100.0 * 101.0 / 10.0
DEPTH_HEADER = struct.pack("<iff", 0, A, B)


def _message(text: str, data: bytes) -> SimpleNamespace:
    return SimpleNamespace(format=text, data=array("B", data))


def _coded(kind: str, pixels: NDArray[Any]) -> bytes:
    return bytes(cv2.imencode(kind, pixels)[1])


def _ramp(rows: int, columns: int) -> NDArray[np.uint8]:
    """An image that JPEG keeps nearly."""
    return np.linspace(40, 200, rows * columns).reshape(rows, columns).astype(np.uint8)


def _depths(size: tuple[int, int]) -> dict[str, NDArray[np.uint16]]:
    """Depth images, mm."""
    noise = np.random.default_rng(17).integers(0, 65536, size).astype(np.uint16)
    holes = np.random.default_rng(18).random(size) < 0.4
    wall = (2000 + np.arange(noise.size).reshape(size) // 50 % 900).astype(np.uint16)
    return {
        "nothing": np.zeros(size, np.uint16),
        "noise": noise,
        "far": np.full(size, 65535, np.uint16),
        "wall": wall,
        "wall with holes": np.where(holes, 0, wall).astype(np.uint16),
    }


def _rvl(depth: NDArray[np.uint16]) -> bytes:
    """Columns, rows, and the pixels coded as in the paper (Wilson, 2017), one after the other."""
    groups: list[int] = []

    def write(number: int) -> None:
        while number > 7:
            groups.append(number & 7 | 8)
            number >>= 3
        groups.append(number)

    pixels, at, before = depth.ravel().tolist(), 0, 0
    while at < len(pixels):
        start = at
        while at < len(pixels) and not pixels[at]:
            at += 1
        write(at - start)
        start = at
        while at < len(pixels) and pixels[at]:
            at += 1
        write(at - start)
        for pixel in pixels[start:at]:
            step, before = pixel - before, pixel
            write(2 * step if step >= 0 else -2 * step - 1)
    groups += [0] * (-len(groups) % 8)
    words = ["".join(f"{group:x}" for group in groups[i : i + 8]) for i in range(0, len(groups), 8)]
    coded = struct.pack(f"<{len(words)}I", *(int(word, 16) for word in words))
    return struct.pack("<II", depth.shape[1], depth.shape[0]) + coded


@pytest.mark.parametrize("size", SIZES)
def test_jpeg_and_png_of_opencv(size: tuple[int, int]) -> None:
    grey = _ramp(*size)
    for image in (grey, np.repeat(grey[..., None], 3, axis=-1)):
        encoding = "mono8" if image.ndim == 2 else "bgr8"
        message = _message(f"{encoding}; png compressed ", _coded(".png", image))
        np.testing.assert_array_equal(example.compressed(message), image)
        text = f"{encoding}; jpeg compressed {encoding}"
        near = example.compressed(_message(text, _coded(".jpg", image)))
        assert near.shape == image.shape
        np.testing.assert_allclose(near.astype(int), image, atol=3)
    assert example.compressed(_message("mono8; jpeg compressed mono8", b"no image")) is None


@pytest.mark.parametrize("size", SIZES)
def test_depth_in_millimetres_is_exact(size: tuple[int, int]) -> None:
    for name, depth in _depths(size).items():
        for coder, data in (("png", _coded(".png", depth)), ("rvl", _rvl(depth))):
            message = _message(f"16UC1; compressedDepth {coder}", DEPTH_HEADER + data)
            found = example.compressed_depth(message)
            assert found.dtype == np.uint16
            np.testing.assert_array_equal(found, depth, err_msg=f"{name}, {coder}")


@pytest.mark.parametrize("size", SIZES)
def test_depth_in_metres_is_within_its_quantisation(size: tuple[int, int]) -> None:
    metres = np.linspace(0.3, 9.9, size[0] * size[1], dtype=np.float32).reshape(size)
    metres[0, 0] = np.nan
    codes = np.where(np.isnan(metres), 0, A / metres + B).astype(np.uint16)
    for coder, data in (("png", _coded(".png", codes)), ("rvl", _rvl(codes))):
        found = example.compressed_depth(
            _message(f"32FC1; compressedDepth {coder}", DEPTH_HEADER + data)
        )
        assert found.dtype == np.float32
        assert np.isnan(found[0, 0])
        error = np.abs(found - metres) * A / metres**2  # in steps of the code
        assert np.nanmax(error, initial=0.0) < 1.5


@pytest.mark.parametrize(("profile", "libav", "foxglove"), [
    ("h264_baseline", "h264", "h264"), ("h265_main", "hevc", "h265"),
])  # fmt: skip
def test_video_is_decoded_from_its_first_key_frame(profile: str, libav: str, foxglove: str) -> None:
    pytest.importorskip("av", reason="av is not installed")
    encoder = VideoEncoder((320, 240), 30.0, {"profile": profile, "keyframeFrequency": 4})
    rows, columns = np.mgrid[:240, :320]
    units = []
    for number in range(10):
        luma = (rows / 2 + columns / 4 + 8 * number + 20).astype(np.uint8)
        units.append(encoder.encode(np.r_[luma, np.full((120, 320), 128, np.uint8)], number))
    packets = [SimpleNamespace(encoding=libav, data=array("B", unit)) for unit in units]
    for messages in (packets, [_message(foxglove, unit) for unit in units]):
        video = example.Video()
        images = [video(message) for message in messages]
        assert [image.shape for image in images] == [(240, 320, 3)] * 10
        assert [round(float(image.mean())) for image in images] == sorted(
            round(float(image.mean())) for image in images
        )
        late = example.Video()
        joined = [late(message) for message in messages[2:]]
        assert [image is None for image in joined] == [True] * 2 + [False] * 6
        for image, expected in zip(joined[2:], images[4:], strict=True):
            np.testing.assert_array_equal(image, expected)


#: Topics of the node -> their type, shape and type of what the example makes of them.
SENT: dict[str, tuple[Any, tuple[int, ...], Any]] = {
    "left/image_raw/compressed": (CompressedImage, (400, 640), np.uint8),
    "rgb/image_raw/compressed": (CompressedImage, (1080, 1920, 3), np.uint8),
    "depth/image_raw/compressedDepth": (CompressedImage, (400, 640), np.uint16),
    "depth/image/compressedDepth": (CompressedImage, (400, 640), np.float32),
    "rgb/image_raw/ffmpeg": (FFMPEGPacket, (1080, 1920, 3), np.uint8),
    "rgb/video": (CompressedVideo, (1080, 1920, 3), np.uint8),
}
NODE: dict[str, Any] = {
    "device.id": "virtual",
    "stream_list": ["left", "color", "depth", "video"],
    "camera.mono.resolution_h": 400,
    "camera.mono.fps": 5.0,
    "camera.rgb.fps": 5.0,
    "publish.depth_float": True,
    "publish.queue_depth": 10,
    "video_config.profile": "h264_high",
    "video_config.keyframeFrequency": 2,
}


def test_program_shows_and_stores_what_the_node_sends(
    start: Any, tmp_path: Path, listener: Listener, start_node: StartNode
) -> None:
    pytest.importorskip("av", reason="av is not installed")
    topic = "depth/image_raw/compressedDepth"
    words = (str(EXAMPLE), topic, "--png", str(tmp_path), "--ros-args", "-r", "__ns:=/oak")
    program = start(sys.executable, *words, stdout=subprocess.PIPE)
    start_node(NODE)
    assert program.stdout.readline() == f"waiting for /oak/{topic}\n"
    for sent, (message_type, _, _) in SENT.items():
        listener.subscribe(message_type, sent)
    listener.subscribe(Image, "depth/image_raw")
    assert ": 400 x 640 uint16, " in program.stdout.readline()
    listener.wait_for(*SENT, count=3)
    for sent, (message_type, shape, kind) in SENT.items():
        package, _, _ = message_type.__module__.partition(".msg")
        decode = example.decoder(f"{package}/msg/{message_type.__name__}", sent)
        image = [decode(message) for message in listener.messages(sent)][-1]
        assert (image.shape, image.dtype) == (shape, kind), sent
        assert message_type is CompressedImage or image.std() > 10, sent

    stored: list[str] = []

    def raw() -> dict[str, Any]:
        """Stamp of a stored image -> the raw image."""
        stored.append(program.stdout.readline().partition(":")[0])
        by_stamp = {_stamp(message): message for message in listener.messages("depth/image_raw")}
        return {stamp: message for stamp, message in by_stamp.items() if stamp in stored}

    listener.wait_until(raw, "an image that the program has stored")
    stamp, message = raw().popitem()
    shown = pixels(message)
    expected = np.where(shown > 10_000, 0, shown)  # compressed.depth_max
    found = cv2.imread(str(tmp_path / f"{stamp}.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(found, expected)


def _stamp(message: Any) -> str:
    return f"{message.header.stamp.sec}.{message.header.stamp.nanosec:09}"
