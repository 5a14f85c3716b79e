"""Puts the packets of an H.264 or H.265 stream together to whole access units.

An access unit is what a decoder needs for one frame: NAL units, each behind a start code (the
format of Annex B). A key frame gets the parameter sets that it lacks, so that a decoder can start
at any of them.

As far as public sources say, a device sends one access unit in each packet: it is then passed on
without a copy. If a packet continues the frame of the packet before it, all later frames wait
for the packet after them, because only that one shows that a frame is complete.

Source  ITU-T H.264, sections 7.3.1 and 7.4.1.2, table 7-1, annex B
        ITU-T H.265, sections 7.3.1.2 and 7.4.2.4, table 7-1, annex B
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import _core
from ..errors import DecodeError

#: Bounds of what a device can make us keep and look at; real streams stay far below.
_MAX_NALS = 1024
_MAX_ZERO_PAIRS = 1 << 16
_MAX_SET_BYTES = 4096
_MAX_SET_ID = 255
_MAX_WAITING_BYTES = 64 << 10
_MOST_ZERO_BITS = 8  # of the number of a parameter set, which is at most 255


@dataclass(frozen=True, slots=True, eq=False)
class Codec:
    """What differs between the codecs; numbers are types of NAL units.

    `sets` are the parameter sets that a key frame needs, in their order, each with the bits between
    its header and its number. After the slices of a frame one of `openers` begins the next one.
    """

    name: str
    video_format: str  # CompressedVideo.format
    libav: str  # its name in libav, with which FFMPEGPacket.encoding begins
    header_bytes: int
    known: frozenset[int]
    slices: frozenset[int]
    key_slices: frozenset[int]
    sets: dict[int, int]
    openers: frozenset[int]
    delimiter: int

    def kind(self, header: bytes) -> int:
        """Type of the NAL unit with this header; -1 if no header looks so."""
        if len(header) < self.header_bytes or header[0] & 0x80:
            return -1
        if self.header_bytes == 1:
            return header[0] & 0x1F
        return header[0] >> 1 if header[1] & 0x07 else -1

    def rank(self, kind: int) -> int:
        """Place in an access unit: delimiter, parameter sets, all others."""
        if kind == self.delimiter:
            return 0
        return 1 + (list(self.sets).index(kind) if kind in self.sets else len(self.sets))


H264 = Codec(
    name="H.264",
    video_format="h264",
    libav="h264",
    header_bytes=1,
    known=frozenset({1, *range(5, 22)}),
    slices=frozenset({1, 5}),
    key_slices=frozenset({5}),
    sets={7: 24, 8: 0},
    openers=frozenset({6, 7, 8, 9, *range(14, 19)}),
    delimiter=9,
)
H265 = Codec(
    name="H.265",
    video_format="h265",
    libav="hevc",
    header_bytes=2,
    known=frozenset({*range(10), *range(16, 22), *range(32, 41)}),
    slices=frozenset({*range(10), *range(16, 22)}),
    key_slices=frozenset(range(16, 22)),
    sets={32: 0, 33: 104, 34: 0},
    openers=frozenset({32, 33, 34, 35, 39}),
    delimiter=35,
)
#: video_config.profile -> its codec; others are no video but single images.
CODECS = {"h264_baseline": H264, "h264_main": H264, "h264_high": H264, "h265_main": H265}


class AccessUnit(NamedTuple):
    """One frame for a decoder: `size` bytes at the start of `buffer`, the stamp of its frame."""

    buffer: _core.Buffer
    size: int
    is_key: bool
    stamp_ns: int


class _Nal(NamedTuple):
    """One NAL unit with its start code of three bytes; the zeros of the next one may follow."""

    kind: int
    data: NDArray[np.uint8]
    is_first_slice: bool


@dataclass(slots=True)
class _CodedFrame:
    """The NAL units of a frame that may not be complete."""

    nals: list[_Nal]
    stamp_ns: int

    @property
    def size(self) -> int:
        return sum(len(nal.data) + 1 for nal in self.nals)


class AccessUnits:
    """The access units of one stream; keeps what a later packet needs."""

    def __init__(self, codec: Codec, most_bytes: int) -> None:
        """`most_bytes` is the size of the largest frame."""
        self.codec = codec
        self._most_bytes = most_bytes
        self._sets: dict[tuple[int, int], _Nal] = {}  # by type and number
        self._waiting: list[_Nal] = []  # parameter sets and messages before a frame
        self._open: _CodedFrame | None = None
        self._has_split_frames = False
        self._serial = -1

    def add(
        self, data: NDArray[np.uint8], buffer: _core.Buffer, stamp_ns: int, serial: int
    ) -> tuple[AccessUnit, ...]:
        """The access units that are complete with this packet, mostly one.

        `data` is at the start of `buffer`; `serial` is the number of the packet on the link.
        Raises  DecodeError if these bytes are not of this codec, or nobody could decode them
        """
        if serial != self._serial + 1:  # what came between is lost
            self._forget()
        self._serial = serial
        try:
            nals = self._read(data)
            return tuple(self._units(nals, data, buffer, stamp_ns))
        except DecodeError:
            self._forget()
            raise

    def _forget(self) -> None:
        self._open, self._waiting = None, []

    def _read(self, data: NDArray[np.uint8]) -> list[_Nal]:
        """The NAL units of a packet. Raises DecodeError."""
        starts = _start_codes(data)
        if not starts or data[: starts[0]].any():
            raise DecodeError(
                f"{len(data)} bytes begin with {bytes(data[:4]).hex(' ')}; {self.codec.name} in "
                "the format of Annex B begins with 00 00 01 or 00 00 00 01"
            )
        header, nals = self.codec.header_bytes, []
        for start, end in zip(starts, [*starts[1:], len(data)], strict=True):
            head = bytes(data[start + 3 : min(end, start + 4 + header)])
            kind = self.codec.kind(head)
            if kind not in self.codec.known:
                raise DecodeError(
                    f"a NAL unit begins with {head[:header].hex(' ') or 'nothing'}, which is no "
                    f"header of {self.codec.name}: video_config.profile may differ from what the "
                    "device sends"
                )
            # H.264: first_mb_in_slice 0 is one bit; H.265: first_slice_segment_in_pic_flag
            first = kind in self.codec.slices and bool(head[header:]) and head[header] >= 0x80
            nals.append(_Nal(kind, data[start:end], first))
        return nals

    def _units(
        self, nals: Sequence[_Nal], data: NDArray[np.uint8], buffer: _core.Buffer, stamp_ns: int
    ) -> Iterator[AccessUnit]:
        groups = self._groups(nals)
        for group in groups:
            self._keep_sets(group)
            slices = [nal for nal in group if nal.kind in self.codec.slices]
            if not slices:
                self._wait_with(group)
            elif not slices[0].is_first_slice:
                self._continue(group)
            else:
                if self._open is not None:
                    yield self._joined(self._open)
                frame = _CodedFrame([*self._waiting, *group], stamp_ns)
                is_whole = len(groups) == 1 and not self._waiting
                self._open, self._waiting = None, []
                if self._has_split_frames:
                    self._open = frame
                elif is_whole and not self._lacks(frame):
                    yield AccessUnit(buffer, len(data), self._is_key(frame), stamp_ns)
                else:
                    yield self._joined(frame)

    def _groups(self, nals: Sequence[_Nal]) -> list[list[_Nal]]:
        """The NAL units by frame; the last group may have none of its slices yet."""
        groups: list[list[_Nal]] = [[]]
        has_slices = False
        for nal in nals:
            if has_slices and (nal.is_first_slice or nal.kind in self.codec.openers):
                groups.append([])
                has_slices = False
            groups[-1].append(nal)
            has_slices = has_slices or nal.kind in self.codec.slices
        return groups

    def _keep_sets(self, nals: Sequence[_Nal]) -> None:
        for nal in nals:
            if nal.kind in self.codec.sets:
                content = bytes(nal.data).rstrip(b"\0")
                if len(content) > _MAX_SET_BYTES:
                    raise DecodeError(
                        f"a parameter set has {len(content)} bytes, at most {_MAX_SET_BYTES}"
                    )
                kept = nal._replace(data=np.frombuffer(content, np.uint8))
                self._sets[nal.kind, _set_id(content, self.codec, nal.kind)] = kept

    def _wait_with(self, nals: Sequence[_Nal]) -> None:
        self._waiting += nals
        size = sum(len(nal.data) for nal in self._waiting)
        if size > _MAX_WAITING_BYTES:
            raise DecodeError(f"{size} bytes before a frame, at most {_MAX_WAITING_BYTES}")

    def _continue(self, nals: Sequence[_Nal]) -> None:
        """More slices of the frame that an earlier packet began."""
        if self._open is None:
            self._has_split_frames = True
            raise DecodeError(
                "a packet begins in the middle of a frame, whose beginning is lost or already "
                "published; from the next frame on, the packets of a frame are joined"
            )
        self._open.nals += [*self._waiting, *nals]
        self._waiting = []
        if self._open.size > self._most_bytes:
            raise DecodeError(
                f"a frame has {self._open.size} bytes so far, at most {self._most_bytes}"
            )

    def _is_key(self, frame: _CodedFrame) -> bool:
        return any(nal.kind in self.codec.key_slices for nal in frame.nals)

    def _lacks(self, frame: _CodedFrame) -> set[int]:
        """Types of the parameter sets that a key frame does not bring along."""
        if not self._is_key(frame):
            return set()
        return self.codec.sets.keys() - {nal.kind for nal in frame.nals}

    def _joined(self, frame: _CodedFrame) -> AccessUnit:
        """A copy in one buffer, with every parameter set. Raises DecodeError if one is unknown."""
        lacking = self._lacks(frame)
        kept = [nal for (kind, _), nal in sorted(self._sets.items()) if kind in lacking]
        if lacking - {nal.kind for nal in kept}:
            raise DecodeError(
                f"a key frame of {self.codec.name} without its parameter sets, which no earlier "
                "packet had either: nothing can decode it"
            )
        nals = sorted([*frame.nals, *kept], key=lambda nal: self.codec.rank(nal.kind))
        size = sum(len(nal.data) + 1 for nal in nals)
        buffer, at = _core.Buffer(size=size), 0
        joined = np.frombuffer(memoryview(buffer), np.uint8)
        for nal in nals:  # with start codes of four bytes, which some of them need
            joined[at] = 0
            joined[at + 1 : at + 1 + len(nal.data)] = nal.data
            at += 1 + len(nal.data)
        return AccessUnit(buffer, size, self._is_key(frame), frame.stamp_ns)


def _start_codes(data: NDArray[np.uint8]) -> list[int]:
    """Where 00 00 01 begins.

    Pairs of bytes at even places are searched: each start code has 00 00 or 00 01 at one.
    Raises  DecodeError if there are more than any stream has
    """
    pairs = data[: len(data) & ~1].view("<u2")
    near: NDArray[Any] = 2 * np.flatnonzero((pairs == 0) | (pairs == 0x0100))
    if len(near) > _MAX_ZERO_PAIRS:
        raise DecodeError(f"{len(near)} pairs of zero bytes, at most {_MAX_ZERO_PAIRS}")
    at = near - (data[near + 1] == 1)
    at = at[(at >= 0) & (at + 2 < len(data))]
    starts: list[int] = at[(data[at] | data[at + 1] | (data[at + 2] ^ 1)) == 0].tolist()
    if len(starts) > _MAX_NALS:
        raise DecodeError(f"a packet has {len(starts)} NAL units, at most {_MAX_NALS}")
    return starts


def _set_id(content: bytes, codec: Codec, kind: int) -> int:
    """The number of a parameter set. Raises DecodeError.

    That of a VPS has four bits, all others are Exp-Golomb codes. Of the SPS of H.265 that have
    sub-layers, only the last one is kept.
    """
    payload = content[3 + codec.header_bytes : 64].replace(b"\0\0\3", b"\0\0")
    bits = "".join(f"{byte:08b}" for byte in payload)
    if kind == 32:
        return int(bits[:4] or "0", 2)
    if kind == 33 and int(bits[4:7] or "0", 2):
        return 0
    code = bits[codec.sets[kind] :]
    zeros = len(code) - len(code.lstrip("0"))
    number = code[zeros : 2 * zeros + 1]
    if zeros > _MOST_ZERO_BITS or len(number) <= zeros or int(number, 2) - 1 > _MAX_SET_ID:
        raise DecodeError(f"parameter set of type {kind} has no number from 0 to {_MAX_SET_ID}")
    return int(number, 2) - 1
