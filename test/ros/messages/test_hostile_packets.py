"""Whatever a packet holds, it is rejected, or its message is one that every subscriber can use."""

from __future__ import annotations

import math
import os
import struct
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from contexts import TOPICS, build_message, make_picture, make_test_context
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from usable import assert_usable

from depthai_ros.errors import DecodeError
from depthai_ros.messages.builders import BUILDERS, Builder
from depthai_ros.messages.context import MessageContext
from depthai_ros.messages.detections import ResultHistory
from depthai_ros.messages.stream_stats import PUBLISHED, Passage, make_stream_stats
from depthai_ros.messages.tensors import RawOutput
from depthai_ros.streams import STREAMS
from depthai_ros.wire_formats import (
    CAMERAS,
    DETECTION,
    DETECTIONS_BYTES,
    FRAME_FORMATS,
    TRACKLET,
    TRACKLETS_BYTES,
)

#: `EXAMPLES=100000` tries that many packets for each topic.
_EXAMPLES = int(os.environ.get("EXAMPLES", "150"))
_IMAGE_EXAMPLES = max(8, _EXAMPLES // 20)  # they are large

# -- what a device may send

_HOSTILE_FLOATS = st.one_of(
    st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0, -0.5, 1.5, math.nan, math.inf, -math.inf, 3e38]),
    st.floats(0.0, 1.0, width=32),
    st.floats(width=32),
)
_HOSTILE_INTS = st.one_of(
    st.integers(-400, 400), st.sampled_from([-(1 << 31), (1 << 31) - 1]), st.integers(-9999, 9999)
)


def _rows(dtype: np.dtype[Any]) -> st.SearchStrategy[np.ndarray]:
    """A few plausible records, some with one hostile field."""
    names = dtype.names or ()
    kinds = {"f": _HOSTILE_FLOATS, "u": st.integers(0, (1 << 32) - 1), "i": _HOSTILE_INTS}
    lies = st.sampled_from(names).flatmap(
        lambda name: st.tuples(st.just(name), kinds[dtype[name].kind])
    )
    #: edges in order, so that most boxes have an area
    tame = np.zeros(1, dtype)
    for number, name in enumerate(names):
        tame[name] = 0.1 * (number + 1) if dtype[name].kind == "f" else number % 3
    if "left" in names:
        tame["left"], tame["top"], tame["right"], tame["bottom"] = 30, 20, 90, 100

    def record(changes: list[tuple[str, Any]]) -> np.ndarray:
        row = tame.copy()
        for name, value in changes:
            row[name] = value
        return row

    rows = st.lists(st.lists(lies, max_size=2).map(record), max_size=3)
    return rows.map(lambda found: np.concatenate([tame[:0], *found]))


def _block(head: str, dtype: np.dtype[Any], size: int) -> st.SearchStrategy[bytes]:
    """A count and its records, of the right size or not; or any bytes."""

    def made(rows: np.ndarray, count: int | None, cut: int) -> bytes:
        if "status" in (dtype.names or ()):
            rows["status"] %= 4  # 3 is none
        block = struct.pack(head, len(rows) if count is None else count) + rows.tobytes()
        return block.ljust(size, b"\0")[: size - cut]

    counts = st.one_of(st.none(), st.none(), st.none(), st.integers(-2, 101))
    cuts = st.sampled_from([0, 0, 0, 0, 1, size])
    return st.one_of(st.builds(made, _rows(dtype), counts, cuts), _bytes(size))


