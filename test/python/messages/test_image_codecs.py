"""Compressed images: OpenCV and decoders written from the papers read them."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from coded_images import DEPTH_CODECS, HEADER, depth_codes
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from depthai_ros import _core
from depthai_ros.errors import ConfigError, EncodeError
from depthai_ros.messages.image_codecs import (
    CodecSettings,
    Encoded,
    encode,
    missing_library,
)

SAMPLES = Path("/usr/share/doc/opencv-doc/examples/data")
JPEG, PNG, RVL = CodecSettings("jpeg"), CodecSettings("png"), CodecSettings("rvl")
ODD_SIZES = [(1, 1), (641, 401), (3, 64)]

Pixels = NDArray[Any]


def random_image(dtype: Any, shape: tuple[int, ...], seed: int = 1) -> Pixels:
    """Noise."""
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max + 1, shape, dtype)


def smooth(image: Pixels, sigma: float = 6.0) -> Pixels:
    """Without fine detail, of all levels."""
    blurred = cv2.GaussianBlur(image, (0, 0), sigma)
    return cv2.normalize(blurred, None, 0, 255, cv2.NORM_MINMAX)


@pytest.fixture(scope="module", name="photo")
def aloe() -> Pixels:
    """A real image, (H, W, 3)."""
    found = cv2.imread(str(SAMPLES / "aloeL.jpg"))
    if found is None:
        pytest.skip("NOT RUN: the images of opencv-doc are missing (Debian: opencv-doc)")
    return np.ascontiguousarray(found[:960, :1280])


def data(coded: Encoded) -> NDArray[np.uint8]:
    """The bytes of the message."""
    return np.frombuffer(coded.buffer, np.uint8)[: coded.size]


def decoded(coded: Encoded) -> Pixels:
    """With OpenCV."""
    image = cv2.imdecode(data(coded), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return image


def bgr_of(planes: Pixels) -> Pixels:
    """What the raw topic shows."""
    bgr = np.empty((planes.shape[0] // 3 * 2, planes.shape[1], 3), np.uint8)
    _core.bgr_from_i420(source=planes, destination=bgr)
    return bgr


def psnr(one: Pixels, other: Pixels) -> float:
    """In dB."""
    return float(cv2.PSNR(one, other))


# ---- the messages

FORMATS = [
    ("jpeg", "mono8", "mono8; jpeg compressed mono8"),
    ("jpeg", "bgr8", "bgr8; jpeg compressed bgr8"),
    ("jpeg", "i420", "bgr8; jpeg compressed bgr8"),
    ("png", "mono8", "mono8; png compressed "),
    ("png", "bgr8", "bgr8; png compressed bgr8"),
    ("png", "i420", "bgr8; png compressed bgr8"),
    ("png", "16UC1", "16UC1; compressedDepth png"),
    ("rvl", "16UC1", "16UC1; compressedDepth rvl"),
    ("png", "32FC1", "32FC1; compressedDepth png"),
    ("rvl", "32FC1", "32FC1; compressedDepth rvl"),
]
SMALL: dict[str, Pixels] = {
    "mono8": np.zeros((4, 6), np.uint8),
    "bgr8": np.zeros((4, 6, 3), np.uint8),
    "i420": np.zeros((6, 6), np.uint8),
    "16UC1": np.zeros((4, 6), np.uint16),
    "32FC1": np.zeros((4, 6), np.float32),
}


@pytest.mark.parametrize(("codec", "encoding", "text"), FORMATS)
def test_format_is_what_the_plugins_write(codec: str, encoding: str, text: str) -> None:
    coded = encode(SMALL[encoding], encoding, CodecSettings(codec))
    assert coded.format == text
    assert 0 < coded.size <= len(coded.buffer)


def test_data_leaves_room_for_the_rest_of_the_message() -> None:
    coded = encode(SMALL["bgr8"], "bgr8", PNG)
    prefix, suffix = b"p" * _core.Buffer.HEADROOM, b"s"
    message = _core.serialized(buffer=coded.buffer, size=coded.size, prefix=prefix, suffix=suffix)
    assert message == prefix + data(coded).tobytes() + suffix


# ---- JPEG


@pytest.mark.parametrize("quality", [1, 50, 95, 100])
@pytest.mark.parametrize("encoding", ["bgr8", "mono8"])
def test_jpeg_is_as_good_as_that_of_opencv(photo: Pixels, encoding: str, quality: int) -> None:
    image = photo if encoding == "bgr8" else cv2.cvtColor(photo, cv2.COLOR_BGR2GRAY)
    coded = encode(image, encoding, replace(JPEG, jpeg_quality=quality))
    theirs = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    their_psnr = psnr(cv2.imdecode(theirs, cv2.IMREAD_UNCHANGED), image)
    assert psnr(decoded(coded), image) == pytest.approx(their_psnr, abs=0.2)
    assert coded.size == pytest.approx(theirs.size, rel=0.02)


@pytest.mark.parametrize("size", [(2, 2), (16, 16), (402, 642), (480, 640)])
def test_jpeg_of_planes_has_the_colours_of_the_raw_topic(size: tuple[int, int]) -> None:
    bgr = smooth(random_image(np.uint8, (*size, 3)))
    planes = cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420)
    raw, best = bgr_of(planes), replace(JPEG, jpeg_quality=100)
    error = decoded(encode(planes, "i420", best)).astype(int) - raw
    of_detour = decoded(encode(raw, "bgr8", best)).astype(int) - raw
    assert np.abs(error).mean() <= np.abs(of_detour).mean() + 0.2
    assert np.abs(error.mean(axis=(0, 1))).max() < 0.7


@pytest.mark.parametrize("level", range(0, 256, 5))
def test_every_gray_level_of_planes_is_that_of_the_raw_topic(level: int) -> None:
    planes = np.full((24, 16), 128, np.uint8)
    planes[:16] = level
    image = decoded(encode(planes, "i420", replace(JPEG, jpeg_quality=100)))
    assert np.abs(image.astype(int) - bgr_of(planes)).max() <= 1


@pytest.mark.parametrize("size", [(2, 2), (18, 34), (402, 642)])
def test_ends_of_planes_are_as_their_middle(size: tuple[int, int]) -> None:
    planes = np.full((size[0] // 2 * 3, size[1]), 90, np.uint8)
    image = decoded(encode(planes, "i420", replace(JPEG, jpeg_quality=10)))
    assert np.ptp(image, axis=(0, 1)).tolist() == [0, 0, 0]


def test_jpeg_of_planes_of_a_real_image_is_as_good_as_the_detour(photo: Pixels) -> None:
    planes = cv2.cvtColor(photo, cv2.COLOR_BGR2YUV_I420)
    bgr = bgr_of(planes)
    direct, detour = encode(planes, "i420", JPEG), encode(bgr, "bgr8", JPEG)
    assert psnr(decoded(direct), bgr) > psnr(decoded(detour), bgr) - 0.2
    assert direct.size == pytest.approx(detour.size, rel=0.02)


@pytest.mark.parametrize("shape", ODD_SIZES)
@pytest.mark.parametrize("encoding", ["mono8", "bgr8"])
def test_jpeg_of_noise_and_odd_sizes(encoding: str, shape: tuple[int, int]) -> None:
    image = random_image(np.uint8, shape if encoding == "mono8" else (*shape, 3))
    coded = encode(image, encoding, replace(JPEG, jpeg_quality=100))  # larger than expected
    assert decoded(coded).shape == image.shape
    assert encoding == "bgr8" or np.abs(decoded(coded).astype(int) - image).max() <= 6


# ---- PNG


@pytest.mark.parametrize("level", [0, 1, 3, 4, 9])
@pytest.mark.parametrize("encoding", ["mono8", "bgr8", "i420", "16UC1"])
def test_png_is_exact(photo: Pixels, encoding: str, level: int) -> None:
    bgr = np.ascontiguousarray(photo[:240, :320])
    image = {
        "mono8": bgr[..., 1].copy(),
        "bgr8": bgr,
        "i420": cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420),
        "16UC1": bgr[..., 1].astype(np.uint16) * 30,
    }[encoding]
    coded = encode(image, encoding, replace(PNG, png_level=level))
    expected = bgr_of(image) if encoding == "i420" else image
    start = HEADER.itemsize if encoding == "16UC1" else 0
    found = cv2.imdecode(data(coded)[start:], cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(found, expected, strict=True)


@pytest.mark.parametrize("shape", ODD_SIZES)
@pytest.mark.parametrize("encoding", ["mono8", "bgr8"])
def test_png_of_noise_and_odd_sizes_is_exact(encoding: str, shape: tuple[int, int]) -> None:
    image = random_image(np.uint8, shape if encoding == "mono8" else (*shape, 3))
    np.testing.assert_array_equal(decoded(encode(image, encoding, PNG)), image)


@pytest.mark.parametrize(("codec", "decoder"), [("jpeg", "mjpeg"), ("png", "png")])
@pytest.mark.parametrize(("encoding", "form"), [("bgr8", "bgr24"), ("mono8", "gray")])
def test_pyav_sees_what_opencv_sees(codec: str, decoder: str, encoding: str, form: str) -> None:
    av = pytest.importorskip("av")
    noise = random_image(np.uint8, (90, 120) if encoding == "mono8" else (90, 120, 3))
    coded = encode(smooth(noise), encoding, CodecSettings(codec))
    packet = av.Packet(data(coded).tobytes())
    (frame,) = av.CodecContext.create(decoder, "r").decode(packet)
    assert psnr(frame.to_ndarray(format=form), decoded(coded)) > 35


# ---- depth


def depth_message(image: Pixels, encoding: str, settings: CodecSettings) -> tuple[Any, Pixels]:
    """The header, and the numbers behind it."""
    return depth_codes(data(encode(image, encoding, settings)), settings.format)


def depth_images() -> dict[str, Pixels]:
    """Named images of uint16."""
    noise = random_image(np.uint16, (401, 641))
    steps = np.repeat(noise[:, ::8], 8, axis=1)
    return {
        "noise": noise,
        "noise with holes": np.where(noise % 3, noise, 0).astype(np.uint16),
        "near": noise // 60,
        "steps with holes": np.where(np.roll(steps, 3) % 2, steps, 0).astype(np.uint16),
        "nothing": np.zeros((401, 641), np.uint16),
        "all the same": np.full((401, 641), 65535, np.uint16),
        "one pixel": noise[:1, :1],
        "a column": noise[:, :1].copy(),
        "64 pixels": noise[:1, :64],
        "65 pixels, the last measured": np.eye(65, dtype=np.uint16)[-1:],
    }


@pytest.mark.parametrize("codec", DEPTH_CODECS)
@pytest.mark.parametrize("name", depth_images())
def test_depth_in_mm_is_exact_below_the_maximum(codec: str, name: str) -> None:
    image = depth_images()[name]
    for depth_max, most in ((100.0, 65535), (10.0, 10_000), (2.0004, 2000), (0.001, 1)):
        settings = CodecSettings(codec, depth_max=depth_max)
        header, found = depth_message(image, "16UC1", settings)
        assert header.tolist() == (0, 0.0, 0.0)
        expected = np.where(image > most, 0, image).astype(np.uint16)
        np.testing.assert_array_equal(found, expected, strict=True)
        if name != "noise":
            break


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([0, 1, 7, 8, 511, 512, 4095, 65535]), st.integers(1, 90)),
        min_size=1,
        max_size=12,
    )
)
def test_rvl_of_any_runs_is_exact(runs: list[tuple[int, int]]) -> None:
    image = np.concatenate([np.full(count, value, np.uint16) for value, count in runs])[None]
    found = depth_message(image, "16UC1", replace(RVL, depth_max=65.535))[1]
    np.testing.assert_array_equal(found, image)


@pytest.mark.parametrize("codec", DEPTH_CODECS)
@pytest.mark.parametrize(("depth_max", "quantization"), [(10.0, 100.0), (5.0, 30.0), (100.0, 1.0)])
def test_depth_in_metres_is_that_of_the_plugin(
    codec: str, depth_max: float, quantization: float
) -> None:
    image = random_image(np.uint16, (401, 641)).astype(np.float32) / 3000
    nearest = quantization * (quantization + 1) / 60_000  # nearer is clamped
    image[image < nearest] += nearest
    image[::7] = np.nan
    settings = CodecSettings(codec, depth_max=depth_max, depth_quantization=quantization)
    header, found = depth_message(image, "32FC1", settings)
    # As the plugin computes, in float32.
    q, most = np.float32(quantization), np.float32(depth_max)
    a = q * (q + np.float32(1))
    b = np.float32(1) - a / most
    assert header.tolist() == (0, a, b)
    measured = image < most
    with np.errstate(invalid="ignore"):
        quantised = np.where(measured, a / image + b, 0).astype(np.uint16)
    np.testing.assert_array_equal(found, quantised, strict=True)
    # What the subscriber gets: at most one step away.
    true = image[measured].astype(float)
    seen = float(a) / (found[measured] - float(b))
    assert np.all(seen >= true * (1 - 1e-5))
    assert np.all(seen - true <= true * seen / float(a) + true * 1e-5)


def test_nearly_empty_rvl_is_as_long_as_the_plugin_expects() -> None:
    """compressed_depth_image_transport refuses 32FC1 with less than a byte for five pixels."""
    image = np.full((401, 641), np.nan, np.float32)
    coded = encode(image, "32FC1", RVL)
    assert 5 * (coded.size - HEADER.itemsize) >= image.size
    assert not depth_message(image, "32FC1", RVL)[1].any()
    assert encode(np.zeros((401, 641), np.uint16), "16UC1", RVL).size < 50


#: Depth in m -> quantised with depth_max 10 and quantisation 100.
HOSTILE_METRES = {
    np.nan: 0,
    np.inf: 0,
    -np.inf: 0,
    0.0: 0,
    -1.0: 0,
    10.0: 0,
    11.0: 0,
    3e38: 0,
    9.99: 2,
    0.2: 49491,
    0.15: 65535,
    1e-6: 65535,
    1e-45: 65535,
}


@pytest.mark.parametrize("codec", DEPTH_CODECS)
def test_depth_in_metres_that_no_number_holds(codec: str) -> None:
    image = np.array([[*HOSTILE_METRES]], np.float32)
    found = depth_message(image, "32FC1", CodecSettings(codec))[1]
    assert dict(zip(HOSTILE_METRES, found[0].tolist(), strict=True)) == HOSTILE_METRES


# ---- bad input

BAD: list[tuple[Pixels, str, CodecSettings, str]] = [
    (SMALL["mono8"], "mono8", replace(JPEG, jpeg_quality=0), "jpeg quality is 0, must be 1 to 100"),
    (SMALL["mono8"], "mono8", replace(JPEG, jpeg_quality=101), "quality is 101, must be 1 to 100"),
    (SMALL["bgr8"], "bgr8", replace(PNG, png_level=10), "png level is 10, must be 0 to 9"),
    (SMALL["16UC1"], "16UC1", replace(PNG, png_level=-1), "png level is -1"),
    (SMALL["16UC1"], "16UC1", replace(RVL, depth_max=0.0), "depth max is 0, must be"),
    (SMALL["16UC1"], "16UC1", replace(RVL, depth_max=float("nan")), "depth max is nan, must be"),
    (SMALL["32FC1"], "32FC1", replace(RVL, depth_quantization=-1.0), "quantization is -1, must"),
    (SMALL["mono8"], "bgr8", JPEG, r"\(4, 6\) of type 'B'; bgr8 is \(H, W, 3\) uint8"),
    (SMALL["16UC1"], "mono8", PNG, r"of type 'H'; mono8 is \(H, W\) uint8"),
    (SMALL["16UC1"], "32FC1", PNG, r"of type 'H'; 32FC1 is \(H, W\) float32"),
    (SMALL["32FC1"].astype(np.float64), "32FC1", RVL, "of type 'd'; 32FC1 is"),
    (np.zeros((4, 6), np.uint8), "i420", JPEG, "i420 is .* with even H and W"),
    (np.zeros((6, 5), np.uint8), "i420", JPEG, "i420 is .* with even H and W"),
    (np.zeros((6, 5), np.uint8), "i420", PNG, "i420 is .* with even H and W"),
    (np.zeros((0, 6), np.uint8), "mono8", JPEG, r"\(0, 6\) .* with at least one pixel"),
    (np.zeros((4, 0), np.uint16), "16UC1", RVL, r"\(4, 0\) .* with at least one pixel"),
    (np.zeros((1, 65501), np.uint8), "mono8", JPEG, "at most 65500 .* 65501 x 1 pixels"),
    (np.zeros((1_000_001, 1), np.uint8), "mono8", PNG, "at most 1000000 .* 1 x 1000001 pixels"),
]


@pytest.mark.parametrize(("image", "encoding", "settings", "text"), BAD)
def test_error_says_what_was_found_and_what_is_possible(
    image: Pixels, encoding: str, settings: CodecSettings, text: str
) -> None:
    with pytest.raises(EncodeError, match=text):
        encode(image, encoding, settings)


@pytest.mark.parametrize(
    ("codec", "encoding"), [("tiff", "mono8"), ("jpeg", "16UC1"), ("rvl", "bgr8"), ("png", "rgb8")]
)
def test_unknown_format_is_an_error_with_the_known_ones(codec: str, encoding: str) -> None:
    with pytest.raises(ConfigError, match=rf"'{codec}' of '{encoding}' .*png of mono8"):
        encode(SMALL["mono8"], encoding, CodecSettings(codec))


#: Memory for the first buffer of each encoder, not for the larger one.
LITTLE_MEMORY = """
import numpy as np, resource
from depthai_ros.errors import EncodeError
from depthai_ros.messages.image_codecs import CodecSettings, encode
noise = np.random.default_rng(1).integers(0, 256, (3000, 1000, 3), np.uint8)
for settings in (CodecSettings("jpeg", jpeg_quality=100), CodecSettings("png")):
    encode(noise[:8, :8].copy(), "bgr8", settings)
    pages = int(open("/proc/self/statm").read().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * 4096 + (8 << 20), resource.RLIM_INFINITY))
    try:
        encode(noise, "bgr8", settings)
    except EncodeError as error:
        print(error)
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
"""


def test_lack_of_memory_is_an_error_and_the_process_goes_on() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LITTLE_MEMORY], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        "JPEG of 1000 x 3000 pixels: Insufficient memory (case 0)",
        "PNG of 1000 x 3000 pixels: out of memory",
    ]
    assert done.stderr == ""


# ---- threads, libraries


def test_two_threads_encode_at_once() -> None:
    noise = random_image(np.uint8, (240, 320))
    jobs: list[tuple[Pixels, str, CodecSettings]] = [
        (noise, "mono8", JPEG),
        (np.dstack([noise] * 3), "bgr8", PNG),
        (noise.astype(np.uint16) * 20, "16UC1", RVL),
        (noise.astype(np.float32) / 20, "32FC1", PNG),
    ]
    alone = [data(encode(*job)).tobytes() for job in jobs]
    results: list[list[bytes]] = [[], []]

    def work(found: list[bytes]) -> None:
        for _ in range(10):
            found += [data(encode(*job)).tobytes() for job in jobs]

    threads = [threading.Thread(target=work, args=(found,)) for found in results]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [alone * 10] * 2


def test_missing_library_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [missing_library(name) for name in ("jpeg", "png", "rvl")] == ["", "", ""]
    monkeypatch.setattr(_core, "codecs", lambda: ["rvl"])
    assert "without libjpeg-turbo. Install libjpeg-dev" in missing_library("jpeg")
    assert "without libpng. Install libpng-dev" in missing_library("png")
    assert missing_library("rvl") == ""
