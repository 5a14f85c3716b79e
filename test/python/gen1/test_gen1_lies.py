"""A device that lies to a Gen1 program: no exception but the documented ones, and packets again.

The lies about packets and the link share one `Device` while none of them ends its session.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from gen1_devices import DETECTION, until
from liar import FPS, STREAMS_SENT, Liar, Lie, liar_at
from lies import LIES

from depthai_ros import depthai

CONFIG = {
    "streams": list(STREAMS_SENT),
    "ai": {**DETECTION, "calc_dist_to_bb": True},
    "camera": {"mono": {"resolution_h": 400, "fps": FPS}},
}
#: Log lines and memory of one lie and the recovery from it. The liar is in this process, too.
MOST_LINES, MOST_BYTES = 20, 600 << 20
_GETTERS = ("getTimestamp", "getSequenceNum", "getCameraName", "getFrameWidth", "getFrameHeight")


class Program:
    """A Gen1 program with a liar as its device."""

    def __init__(self, path: Path) -> None:
        self._liar = liar_at(path)
        self.liar: Liar = self._liar.__enter__()
        self.device: depthai.Device | None = None
        self.pipeline: depthai.CNNPipeline | None = None
        self.is_broken = True

    def open(self) -> None:
        """Open the device and start its pipeline; `pipeline` is None if that fails."""
        self.end()
        self.device = depthai.Device(self.liar.selector, False)
        self.pipeline = self.device.create_pipeline(CONFIG)

    def end(self) -> None:
        """Close the device."""
        if self.device is not None:
            self.device._close()
        self.device = self.pipeline = None

    def read(self) -> list[Any]:
        """All packets that have arrived, each read as a program may."""
        assert self.pipeline is not None
        results, packets = self.pipeline.get_available_nnet_and_data_packets()
        for packet in [*results, *packets]:
            # As in Gen1: for malformed results, and for text that is not UTF-8.
            with suppress(RuntimeError, UnicodeDecodeError):
                _check(packet)
        return list(packets)

    def is_up_to_date(self) -> bool:
        """True if an image arrived that the liar made after its last lie."""
        newest = self.liar.epoch % 256
        lefts = [packet.getData() for packet in self.read() if packet.stream_name == "left"]
        return bool(lefts) and lefts[-1][0, 0] == newest

    def close(self) -> None:
        self.end()
        self._liar.__exit__(None, None, None)


def _no_constant(text: str) -> float:
    raise AssertionError(f"a number in JSON is {text}")


def _check(packet: Any) -> None:
    """Read everything that a packet has."""
    if metadata := packet.getMetadata():
        for getter in _GETTERS:
            assert getattr(metadata, getter)() is not None
    if isinstance(packet, depthai.NNetPacket):
        for detection in packet.getDetectedObjects():
            assert detection.get_dict()  # the numbers of the network as they are
    elif packet.stream_name == "meta_d2h":
        json.loads(packet.getDataAsStr(), parse_constant=_no_constant)
    elif packet.stream_name == "object_tracker":
        for tracklet in packet.getObjectTracker():
            with suppress(IndexError):  # the documented one, for an unknown status
                assert tracklet.getStatus()
    assert not hasattr(packet, "getData") or packet.getData() is not None


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    program = Program(tmp_path_factory.mktemp("lies") / "liar")
    yield program
    program.close()


def peak_bytes() -> int:
    """The most resident memory of this process since it was last reset."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


def tell_at_start(program: Program, lie: Lie, caplog: pytest.LogCaptureFixture) -> None:
    """Open the device while it lies; it is refused with one sentence, or works."""
    program.end()
    program.liar.tell(lie)
    program.open()
    until(lambda: program.liar.told, lie.name)
    assert (program.pipeline is None) == (lie.ends == "refused")
    if lie.ends == "refused":
        assert lie.says in caplog.text
        program.end()
        program.liar.be_honest()
        program.open()
    else:
        program.liar.be_honest()


def tell_running(program: Program, lie: Lie) -> None:
    """Lie in the running session; the program reads what it gets."""
    liar = program.liar
    liar.tell(lie)
    least = 3 if lie.at in STREAMS_SENT else 1

    def is_told() -> bool:
        program.read()
        return liar.told >= least

    until(is_told, lie.name)
    liar.be_honest()


@pytest.mark.parametrize("lie", LIES, ids=[lie.name for lie in LIES])
def test_gen1_program_survives_a_lie(
    program: Program, lie: Lie, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    if program.is_broken:
        program.liar.be_honest()
        program.open()
    program.is_broken = True
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM = VmRSS
    before = peak_bytes()
    if lie.is_at_start:
        tell_at_start(program, lie, caplog)
    else:
        tell_running(program, lie)
    until(program.is_up_to_date, f"packets of the epoch: {caplog.text}")
    assert not [record for record in caplog.records if record.exc_info], caplog.text
    assert len(caplog.records) <= MOST_LINES, caplog.text[:5000]
    assert "\x1b" not in caplog.text
    assert peak_bytes() < before + MOST_BYTES
    program.is_broken = lie.ends == "lost" or lie.stays  # soon lost again: long pauses