def _bytes(size: int) -> st.SearchStrategy[bytes]:
    """Random bytes, repeated to the size or nearly."""
    sizes = st.sampled_from([size, size, size, size - 1, size + 1, 0])
    return st.builds(
        lambda seed, length: (seed * (length // len(seed) + 1))[:length],
        st.binary(min_size=1, max_size=64),
        sizes,
    )


def _document() -> st.SearchStrategy[bytes]:
    """A report of the device as JSON text."""
    numbers = st.sampled_from(
        ["NaN", "Infinity", "-Infinity", "1e39", "1e308", "1" + "0" * 400, "-300", "41.5", "0"]
        + ['"hot"', '"41"', "null", "[]", "{}", "true"]
    )
    reports = st.dictionaries(st.sampled_from(["css", "mss", "upa0", "upa1", "x"]), numbers)
    texts = reports.map(lambda row: ", ".join(f'"{name}": {text}' for name, text in row.items()))
    logs = st.sampled_from(["", ', "logs": ["line"]', ', "logs": 5', ', "logs": [1e999, {}]'])
    documents = st.builds('{{"sensors": {{"temperature": {{{}}}}}{}}}\0'.format, texts, logs).map(
        str.encode
    )
    return st.one_of(documents, st.binary(max_size=40))


def _jpeg() -> st.SearchStrategy[bytes]:
    return st.builds(
        lambda start, middle, end: start + middle + end,
        st.sampled_from([b"\xff\xd8", b""]),
        st.binary(max_size=80),
        st.sampled_from([b"\xff\xd9", b"\xff\xd9" + bytes(60), b""]),
    )


def _layers() -> st.SearchStrategy[Any]:
    """What outBlob says of the raw outputs."""
    numbers = st.sampled_from([0, 1, 2, 3, 7, 64, 1000, -1, 1 << 31, 1 << 63, True, 1.5, None])
    lists = st.one_of(st.lists(numbers, max_size=5), st.just("12"), st.none())
    small = st.lists(st.integers(1, 4), min_size=1, max_size=4)
    shapes = st.one_of(
        small.map(lambda sizes: {"dimensions": sizes, "strides": [1] * len(sizes)}),
        st.fixed_dictionaries({"dimensions": lists, "strides": lists}),
    )
    codes = st.one_of(st.integers(0, 5), st.sampled_from([[], None, "0", 0.0]))
    orders = st.one_of(st.just([4, 3, 2, 1]), st.sampled_from([None, "NCHW", [[], {}], [9]]))
    names = st.one_of(st.text(max_size=5), st.sampled_from(["\ud800", 5, None, "n" * 300]))
    layer = st.builds(
        lambda name, offset, shape, code, order: {
            "name": name,
            "offset": offset,
            "shape": {**shape, "data_type": code, "order": order},
        },
        names,
        st.one_of(st.integers(0, 40), numbers),
        shapes,
        codes,
        orders,
    )
    return st.lists(st.one_of(layer, st.sampled_from([None, [], {"name": "x"}])), max_size=3)


DETECTIONS = _block("<i", DETECTION, DETECTIONS_BYTES)
#: Layout -> its payloads; pixels and tensors apart.
PAYLOADS = {
    "tensors": DETECTIONS,
    "tracklets": _block("<i4x", TRACKLET, TRACKLETS_BYTES),
    "json": _document(),
    "bitstream": _jpeg(),
}
_BOXES = {"ai.camera_input": "rectified_right"}  # mirrored: every conversion is used


@pytest.fixture(scope="module", params=[{}, _BOXES], ids=["rgb input", "mirrored input"])
def context(request: pytest.FixtureRequest) -> MessageContext:
    return make_test_context({"publish.depth_float": True, **request.param})


def fresh(context: MessageContext, layers: Any = ()) -> MessageContext:
    """The context without what earlier packets left in it."""
    context.health.stream_stats = make_stream_stats(context.health.settings, 0)
    return replace(context, results=ResultHistory(), tensors=RawOutput(layers))


def check(context: MessageContext, topic: str, stream: str, content: Any, numbers: Any) -> None:
    """Build the message of a packet; it is rejected or usable."""
    camera, sequence, latency_ns = numbers
    packet = make_picture(context, stream, content)
    assert packet.metadata is not None
    packet.metadata = replace(packet.metadata, camera=camera, sequence=sequence)
    stats = context.health.stream_stats.get(stream)
    if stats is not None:
        size, received_ns = len(packet.data), packet.received_ns
        for serial, number in enumerate((0, sequence)):
            stats.add(Passage(number, serial, size, received_ns, latency_ns, PUBLISHED))
    try:
        message = build_message(context, topic, packet)
    except DecodeError:
        return
    assert_usable(message)


TRAILERS = st.tuples(
    st.sampled_from([0, 1, 2, len(CAMERAS), (1 << 32) - 1]),
    st.sampled_from([0, 7, -(1 << 31), (1 << 31) - 1]),
    st.sampled_from([0, 20_000_000, -(1 << 31) * 10**9, (1 << 31) * 10**9]),
)
EVERY_TOPIC = [
    (row.name, topic.name)
    for row in STREAMS.values()
    for topic in row.topics
    if isinstance(BUILDERS[topic.message], Builder)
]
IMAGES = [pair for pair in EVERY_TOPIC if STREAMS[pair[0]].layout in FRAME_FORMATS]
RESULTS = [pair for pair in EVERY_TOPIC if pair not in IMAGES and pair[1] != "nn/tensors"]
HOSTILE = settings(
    deadline=None,
    database=None,
    derandomize="EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.parametrize(("stream", "topic"), RESULTS, ids=lambda name: str(name))
@settings(HOSTILE, max_examples=_EXAMPLES)
@given(data=st.data(), numbers=TRAILERS)
def test_result_of_any_packet_is_rejected_or_usable(
    context: MessageContext, stream: str, topic: str, data: st.DataObject, numbers: Any
) -> None:
    used = fresh(context)
    if stream == "object_tracker":  # positions and scores come from the detections of the frame
        check(used, "nn/detections", "metaout", data.draw(DETECTIONS), numbers)
    check(used, topic, stream, data.draw(PAYLOADS[STREAMS[stream].layout]), numbers)


@settings(HOSTILE, max_examples=_EXAMPLES)
@given(layers=_layers(), content=st.binary(min_size=1, max_size=80), numbers=TRAILERS)
def test_tensors_of_any_packet_are_rejected_or_usable(
    layers: Any, content: bytes, numbers: Any
) -> None:
    check(fresh(RAW, layers), "nn/tensors", "metaout", content, numbers)


@pytest.mark.parametrize(("stream", "topic"), IMAGES, ids=lambda name: str(name))
@settings(HOSTILE, max_examples=_IMAGE_EXAMPLES)
@given(data=st.data(), numbers=TRAILERS)
def test_image_of_any_packet_is_rejected_or_usable(
    context: MessageContext, stream: str, topic: str, data: st.DataObject, numbers: Any
) -> None:
    layout = STREAMS[stream].layout
    size = math.prod(context.images.sizes.shape(layout)) * (2 if layout == "depth16" else 1)
    assume(size > 0)
    check(fresh(context), topic, stream, data.draw(_bytes(size)), numbers)


RAW = make_test_context(tensors=[])


def test_every_topic_is_tried() -> None:
    tried = {topic for _, topic in [*RESULTS, *IMAGES]} | {"nn/tensors"}
    still = {name for name, row in TOPICS.items() if not isinstance(BUILDERS[row.message], Builder)}
    assert tried | still == set(TOPICS)
