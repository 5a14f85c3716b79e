"""Access units from packets of H.264 and H.265, decoded with PyAV; any bytes are safe."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from videos import decoded, encoded, picture, psnr_db

from depthai_ros import _core
from depthai_ros.errors import DecodeError
from depthai_ros.messages.access_units import H264, H265, AccessUnit, AccessUnits, Codec

MOST_BYTES = 1 << 20
COUNT, EVERY = 9, 3
START = b"\0\0\0\1"
JPEG = b"\xff\xd8\xff\xe0"
CODECS = pytest.mark.parametrize("codec", [H264, H265], ids=lambda codec: codec.name)


@cache
def stream(codec: Codec, parameters: str = "") -> list[bytes]:
    return encoded(codec.libav, COUNT, EVERY, parameters)


def nals(packet: bytes) -> list[bytes]:
    """The NAL units of a packet, with start codes of four bytes."""
    return [START + part for part in re.split(rb"\x00*\x00\x00\x01", packet)[1:]]


def kind(codec: Codec, nal: bytes) -> int:
    return codec.kind(nal[4:6])


def without(codec: Codec, packet: bytes, kinds: Iterable[int]) -> bytes:
    return b"".join(nal for nal in nals(packet) if kind(codec, nal) not in kinds)


class Feeder:
    """Gives packets to the parser, as the packet loop does."""

    def __init__(self, codec: Codec) -> None:
        self.units = AccessUnits(codec, MOST_BYTES)
        self.number = 0

    def add(self, content: bytes) -> tuple[AccessUnit, ...]:
        buffer = _core.Buffer(size=len(content))
        data = np.frombuffer(memoryview(buffer), np.uint8)
        data[:] = np.frombuffer(content, np.uint8)
        self.number += 1
        return self.units.add(data, buffer, 1000 * self.number, self.number)


def all_of(codec: Codec, packets: Sequence[bytes]) -> list[AccessUnit]:
    feeder = Feeder(codec)
    return [unit for packet in packets for unit in feeder.add(packet)]


def content(unit: AccessUnit) -> bytes:
    return bytes(memoryview(unit.buffer))[: unit.size]


def assert_shown(codec: Codec, units: Sequence[AccessUnit], first: int = 0) -> None:
    """A decoder shows picture(first) and all that follow."""
    images = decoded(codec.libav, map(content, units))
    assert len(images) == COUNT - first
    for number, image in enumerate(images, start=first):
        assert psnr_db(image, picture(number)) > 35, number


# -- as the device sends it


@CODECS
def test_packet_with_one_picture_is_passed_on_without_a_copy(codec: Codec) -> None:
    feeder = Feeder(codec)
    for number, packet in enumerate(stream(codec)):
        (unit,) = feeder.add(packet)
        assert content(unit) == packet
        assert unit.is_key == (number % EVERY == 0)
        assert unit.stamp_ns == 1000 * (number + 1)


@CODECS
def test_decoder_starts_at_each_key_frame(codec: Codec) -> None:
    units = all_of(codec, stream(codec))
    keys = [number for number, unit in enumerate(units) if unit.is_key]
    assert keys == list(range(0, COUNT, EVERY))
    for key in keys:
        assert_shown(codec, units[key:], key)


@CODECS
def test_start_codes_of_three_bytes_are_the_same(codec: Codec) -> None:
    short = [packet.replace(START, START[1:]) for packet in stream(codec)]
    units = all_of(codec, short)
    assert [unit.is_key for unit in units] == [n % EVERY == 0 for n in range(COUNT)]
    assert_shown(codec, units)


@CODECS
def test_delimiters_and_messages_stay_where_they_are(codec: Codec) -> None:
    packets = stream(codec, ":aud=1")
    assert kind(codec, nals(packets[1])[0]) == codec.delimiter
    units = all_of(codec, packets)
    assert [content(unit) for unit in units] == packets


# -- parameter sets


@CODECS
def test_key_frame_gets_the_parameter_sets_that_it_lacks(codec: Codec) -> None:
    first, *others = stream(codec, ":aud=1")
    units = all_of(codec, [first, *(without(codec, packet, codec.sets) for packet in others)])
    for key in range(EVERY, COUNT, EVERY):
        kinds = [kind(codec, nal) for nal in nals(content(units[key]))]
        assert kinds[: 1 + len(codec.sets)] == [codec.delimiter, *codec.sets]
        assert_shown(codec, units[key:], key)


@CODECS
@pytest.mark.parametrize("missing", [0, -1])
def test_single_missing_parameter_set_is_put_in_its_place(codec: Codec, missing: int) -> None:
    first, *others = stream(codec)
    lost = list(codec.sets)[missing]
    units = all_of(codec, [first, *(without(codec, packet, {lost}) for packet in others)])
    kinds = [kind(codec, nal) for nal in nals(content(units[EVERY]))]
    assert kinds[: len(codec.sets)] == list(codec.sets)
    assert_shown(codec, units[EVERY:], EVERY)


@CODECS
def test_parameter_sets_in_a_packet_of_their_own_come_with_the_next_picture(codec: Codec) -> None:
    feeder, units = Feeder(codec), []
    for packet in stream(codec):
        sets = [nal for nal in nals(packet) if kind(codec, nal) in codec.sets]
        if sets:
            assert feeder.add(b"".join(sets)) == ()
        (unit,) = feeder.add(without(codec, packet, codec.sets))
        assert unit.stamp_ns == 1000 * feeder.number
        units.append(unit)
    assert_shown(codec, units)
    assert_shown(codec, units[EVERY:], EVERY)


@CODECS
def test_new_parameter_sets_replace_those_of_the_same_number(codec: Codec) -> None:
    feeder = Feeder(codec)
    for _ in range(100):
        for packet in stream(codec)[::EVERY]:
            feeder.add(packet)
    assert len(feeder.units._sets) == len(codec.sets)


# -- pictures and packets that differ


def halves(codec: Codec, packet: bytes) -> tuple[bytes, bytes]:
    """A packet cut before its last slice."""
    *first, last = nals(packet)
    assert kind(codec, last) in codec.slices
    return b"".join(first), last


@CODECS
def test_packets_of_one_picture_are_joined_from_the_second_picture_on(codec: Codec) -> None:
    feeder, units = Feeder(codec), []
    first, *others = stream(codec)
    begin, end = halves(codec, first)
    (cut,) = feeder.add(begin)  # nothing shows yet that there is more
    assert cut.size == len(begin)
    with pytest.raises(DecodeError, match="begins in the middle of a frame"):
        feeder.add(end)
    for packet in others:
        for part in halves(codec, packet):
            units += feeder.add(part)
    units += feeder.add(first)  # which shows that the last one is complete
    keys = [number for number, unit in enumerate(units, start=1) if unit.is_key]
    assert keys == list(range(EVERY, COUNT, EVERY))
    stamps = [unit.stamp_ns for unit in units]
    assert stamps == [1000 * number for number in range(3, 3 + 2 * len(others), 2)]
    assert_shown(codec, units[EVERY - 1 :], EVERY)


@CODECS
def test_two_pictures_in_one_packet_are_two_units(codec: Codec) -> None:
    packets = stream(codec)
    units = all_of(codec, [a + b for a, b in zip(packets[:-1:2], packets[1::2], strict=True)])
    assert [unit.is_key for unit in units] == [n % EVERY == 0 for n in range(COUNT - 1)]
    assert len(decoded(codec.libav, map(content, units))) == COUNT - 1


@CODECS
def test_lost_packet_ends_the_wait_for_the_rest_of_a_picture(codec: Codec) -> None:
    feeder, packets = Feeder(codec), stream(codec)
    for part in halves(codec, packets[0]):
        try:
            feeder.add(part)
        except DecodeError:
            continue
    begin, end = halves(codec, packets[1])
    assert feeder.add(begin) == ()
    feeder.number += 1
    with pytest.raises(DecodeError, match="begins in the middle of a frame"):
        feeder.add(end)
    assert feeder.add(packets[3]) == ()
    (unit,) = feeder.add(packets[4])
    assert content(unit).count(b"\0\0\1") == packets[3].count(b"\0\0\1")


# -- bytes of anything

SPS, PPS, IDR = b"\x67\x64\0\x1f\xac", b"\x68\xee\x3c\x80", b"\x65\x88\x84\0\x10"
#: codec, packet, part of the error
LIES = {
    "nothing": (H264, b"", "0 bytes begin with "),
    "JPEG": (H264, JPEG, r"begin with ff d8 ff e0; H.264 in the format of Annex B begins with 00"),
    "lengths": (H264, b"\0\0\0\5" + IDR, "begin with 00 00 00 05"),
    "late": (H265, b"\1" + START + b"\x40\1", "begin with 01 00 00 00; H.265"),
    "zeros": (H264, bytes(1000), "begin with 00 00 00 00"),
    "many zeros": (H264, START + IDR + bytes(1 << 18), r"13107\d pairs of zero bytes, at most"),
    "many units": (H264, 1025 * (START + b"\x09"), "1025 NAL units, at most 1024"),
    "empty unit": (H264, START, "a NAL unit begins with nothing, which is no header of H.264"),
    "forbidden bit": (H264, START + b"\xe5\x88", "begins with e5, which is no header of H.264"),
    "H.264 as H.265": (H265, START + SPS, "begins with 67 64, which is no header of H.265"),
    "H.265 as H.264": (H264, START + b"\x42\1", "begins with 42, which is no header of H.264"),
    "half a header": (H265, START + b"\x40", "begins with 40, which is no header of H.265"),
    "no sets": (H264, START + IDR, "without its parameter sets"),
    "no PPS": (H264, START + SPS + START + IDR, "without its parameter sets"),
    "huge set": (H264, START + SPS + b"\1" * 5000, "has 5008 bytes, at most 4096"),
    "no number": (H264, START + b"\x68", "type 8 has no number from 0 to 255"),
    "large number": (H264, START + b"\x68\0\x40\x80", "type 8 has no number from 0 to 255"),
    "no number, H.265": (H265, START + b"\x42\1\1", "type 33 has no number from 0 to 255"),
    "middle": (H264, START + b"\x41\x08", "begins in the middle of a frame"),
}


@pytest.mark.parametrize("name", LIES)
def test_bytes_that_are_no_video_are_refused_and_the_next_picture_is_not(name: str) -> None:
    codec, packet, words = LIES[name]
    feeder = Feeder(codec)
    with pytest.raises(DecodeError, match=words):
        feeder.add(packet)
    units = [unit for good in stream(codec) for unit in feeder.add(good)]
    assert sum(unit.is_key for unit in units) >= COUNT // EVERY - 1


def test_what_waits_for_a_picture_is_bounded() -> None:
    feeder, message = Feeder(H264), START + b"\x06" + b"\xff" * 30_000
    assert feeder.add(message) == feeder.add(message) == ()
    with pytest.raises(DecodeError, match="90012 bytes before a frame, at most 65536"):
        feeder.add(message)
    assert feeder.add(message) == ()


def test_picture_of_endless_packets_is_bounded() -> None:
    feeder, packets = Feeder(H264), stream(H264)
    for part in halves(H264, packets[0]):
        try:
            feeder.add(part)
        except DecodeError:
            feeder.add(packets[0])
    more = START + b"\x41\x08" + b"\xff" * (MOST_BYTES // 3)
    assert feeder.add(more) == feeder.add(more) == ()
    with pytest.raises(DecodeError, match=f"at most {MOST_BYTES}"):
        feeder.add(more)


NALS = st.builds(
    lambda start, head, rest: start + head + rest,
    st.sampled_from([START, START[1:], b"\0", b""]),
    st.binary(max_size=2)
    | st.sampled_from([SPS, PPS, IDR, b"\x41\x9a", b"\x40\1\x0c", b"\x42\1\1", b"\x44\1\xc1"]),
    st.binary(max_size=8) | st.just(bytes(12)),
)
PACKETS = st.lists(st.lists(NALS, max_size=5).map(b"".join), max_size=8)


@CODECS
@settings(max_examples=150, deadline=None)
@given(packets=PACKETS)
def test_any_packets_give_units_or_an_error(codec: Codec, packets: list[bytes]) -> None:
    feeder = Feeder(codec)
    received = 0
    for packet in packets:
        received += len(packet)
        try:
            units = feeder.add(packet)
        except DecodeError:
            continue
        for unit in units:
            assert START[1:] in content(unit)
            kinds = {kind(codec, nal) for nal in nals(content(unit))}
            assert not unit.is_key or codec.sets.keys() <= kinds
            # Start codes have one byte more, and the parameter sets are there once more.
            assert unit.size <= 4 * received
