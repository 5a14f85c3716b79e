"""The table of lies of a device: sizes, texts, numbers, order, time, streams, floods.

A running node and a Gen1 program get each row; see liar.Lie for the columns.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any

from hostile_device import layer, text_of
from liar import Lie, Request, Session, detections, report, tracklets
from raw_xlink import CLOSE, CREATE, HEADER, NO_STREAM, PING, RELEASE, RESET, WRITE

from depthai_ros.wire_formats import TRAILER

_MIB = 1 << 20
_DEEP = "[" * 50_000 + "]" * 50_000
_LONG = "1" + "0" * 400


# -- changes of a document


def _with(value: Any, *path: Any) -> Callable[[Any], Any]:
    """The document with another value at this path."""

    def change(document: Any) -> Any:
        holder = document
        for key in path[:-1]:
            holder = holder[key]
        holder[path[-1]] = value
        return document

    return change


def _without(*path: str) -> Callable[[Any], Any]:
    def change(document: Any) -> Any:
        holder = document
        for key in path[:-1]:
            holder = holder[key]
        del holder[path[-1]]
        return document

    return change


def _written(text: str, *path: Any) -> Callable[[Any], Any]:
    """The document with this JSON text, valid or not, at this path."""
    marked = _with("MARK", *path)
    return lambda document: json.dumps(marked(document)).replace('"MARK"', text)


def _always(document: Any) -> Callable[[Any], Any]:
    return lambda _document: document


def _board(name: str, make: Callable[[Any], Any], says: str = "config_d2h") -> Lie:
    return Lie(f"board: {name}", "config_d2h", make, "refused", says)


def _odd_board(name: str, make: Callable[[Any], Any], says: str = "") -> Lie:
    return Lie(f"board: {name}", "config_d2h", make, "ignored", says)


BOARDS = [
    _board("not JSON", _always("{")),
    _board("no byte", _always(b"")),
    _board("a list", _always([])),
    _board("null", _always(None)),
    _board("50 000 brackets", _always(_DEEP)),
    _board("brackets inside", _written(_DEEP[40_000:60_000], "eeprom", "board_name")),
    _board("half of it", lambda document: text_of(document)[:100] + b"\0"),
    _board("only zeros", _always(bytes(1000))),
    _board("more than the window", _always(b" " * 200_000), "its window has"),
    _board("an integer of 400 digits", _written(_LONG, "eeprom", "version")),
    _board("Infinity", _written("Infinity", "eeprom", "left_fov_deg")),
    _board("NaN", _written("NaN", "eeprom", "version")),
    _board("1e999", _written("1e999", "eeprom", "left_to_right_distance_m")),
    _board("no cameras", _without("_cams")),
    _board("cameras are text", _with("yes", "_cams")),
    _board("no eeprom", _without("eeprom")),
    _board("eeprom is a list", _with([1], "eeprom")),
    _board("no version", _without("eeprom", "version")),
    _board("streams are null", _with(None, "_available_streams")),
    _board("no streams", _with([], "_available_streams"), "does not provide stream"),
    _board("streams are text", _with("left", "_available_streams"), "stream"),
    _odd_board("lone surrogate in the id", _with("\ud800", "_mx_id")),
    _odd_board("path as id", _with("../../x", "_mx_id")),
    _odd_board("id of 50 000 letters", _with("x" * 50_000, "_mx_id")),
    _odd_board("another id", _with("14442C10D1LIAR0001", "_mx_id")),
    _odd_board("lone surrogate in the product", _with("\ud800", "eeprom", "board_name")),
    _odd_board("forged lines", _with("x\n[ERROR] [1.0] [oak]: \x1b[31mred", "_version")),
    _odd_board("fov 0", _with(0, "eeprom", "left_fov_deg")),
    _odd_board("fov 1e-300", _with(1e-300, "eeprom", "left_fov_deg")),
    _odd_board("fov -1e9", _with(-1e9, "eeprom", "left_fov_deg")),
    _odd_board("fov is text", _with("wide", "eeprom", "left_fov_deg")),
    _odd_board("fov is null", _with(None, "eeprom", "left_fov_deg")),
    _odd_board("baseline 0", _with(0, "eeprom", "left_to_right_distance_m")),
    _odd_board("homography of zeros", _with([0.0] * 9, "eeprom", "calib_old_H")),
    _odd_board("homography of 3 numbers", _with([1.0] * 3, "eeprom", "calib_old_H")),
    _odd_board("version 5 without matrices", _with(5, "eeprom", "version")),
    _odd_board("version 10^9", _with(10**9, "eeprom", "version")),
    _odd_board("version -10^9", _with(-(10**9), "eeprom", "version")),
]


def _network(name: str, make: Callable[[Any], Any], says: str = "outBlob") -> Lie:
    return Lie(f"network: {name}", "outBlob", make, "refused", says)


def _odd_network(name: str, make: Callable[[Any], Any]) -> Lie:
    return Lie(f"network: {name}", "outBlob", make, "ignored")


def _input(value: Any) -> Callable[[Any], Any]:
    return _with([1, 3, value, 64], "input_layers", 0, "shape", "dimensions")


NETWORKS = [
    _network("not JSON", _always("nothing")),
    _network("a list", _always([1, 2])),
    _network("50 000 brackets", _always(_DEEP)),
    _network("more than the window", _always(b"[" * 200_000), "its window has"),
    _network("height 0", _input(0)),
    _network("height -48", _input(-48)),
    _network("height 1e30", _input(1e30)),
    _network("height is text", _input("tall")),
    _network("height 10^9", _input(10**9)),
    _network("height Infinity", _written("Infinity", "input_layers", 0, "shape", "dimensions", 2)),
    _network("no inputs", _with([], "input_layers")),
    _network("inputs are null", _with(None, "input_layers")),
    _network("10 000 inputs", _always({"input_layers": [{}] * 10_000})),
    _network("no outputs", _without("output_layers")),
    _network("unknown type", _with([layer([1, 1, 1, 1], data_type=99)], "output_layers")),
    _network("strides missing", _with([layer([1, 1, 1, 1], strides=[])], "output_layers")),
    _network("order without W", _with([4, 3, 2, 2], "input_layers", 0, "shape", "order")),
    _network("no metadata", _without("metadata")),
    _network("no resources", _with(0, "metadata", "satisfied_resources"), "ai.shaves"),
    _network("mapping Infinity", _written("Infinity", "metadata", "nn_to_depth", "max_width")),
    _network("mapping of 400 digits", _written(_LONG, "metadata", "nn_to_depth", "offset_x")),
    _odd_network("lone surrogate in a name", _with("\ud800", "output_layers", 0, "name")),
    _odd_network("mapping 0", _with(0, "metadata", "nn_to_depth", "max_width")),
]


# -- packets


def _trailer(**changes: int) -> Callable[[bytes], bytes]:
    """The packet with other values in its trailer."""
    names = ("format", "height", "width", "stride", "bytes_per_pixel", "category", "camera")
    names += ("sequence", "seconds", "nanoseconds", "frame_size", "magic")

    def change(packet: bytes) -> bytes:
        values = dict(zip(names, TRAILER.unpack(packet[-TRAILER.size :]), strict=True))
        return packet[: -TRAILER.size] + TRAILER.pack(*{**values, **changes}.values())

    return change


def _content(data: bytes) -> Callable[[bytes], bytes]:
    """The packet with other frame data, and a trailer that has their size."""
    return lambda packet: _trailer(frame_size=len(data))(data + packet[-TRAILER.size :])


def _bad(stream: str, name: str, make: Callable[[bytes], Any]) -> Lie:
    return Lie(f"{stream}: {name}", stream, make, "rejected")


def _odd(stream: str, name: str, make: Callable[[bytes], Any]) -> Lie:
    return Lie(f"{stream}: {name}", stream, make, "ignored")


FRAMES = [
    _bad("left", "no byte", lambda _packet: b""),
    _bad("left", "1 byte", lambda _packet: b"x"),
    _bad("left", "without trailer", lambda packet: packet[: -TRAILER.size]),
    _bad("left", "only a trailer", lambda packet: packet[-TRAILER.size :]),
    _bad("left", "half of the pixels", _content(bytes(128_000))),
    _bad("left", "2 MiB", lambda packet: bytes(2 * _MIB) + packet),
    _bad("left", "size 2^32 - 1", _trailer(frame_size=(1 << 32) - 1)),
    _bad("left", "size 0", _trailer(frame_size=0)),
    _bad("left", "10^9 nanoseconds", _trailer(nanoseconds=10**9)),
    _bad("left", "2^63 seconds", _trailer(seconds=1 << 63)),
    _odd("left", "time 0", _trailer(seconds=0, nanoseconds=0)),
    _odd("left", "time in 60 years", _trailer(seconds=(1 << 31) - 1)),
    _odd("left", "camera 77", _trailer(camera=77)),
    _odd("left", "sequence -2^31", _trailer(sequence=-(1 << 31))),
    _odd("left", "sequence 2^31 - 1", _trailer(sequence=(1 << 31) - 1)),
    _odd("left", "one sequence number", _trailer(sequence=1)),
    _odd("left", "size 2^32 - 1 px", _trailer(height=(1 << 32) - 1, width=(1 << 32) - 1)),
    _odd("left", "stride 0, format -1", _trailer(stride=0, bytes_per_pixel=0, format=-1)),
    _bad("depth", "an odd number of bytes", _content(bytes(2 * 640 * 400 - 1))),
    _bad("previewout", "half of the pixels", _content(bytes(3 * 48 * 32))),
    _odd("jpegout", "10 MB between the ends", _content(b"\xff\xd8" + bytes(10**7) + b"\xff\xd9")),
    _bad("jpegout", "no JPEG", _content(bytes(1000))),
    _bad("jpegout", "no end", _content(b"\xff\xd8" + bytes(1000))),
    _bad("jpegout", "no byte", _content(b"")),
]

_NAN, _INF = float("nan"), float("inf")

RESULTS = [
    _bad("metaout", "2^31 detections", _content(struct.pack("<I", 1 << 31) + detections()[4:])),
    _bad("metaout", "101 detections", _content(struct.pack("<i", 101) + detections()[4:])),
    _bad("metaout", "half of the block", _content(detections()[:1800])),
    _bad("metaout", "score NaN", _content(detections(confidence=_NAN))),
    _bad("metaout", "score 1e30", _content(detections(confidence=1e30))),
    _bad("metaout", "box Infinity", _content(detections(x_min=-_INF, x_max=_INF))),
    _bad("metaout", "box NaN", _content(detections(y_min=_NAN))),
    _bad("metaout", "box upside down", _content(detections(y_min=0.9, y_max=0.1))),
    _bad("metaout", "position NaN", _content(detections(z_m=_NAN))),
    _odd("metaout", "label 2^32 - 1", _content(detections(label=(1 << 32) - 1))),
    _bad("object_tracker", "21 tracklets", _content(struct.pack("<i", 21) + tracklets()[4:])),
    _bad("object_tracker", "status 9", _content(tracklets(status=9))),
    _bad("object_tracker", "half of the block", _content(tracklets()[:324])),
    _bad("object_tracker", "negative width", _content(tracklets(left=20, right=-20))),
    _bad("object_tracker", "edges at 2^31", _content(tracklets(left=-(1 << 31), right=2**31 - 1))),
    _odd("object_tracker", "id -2^63, label -1", _content(tracklets(id=-(1 << 63), label=-1))),
]


def _json(document: Any) -> Callable[[bytes], bytes]:
    return lambda _packet: text_of(document)


def _temperature(text: str) -> Callable[[bytes], bytes]:
    return _json(json.dumps(report()).replace("45.0", text))


def _logs(*lines: Any) -> Callable[[bytes], bytes]:
    return _json(report(logs=lines))


REPORTS = [
    _bad("meta_d2h", "not JSON", _json("{")),
    _bad("meta_d2h", "no byte", lambda _packet: b""),
    _bad("meta_d2h", "a list", _json([])),
    _bad("meta_d2h", "50 000 brackets", _json(_DEEP)),
    _bad("meta_d2h", "brackets inside", _temperature(_DEEP[40_000:60_000])),
    _bad("meta_d2h", "Infinity", _temperature("Infinity")),
    _bad("meta_d2h", "NaN", _temperature("NaN")),
    _bad("meta_d2h", "1e999", _temperature("1e999")),
    _bad("meta_d2h", "400 digits", _temperature(_LONG)),
    _bad("meta_d2h", "a temperature of 1e30", _temperature("1e30")),
    _bad("meta_d2h", "a temperature is text", _temperature('"hot"')),
    _bad("meta_d2h", "no temperatures", _json({"sensors": 1})),
    _bad("meta_d2h", "log is text", _json(report(logs="x" * 500))),
    _odd("meta_d2h", "not UTF-8", lambda packet: packet.replace(b"css", b"\xff\xfe\xfd")),
    _odd("meta_d2h", "lone surrogate in the log", _logs("\ud800")),
    _odd("meta_d2h", "forged lines", _logs("x\n[ERROR] [1.0] [oak]: forged \x1b[31m\x07")),
    _odd("meta_d2h", "1000 log lines", _logs(*["line"] * 1000)),
    _odd("meta_d2h", "a log line of 900 kB", _logs("x" * 900_000)),
    _odd("meta_d2h", "log of other types", _logs(1, None, [[]], {"a": 1})),
]


# -- requests and answers of the link


def _once(text: str, act: Callable[[Session], None], says: str = "", **more: Any) -> Lie:
    return Lie(f"link: {text}", "session", act, "lost" if says else "ignored", says, **more)


def _header(kind: int, **fields: int) -> Callable[[Session], None]:
    """Send one message with these fields; ids and sizes are not checked."""
    values = {"stream": 0, "size": 0, "flags": 1, **fields}
    rest = tuple(values[key] for key in ("stream", "size", "flags"))
    return lambda session: session._send(HEADER.pack(7, kind, b"", *rest))


def _ping_flood(session: Session) -> None:
    for _ in range(50):
        for _ in range(100):
            session.send(PING)
        session.drain()


def _tiny_packets(stream: str) -> Callable[[Session], None]:
    def act(session: Session) -> None:
        for _ in range(50):
            for _ in range(100):
                session.write(stream, b"x")
            session.drain()

    return act


def _new_streams(count: int, window: int, packets: int, size: int) -> Callable[[Session], None]:
    """Create streams that the host did not ask for, and send packets on them."""

    def act(session: Session) -> None:
        block = bytes(size)
        for index in range(count):
            name = f"gift{index}"
            session.send(CREATE, name, NO_STREAM, window)
            while name not in session.ids and not session.refusals:
                session.step()
            for _ in range(packets if name in session.ids else 0):
                session.write(name, block)
                session.drain()

    return act


def _close_and_open(session: Session) -> None:
    session.send(CLOSE, stream=session.ids["left"])
    session.running.discard("left")
    session.send(CREATE, "left", NO_STREAM, 8 * _MIB)


def _close(*streams: str) -> Callable[[Session], None]:
    def act(session: Session) -> None:
        for stream in streams:
            session.send(CLOSE, stream=session.ids[stream])
            session.running.discard(stream)

    return act


def _closed_packet(session: Session) -> None:
    _close("left")(session)
    session.write("left", b"x")


def _large_packet(session: Session) -> None:
    session.send(WRITE, stream=session.ids["left"], size=100 * _MIB)
    block = bytes(_MIB)
    for _ in range(100):
        session._send(block)


def _half_a_packet(session: Session) -> None:
    session.send(WRITE, stream=session.ids["left"], size=256_056)
    session._send(bytes(1000))
    raise EOFError("hang up in the middle of a packet")


def _many_closes(session: Session) -> None:
    for _ in range(20):
        _close_and_open(session)
        session.drain()


LINKS = [
    _once("5000 pings", _ping_flood),
    _once("5000 tiny packets on left", _tiny_packets("left")),
    _once("5000 tiny packets on meta_d2h", _tiny_packets("meta_d2h")),
    _once("300 new streams", _new_streams(300, 1000, 1, 10), stays=True),
    _once("8 new streams of 64 MiB", _new_streams(8, 64 * _MIB, 16, 4 * _MIB), stays=True),
    _once("a new stream of 4 GiB", _new_streams(1, (1 << 32) - 1, 1, 100 * _MIB), stays=True),
    _once("a stream closed and opened", _close_and_open),
    _once("a stream closed and opened 20 times", _many_closes),
    _once("one stream closed for good", _close("left"), stays=True),
    _once("close of a stream that is not open", _header(CLOSE, stream=4000)),
    _once("release of a stream that is not open", _header(RELEASE, stream=4000, size=5)),
    _once("a second window for a stream", lambda s: s.send(CREATE, "left", 0, 1 << 31) and None),
    _once("an answer to nothing", _header(WRITE + 8)),
    _once("an answer to no create", _header(CREATE + 8, stream=5000)),
    _once("a refusal of nothing", _header(CLOSE + 8, flags=2)),
    _once("a release too many", lambda s: _header(RELEASE, stream=s.ids["host_capture"], size=9)(s),
          "released 9 bytes"),
    _once("a packet on no stream", _header(WRITE, stream=4000, size=10), "which is not open"),
    _once("a packet on a closed stream", _closed_packet, "which it has not opened"),
    _once("a packet of 100 MiB", _large_packet, "its window has"),
    _once("a packet of 4 GiB", _header(WRITE, size=(1 << 32) - 1), "allowed are at most"),
    _once("message type 7", _header(7), "type"),
    _once("message type 99", _header(99), "type"),
    _once("message type 2^32 - 1", _header((1 << 32) - 1), "type"),
    _once("a reset of the host", _header(RESET), stays=True),
    _once("half a packet", _half_a_packet, "bytes read)"),
]  # fmt: skip


def _on(target: str, kind: int = CREATE, **changes: Any) -> Callable[[Session, Request], bool]:
    """Answer this request wrongly."""

    def make(session: Session, request: Request) -> bool:
        if request.kind != kind or target not in (request.name, session._name(request.stream)):
            return False
        session.answer(request, **changes)
        return True

    return make


def _answer(name: str, make: Callable[..., Any], says: str) -> Lie:
    return Lie(f"answer: {name}", "request", make, "refused", says)


ANSWERS = [
    _answer("left is refused", _on("left", flags=2), "refused"),
    _answer("no memory for left", _on("left", flags=0x40), "out of memory"),
    _answer("no flags for left", _on("left", flags=0), "refused"),
    _answer("no window for left", _on("left", size=0), "window of 0 bytes"),
    _answer("no id for left", _on("left", stream=NO_STREAM), "invalid id"),
    _answer("the id of another stream", _on("left", stream=0), "share the id"),
    _answer("the name of another stream", _on("left", name="right"), "the answer names stream"),
    _answer("config_d2h is refused", _on("config_d2h", flags=2), "refused"),
    _answer("the configuration is refused", _on("config_h2d", WRITE, flags=2), "refused"),
    _answer("the network is refused", _on("inBlob", WRITE, flags=2), "refused"),
]

LIES = [*BOARDS, *NETWORKS, *FRAMES, *RESULTS, *REPORTS, *LINKS, *ANSWERS]
