"""Encoded images, decoded again with OpenCV and PyAV."""

from __future__ import annotations

import io
import sys
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from depthai_ros.errors import ConfigError
from depthai_ros.virtual.encoder import VideoEncoder, encode_jpeg

SIZE = (320, 240)
#: video_config profile -> (container format of the bare stream, first NAL bytes, profile name)
PROFILES = {
    "h264_baseline": ("h264", b"\0\0\0\1\x67\x42", "Constrained Baseline"),
    "h264_main": ("h264", b"\0\0\0\1\x67\x4d", "Main"),
    "h264_high": ("h264", b"\0\0\0\1\x67\x64", "High"),
    "h265_main": ("hevc", b"\0\0\0\1\x40\x01", "Main"),
}


def image(sequence: int) -> NDArray[np.uint8]:
    """A gradient with a moving square, (240, 320, 3) BGR."""
    y, x = np.mgrid[:240, :320]
    bgr = np.stack([x * 0.6 + 20, y * 0.8 + 20, (x + y) * 0.4], axis=-1).astype(np.uint8)
    bgr[100:140, 20 + 4 * sequence : 60 + 4 * sequence] = (40, 200, 230)
    return bgr


def i420(sequence: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(image(sequence), cv2.COLOR_BGR2YUV_I420), np.uint8)


def decoded(stream: bytes, container: str) -> tuple[list[Any], str]:
    av = pytest.importorskip("av")
    with av.open(io.BytesIO(stream), format=container) as file:
        frames = [frame.to_ndarray(format="bgr24") for frame in file.decode(video=0)]
        return frames, str(file.streams.video[0].codec_context.profile)


def error(one: NDArray[Any], other: NDArray[Any]) -> float:
    return float(np.abs(one.astype(int) - other).mean())


@pytest.mark.parametrize(("quality", "limit"), [(95, 1.0), (50, 3.0)])
def test_jpeg_decodes_to_the_image(quality: int, limit: float) -> None:
    data = encode_jpeg(image(3), quality)
    assert data[:2] == b"\xff\xd8"
    assert data[-2:] == b"\xff\xd9"
    back = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert error(np.asarray(back), image(3)) < limit


def test_better_quality_makes_larger_jpegs() -> None:
    sizes = [len(encode_jpeg(image(0), quality)) for quality in (0, 30, 60, 90, 100)]
    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize("profile", PROFILES)
def test_video_decodes_to_the_images(profile: str) -> None:
    pytest.importorskip("av")
    container, start, name = PROFILES[profile]
    encoder = VideoEncoder(SIZE, 30, {"profile": profile, "bitrate": 4_000_000})
    assert encoder.image_form == "color"
    units = [encoder.encode(i420(sequence), sequence) for sequence in range(5, 17)]
    assert all(units), "one access unit for each image, without delay"
    assert units[0].startswith(start)
    frames, found = decoded(b"".join(units), container)
    assert found == name
    assert len(frames) == len(units)
    for sequence, frame in enumerate(frames, start=5):
        assert error(frame, image(sequence)) < 4.0, sequence


@pytest.mark.parametrize(
    ("profile", "wanted", "longest"),
    [("h264_high", 0, 0), ("h264_main", 1, 1), ("h264_high", 3, 3), ("h265_main", 2, 2),
     ("h264_baseline", 3, 0)],
)  # fmt: skip
def test_video_has_the_b_frames_that_are_set(profile: str, wanted: int, longest: int) -> None:
    av = pytest.importorskip("av")
    encoder = VideoEncoder(SIZE, 30, {"profile": profile, "numBFrames": wanted})
    units = [encoder.encode(i420(sequence), sequence) for sequence in range(25)]
    first = next(index for index, unit in enumerate(units) if unit)
    assert (first > 0) == (longest > 0)
    assert all(units[first:]), "after the delay, one access unit for each image"
    with av.open(io.BytesIO(b"".join(units)), format=PROFILES[profile][0]) as file:
        kinds = "".join(" IPB"[int(frame.pict_type)] for frame in file.decode(video=0))
    assert max(map(len, kinds.replace("I", "P").split("P"))) == longest, kinds


@pytest.mark.parametrize("every", [4, 10])
def test_decoder_can_start_at_any_key_frame(every: int) -> None:
    pytest.importorskip("av")
    encoder = VideoEncoder(SIZE, 30, {"keyframeFrequency": every})
    units = [encoder.encode(i420(sequence), sequence) for sequence in range(20)]
    keys = [index for index, unit in enumerate(units) if unit[4] & 0x1F == 7]
    assert keys == list(range(0, 20, every))
    frames, _ = decoded(b"".join(units[every:]), "h264")
    assert len(frames) == 20 - every
    assert error(frames[0], image(every)) < 4.0


@pytest.mark.parametrize("profile", ["mjpeg", "MJPEG", 4])
def test_mjpeg_is_a_sequence_of_jpegs(profile: Any) -> None:
    encoder = VideoEncoder(SIZE, 30, {"profile": profile, "quality": 90})
    assert encoder.image_form == "color_bgr"
    unit = encoder.encode(image(2), 2)
    assert unit == encode_jpeg(image(2), 90)


@pytest.mark.parametrize("profile", ["H264_Main", 1, "1"])
def test_profile_may_be_a_name_or_a_number(profile: Any) -> None:
    pytest.importorskip("av")
    unit = VideoEncoder(SIZE, 30, {"profile": profile}).encode(i420(0), 0)
    assert unit.startswith(PROFILES["h264_main"][1])


def test_defaults_are_those_of_the_device() -> None:
    pytest.importorskip("av")
    unit = VideoEncoder(SIZE, 30, {}).encode(i420(0), 0)
    assert unit.startswith(PROFILES["h264_high"][1])


def test_bitrate_and_quality_set_the_size() -> None:
    pytest.importorskip("av")
    noise = np.random.default_rng(1).integers(0, 256, (360, 320), np.uint8)
    cases = [
        [{"bitrate": 300_000}, {"bitrate": 3_000_000}],
        [{"rateCtrlMode": "vbr", "quality": 20}, {"rateCtrlMode": "VBR", "quality": 90}],
    ]
    for configs in cases:
        sizes = []
        for config in configs:
            encoder = VideoEncoder(SIZE, 30, config)
            sizes.append(sum(len(encoder.encode(noise, i)) for i in range(10)))
        assert sizes[1] > 2 * sizes[0], configs


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"profile": "vp9"}, "video_config.profile is 'vp9', must be one of h264_baseline"),
        ({"profile": 5}, "video_config.profile is 5"),
        ({"rateCtrlMode": "abr"}, "video_config.rateCtrlMode is 'abr', must be one of cbr, vbr"),
    ],
)
def test_unknown_profile_or_rate_control_is_refused(config: dict[str, Any], message: str) -> None:
    pytest.importorskip("av")
    with pytest.raises(ConfigError, match=message):
        VideoEncoder(SIZE, 30, config)


def test_without_pyav_the_video_is_mjpeg_and_a_warning_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    encoder = VideoEncoder(SIZE, 30, {})
    assert "PyAV is not installed: the video stream is MJPEG instead of h264_high" in caplog.text
    assert encoder.image_form == "color_bgr"
    assert encoder.encode(image(0), 0)[:2] == b"\xff\xd8"
