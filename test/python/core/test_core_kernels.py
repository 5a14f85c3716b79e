"""The kernels against numpy, and the ends of serialised messages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from depthai_ros import _core
from depthai_ros.launch.environment import MEMORY

ROOT = Path(__file__).resolve().parents[3]
RANDOM = np.random.default_rng(1)
SHAPES = [(1, 1), (3, 5), (2, 23), (17, 64), (400, 640)]


def random(shape: tuple[int, ...], dtype: Any) -> np.ndarray[Any, Any]:
    return (RANDOM.random(shape) * (np.iinfo(dtype).max if dtype != np.float32 else 1)).astype(
        dtype
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("source_type", "destination_type"),
    [
        (np.uint8, np.uint16),
        (np.uint8, np.float32),
        (np.uint16, np.uint8),
        (np.uint16, np.float32),
    ],
)
def test_map_table_is_indexing(source_type: Any, destination_type: Any, shape: Any) -> None:
    source = random(shape, source_type)
    table = random((256 if source_type == np.uint8 else 65536,), destination_type)
    destination = np.empty(shape, destination_type)
    _core.map_table(source=source, table=table, destination=destination)
    assert np.array_equal(destination, table[source])


def test_map_table_reads_from_a_buffer() -> None:
    buffer = _core.Buffer(size=1000)
    pixels = np.frombuffer(buffer, np.uint8)
    pixels[:] = np.arange(1000) % 256
    table, found = np.arange(255, -1, -1, dtype=np.uint16), np.empty(1000, np.uint16)
    _core.map_table(source=buffer, table=table, destination=found)
    assert np.array_equal(found, table[pixels])


@pytest.mark.parametrize("limit", [0, 1, 4000, 65534, 65535])
@pytest.mark.parametrize("shape", SHAPES)
def test_zero_above_keeps_what_is_within_the_limit(shape: Any, limit: int) -> None:
    source = random(shape, np.uint16)
    source.flat[0] = limit
    expected = np.where(source > limit, 0, source)
    destination = np.empty_like(source)
    _core.zero_above(source=source, limit=limit, destination=destination)
    assert np.array_equal(destination, expected)
    _core.zero_above(source=source, limit=limit, destination=source)
    assert np.array_equal(source, expected)


@pytest.mark.parametrize("limit", [0, 1, 10_000, 65535])
def test_metres_are_thousandths_of_what_is_measured_and_within_the_limit(limit: int) -> None:
    every_mm = np.arange(65536, dtype=np.uint16)
    measured = (every_mm > 0) & (every_mm <= limit)
    expected = np.where(measured, every_mm / 1000.0, np.nan).astype(np.float32)
    destination = np.empty(65536, np.float32)
    _core.metres(source=every_mm, limit=limit, destination=destination)
    assert np.array_equal(destination, expected, equal_nan=True)


def away_from_opencv(source: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Difference in levels of each colour value of an I420 image to OpenCV's."""
    expected = cv2.cvtColor(source, cv2.COLOR_YUV2BGR_I420)
    destination = np.empty_like(expected)
    _core.bgr_from_i420(source=source, destination=destination)
    return np.abs(destination.astype(np.int16) - expected)


@pytest.mark.parametrize("shape", [(2, 2), (4, 34), (6, 256), (8, 258), (40, 1282)])
def test_colour_from_i420_is_that_of_opencv(shape: tuple[int, int]) -> None:
    height, width = shape
    assert away_from_opencv(random((height * 3 // 2, width), np.uint8)).max() <= 1


def test_colour_from_i420_is_that_of_opencv_for_every_colour() -> None:
    """One brightness per image; each pair of columns has another U, each pair of rows another V."""
    step = np.arange(0, 256, 5, dtype=np.uint8)
    u, v = np.meshgrid(step, step)
    away = []
    for brightness in range(256):
        y = np.full((2 * len(step), 2 * len(step)), brightness, np.uint8)
        planes = np.concatenate([y.ravel(), u.ravel(), v.ravel()])
        away.append(away_from_opencv(planes.reshape(3 * len(step), -1)))
    assert np.max(away) == 1
    assert np.mean(away) < 0.01


def test_last_pixels_of_a_row_are_converted_like_the_first() -> None:
    """They are behind the last full vector."""
    narrow = random((6, 14), np.uint8)
    wide = np.concatenate(
        [
            np.tile(row.reshape(rows, -1), 8)
            for row, rows in ((narrow[:4], 4), (narrow[4], 2), (narrow[5], 2))
        ],
        axis=None,
    ).reshape(6, -1)
    colors = [np.empty((4, width, 3), np.uint8) for width in (14, 8 * 14)]
    for source, destination in zip((narrow, wide), colors, strict=True):
        _core.bgr_from_i420(source=source, destination=destination)
    assert np.array_equal(np.tile(colors[0], (1, 8, 1)), colors[1])


def test_zero_above_refuses_a_limit_that_no_pixel_can_have() -> None:
    for limit in (-1, 65536):
        with pytest.raises(TypeError):
            _core.zero_above(source=u8(4), limit=limit, destination=u8(4))


@pytest.mark.parametrize("shape", SHAPES)
def test_interleave_is_a_transposition(shape: tuple[int, int]) -> None:
    source = random((3, *shape), np.uint8)
    destination = np.empty((*shape, 3), np.uint8)
    _core.interleave(source=source, destination=destination)
    assert np.array_equal(destination, source.transpose(1, 2, 0))


@pytest.mark.parametrize("shape", SHAPES)
def test_mirror_is_a_reversal_of_rows(shape: tuple[int, int]) -> None:
    source = random(shape, np.uint8)
    destination = np.empty_like(source)
    _core.mirror(source=source, destination=destination)
    assert np.array_equal(destination, source[:, ::-1])


@pytest.mark.parametrize("shape", SHAPES)
def test_colorize_is_indexing(shape: tuple[int, int]) -> None:
    source = random(shape, np.uint8)
    table = random((256, 3), np.uint8)
    memory = np.full(source.size * 3 + 8, 0xEE, np.uint8)
    destination = memory[: source.size * 3].reshape(*shape, 3)
    _core.colorize(source=source, table=table, destination=destination)
    assert np.array_equal(destination, table[source])
    assert (memory[source.size * 3 :] == 0xEE).all(), "wrote behind the end"


#: kernel, its source, other arguments; mirrored = the result for reversed rows.
MIRRORED: list[tuple[str, Any, dict[str, Any], Any]] = [
    ("map_table", np.uint8, {"table": np.arange(256, dtype=np.float32)[::-1].copy()}, np.float32),
    ("map_table", np.uint16, {"table": (np.arange(65536) >> 8).astype(np.uint8)}, np.uint8),
    ("zero_above", np.uint16, {"limit": 30_000}, np.uint16),
    ("metres", np.uint16, {"limit": 65535}, np.float32),
    ("colorize", np.uint8, {"table": np.arange(768, dtype=np.uint8).reshape(256, 3)}, np.uint8),
    ("interleave", np.uint8, {}, np.uint8),
]


@pytest.mark.parametrize(("kernel", "dtype", "others", "destination_dtype"), MIRRORED)
@pytest.mark.parametrize("shape", SHAPES)
def test_mirrored_kernel_does_the_same_to_reversed_rows(
    shape: Any, kernel: str, dtype: Any, others: dict[str, Any], destination_dtype: Any
) -> None:
    source = random((3, *shape) if kernel == "interleave" else shape, dtype)
    channels = (3,) if kernel in ("interleave", "colorize") else ()
    plain, mirrored = (np.empty(shape + channels, destination_dtype) for _ in range(2))
    call = getattr(_core, kernel)
    call(source=source[..., ::-1].copy(), destination=plain, **others)
    call(source=source, destination=mirrored, mirrored=True, **others)
    assert np.array_equal(mirrored, plain, equal_nan=True)


def test_mirrored_kernel_refuses_to_work_in_place_or_without_rows() -> None:
    depth = random((4, 6), np.uint16)
    with pytest.raises(ValueError, match="overlap"):
        _core.zero_above(source=depth, limit=1, destination=depth, mirrored=True)
    flat = depth.ravel().copy()
    with pytest.raises(ValueError, match="must be"):
        _core.zero_above(source=flat, limit=1, destination=depth.ravel(), mirrored=True)


def test_elements_that_are_not_aligned_are_refused() -> None:
    depth = u8(4 * 6 * 2 + 1)[1:].view(np.uint16)
    metres, mono = np.empty(depth.shape, np.float32), np.empty(depth.shape, np.uint8)
    for call in (
        lambda: _core.zero_above(source=depth, limit=1, destination=depth),
        lambda: _core.metres(source=depth, limit=1, destination=metres),
        lambda: _core.map_table(source=depth, table=u8(65536), destination=mono),
        lambda: _core.map_table(source=mono, table=np.zeros(256, np.uint16), destination=depth),
    ):
        with pytest.raises(ValueError, match="not aligned"):
            call()


def test_empty_images_are_accepted() -> None:
    empty = np.empty((0, 5), np.uint8)
    _core.mirror(source=empty, destination=np.empty((0, 5), np.uint8))
    _core.colorize(
        source=empty, table=np.zeros((256, 3), np.uint8), destination=np.empty((0, 5, 3), np.uint8)
    )


def u8(*shape: int) -> np.ndarray[Any, Any]:
    return np.zeros(shape, np.uint8)


def read_only(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    array.flags.writeable = False
    return array


SHARED = u8(1024)

TABLE = u8(1024).view("f4")
COLORS = u8(256, 3)

#: kernel, source, table, destination
BAD_ARRAYS: list[tuple[str, Any, Any, Any]] = [
    ("map_table", u8(4), u8(256), u8(4)),
    ("map_table", u8(8).view("u2"), u8(1 << 17).view("u2"), u8(8).view("u2")),
    ("map_table", u8(4), u8(1020).view("f4"), u8(16).view("f4")),
    ("map_table", u8(4), TABLE, u8(20).view("f4")),
    ("map_table", u8(4), u8(512).view("u2"), u8(16).view("f4")),
    ("map_table", u8(4).view("i1"), TABLE, u8(16).view("f4")),
    ("map_table", u8(8).view("f8"), TABLE, u8(4).view("f4")),
    ("map_table", u8(8).view(">u2"), u8(65536), u8(4)),
    ("map_table", u8(8)[::2], TABLE, u8(16).view("f4")),
    ("map_table", SHARED[:100], TABLE, SHARED[:400].view("f4")),
    ("map_table", u8(100), SHARED.view("f4"), SHARED[:400].view("f4")),
    ("map_table", u8(4), TABLE, read_only(u8(16).view("f4"))),
    ("map_table", u8(8).view("u2"), u8(65536), bytes(4)),
    ("map_table", "text", TABLE, u8(16).view("f4")),
    ("zero_above", u8(8), None, u8(8)),
    ("zero_above", u8(8).view("u2"), None, u8(6).view("u2")),
    ("zero_above", u8(8).view("i2"), None, u8(8).view("i2")),
    ("zero_above", SHARED[:500].view("u2"), None, SHARED[2:502].view("u2")),
    ("metres", u8(8), None, u8(32).view("f4")),
    ("metres", u8(8).view("u2"), None, u8(12).view("f4")),
    ("metres", u8(8).view("u2"), None, u8(16).view("i4")),
    ("metres", SHARED[:8].view("u2"), None, SHARED[:16].view("f4")),
    ("bgr_from_i420", u8(6, 4), None, u8(4, 4, 4)),
    ("bgr_from_i420", u8(6, 4), None, u8(2, 8, 3)),
    ("bgr_from_i420", u8(24), None, u8(4, 4, 3)),
    ("bgr_from_i420", u8(9, 3), None, u8(6, 3, 3)),
    ("bgr_from_i420", u8(4, 4), None, u8(3, 4, 3)),
    ("bgr_from_i420", SHARED[:24].reshape(6, 4), None, SHARED[:48].reshape(4, 4, 3)),
    ("interleave", u8(4, 5, 6), None, u8(5, 6, 4)),
    ("interleave", u8(3, 5, 6), None, u8(6, 5, 3)),
    ("interleave", u8(90), None, u8(5, 6, 3)),
    ("interleave", u8(3, 5, 6).astype("u2"), None, u8(5, 6, 3)),
    ("mirror", u8(5, 6), None, u8(6, 5)),
    ("mirror", u8(5, 6, 1), None, u8(5, 6, 1)),
    ("mirror", u8(30), None, u8(30)),
    ("mirror", u8(5, 8).view("u2"), None, u8(5, 8).view("u2")),
    ("mirror", SHARED.reshape(32, 32), None, SHARED.reshape(32, 32)),
    ("colorize", u8(5, 6), u8(256, 4), u8(5, 6, 3)),
    ("colorize", u8(5, 6), u8(768), u8(5, 6, 3)),
    ("colorize", u8(5, 6), COLORS, u8(5, 6, 4)),
    ("colorize", u8(30), COLORS, u8(30, 3)),
]


@pytest.mark.parametrize(("kernel", "source", "table", "destination"), BAD_ARRAYS)
def test_kernel_refuses_arrays_of_another_shape_or_type(
    kernel: str, source: Any, table: Any, destination: Any
) -> None:
    tables: dict[str, Any] = {} if table is None else {"table": table}
    if kernel in ("zero_above", "metres"):
        tables = {"limit": 1}
    with pytest.raises((ValueError, TypeError, BufferError)):
        getattr(_core, kernel)(source=source, destination=destination, **tables)


# ------------------------------------------------------------------------------------ buffers


def test_buffer_is_writable_bytes_whose_views_keep_it_alive() -> None:
    view = memoryview(_core.Buffer(size=100))
    assert (view.format, view.itemsize, view.shape, view.readonly) == ("B", 1, (100,), False)
    view[:] = bytes(range(100))
    again = _core.Buffer(size=100)  # other memory, since a view still has the first
    np.frombuffer(again, np.uint8)[:] = 0xFF
    assert view.tobytes() == bytes(range(100))


def test_buffer_has_the_promised_room() -> None:
    assert _core.Buffer.HEADROOM >= 256
    assert _core.Buffer.TAILROOM >= 128
    assert len(_core.Buffer(size=0)) == 0
    with pytest.raises(MemoryError):
        _core.Buffer(size=1 << 62)


def test_serialised_message_is_prefix_payload_suffix() -> None:
    buffer = _core.Buffer(size=8)
    np.frombuffer(buffer, np.uint8)[:] = range(8)
    assert _core.serialized(buffer=buffer, size=8, prefix=b"") == bytes(range(8))
    assert (
        _core.serialized(buffer=buffer, size=3, prefix=b"head", suffix=b"end") == b"head\0\1\2end"
    )
    assert bytes(buffer) == bytes(range(8))


BAD_ENDS: list[tuple[int, int, int]] = [(9, 0, 0), (8, 513, 0), (8, 0, 129), (0, 0, 137)]


@pytest.mark.parametrize(("size", "prefix", "suffix"), BAD_ENDS)
def test_ends_that_do_not_fit_are_refused(size: int, prefix: int, suffix: int) -> None:
    buffer = _core.Buffer(size=8)
    ends = {"prefix": bytes(prefix), "suffix": bytes(suffix)}
    with pytest.raises(ValueError, match="at most"):
        _core.serialized(buffer=buffer, size=size, **ends)
    with pytest.raises(ValueError, match="at most"):
        _core.publish_serialized(publisher=0, buffer=buffer, size=size, **ends)


def test_buffers_are_counted_while_they_exist() -> None:
    before = _core.buffer_counters()
    kept = [_core.Buffer(size=70_001 + 10_000 * number) for number in range(3)]
    during = _core.buffer_counters()
    assert during["in_use"] == before["in_use"] + 3
    assert during["in_use_bytes"] >= before["in_use_bytes"] + sum(map(len, kept))
    assert during["allocated"] <= before["allocated"] + 3
    del kept
    after = _core.buffer_counters()
    del before["allocated"]
    assert before.items() <= after.items()


def test_large_buffers_can_be_kept() -> None:
    _core.keep_large_buffers()


def test_buffers_are_kept_as_in_processes_that_are_started() -> None:
    source = (ROOT / "src" / "python" / "python_module.cpp").read_text(encoding="utf-8")
    figures = re.search(r"kLargest = (\d+) << (\d+), .*kSpare = (\d+) << (\d+);", source)
    assert figures
    largest, largest_bits, spare, spare_bits = map(int, figures.groups())
    assert MEMORY["MALLOC_MMAP_THRESHOLD_"] == str(largest << largest_bits)
    assert MEMORY["MALLOC_TOP_PAD_"] == str(spare << spare_bits)
    assert int(MEMORY["MALLOC_TRIM_THRESHOLD_"]) > 2**31 - 1  # as mallopt's INT_MAX: never
    assert f"M_ARENA_MAX, {MEMORY['MALLOC_ARENA_MAX']})" in source
    assert "M_TRIM_THRESHOLD, INT_MAX)" in source
