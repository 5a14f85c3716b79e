"""Links as Python sees them: arguments, errors, lifetimes and the GIL."""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from depthai_ros import _core
from depthai_ros.errors import (
    DepthaiError,
    DeviceNotFoundError,
    LinkError,
    LinkTimeoutError,
    ProtocolError,
)

SOON_S = 5.0
Links = tuple[_core.Link, _core.Link]


@pytest.fixture
def links() -> Iterator[Links]:
    """A host and a device, joined."""
    ends = _core.Transport.pair()
    host = _core.Link(transport=ends[0], role="host")
    device = _core.Link(transport=ends[1], role="device")
    yield host, device
    host.close()
    device.close()


def open_both(links: Links, name: str, queue: _core.PacketQueue | None = None) -> None:
    for link, end_queue in zip(links, (queue, None), strict=True):
        link.open_stream(name=name, window_bytes=1 << 20, queue=end_queue)


def test_packet_travels_from_parts_to_array(links: Links) -> None:
    queue = _core.PacketQueue()
    open_both(links, "left", queue)
    pixels = np.arange(640 * 400, dtype=np.uint8).reshape(400, 640)
    before_ns = time.monotonic_ns()
    assert links[1].write(name="left", parts=[pixels, b"tail", bytearray(2), memoryview(b"")])
    assert queue.wait(timeout_s=SOON_S)
    (packet,) = queue.take()
    assert packet.stream == "left"
    assert before_ns <= packet.received_ns <= time.monotonic_ns()
    assert len(packet) == len(packet.buffer) == pixels.size + 6
    received = np.frombuffer(packet.buffer, np.uint8)
    assert received[: pixels.size].tobytes() == pixels.tobytes()
    assert received[pixels.size :].tobytes() == b"tail\0\0"


def test_array_outlives_packet_and_link(links: Links) -> None:
    open_both(links, "left")
    links[1].write(name="left", parts=[bytes(range(200))])
    packet = links[0].read(name="left")
    array = np.frombuffer(packet.buffer, np.uint8)
    assert array.flags.writeable
    assert packet.buffer is packet.buffer
    del packet
    for link in links:
        link.close()
    gc.collect()
    others = [_core.Buffer(size=200) for _ in range(50)]  # would take the memory if it were free
    for other in others:
        np.frombuffer(other, np.uint8)[:] = 0xFF
    assert array.tobytes() == bytes(range(200))


def test_parts_need_not_outlive_the_write(links: Links) -> None:
    open_both(links, "left")
    part = bytearray(b"first")
    links[1].write(name="left", parts=[part], wait_response=False)
    part[:] = b"second, and longer: nobody holds on to it"
    assert bytes(links[0].read(name="left").buffer) == b"first"


BAD_PARTS: list[tuple[Any, type[Exception]]] = [
    (["text"], TypeError),
    ([1], TypeError),
    (b"not a list of parts", TypeError),
    ([np.zeros((4, 4), np.uint8)[:, ::2]], ValueError),
    (None, TypeError),
]


@pytest.mark.parametrize(("parts", "error"), BAD_PARTS)
def test_parts_that_are_no_bytes_are_refused(
    links: Links, parts: Any, error: type[Exception]
) -> None:
    open_both(links, "left")
    with pytest.raises(error):
        links[1].write(name="left", parts=parts)


def test_write_without_credit_says_so() -> None:
    ends = _core.Transport.pair()
    host = _core.Link(transport=ends[0], role="host", auto_release=False)
    device = _core.Link(transport=ends[1], role="device")
    host.open_stream(name="left", window_bytes=64)
    device.open_stream(name="left", window_bytes=64)
    assert device.write(name="left", parts=[bytes(64)], timeout_s=0) is True
    assert device.write(name="left", parts=[bytes(64)], timeout_s=0) is False
    assert device.write(name="left", parts=[bytes(64)], timeout_s=0.25) is False
    assert device.stream_counters()["left"]["refused_writes"] == 2
    host.release(packet=host.read(name="left"))
    assert device.write(name="left", parts=[bytes(64)], timeout_s=None) is True
    with pytest.raises(LinkError, match="65 bytes, the window 64"):
        device.write(name="left", parts=[bytes(65)])
    host.close()
    device.close()


def test_queue_drops_the_oldest_of_the_same_stream(links: Links) -> None:
    queue = _core.PacketQueue(capacity_per_stream=2)
    open_both(links, "left", queue)
    for number in range(5):
        links[1].write(name="left", parts=[bytes([number])])
    links[0].ping()
    assert [bytes(packet.buffer) for packet in queue.take()] == [b"\3", b"\4"]
    assert queue.dropped() == {"left": 3}
    assert links[0].stream_counters()["left"]["dropped"] == 3


def test_queue_can_be_selected(links: Links) -> None:
    queue = _core.PacketQueue()
    open_both(links, "left", queue)
    assert select.select([queue.fileno()], [], [], 0)[0] == []
    links[1].write(name="left", parts=[b"x"])
    assert select.select([queue.fileno()], [], [], SOON_S)[0] == [queue.fileno()]
    queue.take()
    assert select.select([queue.fileno()], [], [], 0)[0] == []


def test_events_tell_what_the_other_end_did(links: Links) -> None:
    host, device = links
    host.ping()
    host.open_stream(name="left", window_bytes=1000)
    host.close_stream(name="left")
    host.reset()
    kinds = []
    while event := device.next_event(timeout_s=SOON_S):
        kinds.append((event.kind, event.stream, event.size))
    assert kinds == [
        ("ping", "", 0),
        ("opened", "left", 1024),
        ("closed", "left", 0),
        ("reset", "", 0),
        ("down", "", 0),
    ]


# ------------------------------------------------------------------------------------- arguments

POSITIONAL: list[Callable[[Links], object]] = [
    lambda links: _core.Transport.connect("unix:/x"),  # type: ignore[call-arg]
    lambda links: _core.Transport.from_fd(0),  # type: ignore[call-arg]
    lambda links: _core.Listener("unix:/x"),  # type: ignore[call-arg]
    lambda links: _core.Buffer(1),  # type: ignore[call-arg]
    lambda links: _core.PacketQueue(1),  # type: ignore[call-arg]
    lambda links: _core.Link(_core.Transport.pair()[0], role="host"),  # type: ignore[call-arg]
    lambda links: links[0].ping(1.0),  # type: ignore[call-arg]
    lambda links: links[0].open_stream("x", window_bytes=1),  # type: ignore[call-arg]
    lambda links: links[0].write("x", parts=[]),  # type: ignore[call-arg]
    lambda links: links[0].next_event(1.0),  # type: ignore[call-arg]
]


@pytest.mark.parametrize("call", POSITIONAL)
def test_arguments_must_be_named(links: Links, call: Callable[[Links], object]) -> None:
    with pytest.raises(TypeError):
        call(links)


REFUSED: list[tuple[Callable[[Links], object], type[Exception], str]] = [
    (
        lambda links: _core.Link(transport=_core.Transport.pair()[0], role="hub"),  # type: ignore[arg-type]
        ValueError,
        "'host' or 'device'",
    ),
    (lambda links: links[0].open_stream(name="x" * 64, window_bytes=1), ValueError, "1 to 63"),
    (lambda links: links[0].open_stream(name="größe", window_bytes=1), ValueError, "ASCII"),
    (lambda links: links[0].open_stream(name="x", window_bytes=0), ValueError, "window"),
    (lambda links: links[0].open_stream(name="x", window_bytes=-1), TypeError, "window_bytes"),
    (lambda links: links[0].write(name="x", parts=[]), LinkError, "not open"),
    (lambda links: links[0].read(name="x", timeout_s=0), LinkTimeoutError, "'x'"),
    (lambda links: links[0].close_stream(name="x"), LinkError, "not open"),
    (lambda links: _core.PacketQueue(capacity=0), ValueError, "room"),
    (lambda links: _core.Transport.connect(address="serial:0"), ValueError, "unix:/path"),
    (
        lambda links: _core.Transport.connect(address="unix:/nowhere/at/all"),
        DeviceNotFoundError,
        "cannot connect",
    ),
    (lambda links: _core.Transport.from_fd(fd=9999), LinkError, "not a stream socket"),
    (lambda links: _core.Listener(address="unix:/nowhere/at/all"), LinkError, "listen at"),
]


@pytest.mark.parametrize(("call", "error", "words"), REFUSED)
def test_refused_argument_has_its_error_type_and_text(
    links: Links, call: Callable[[Links], object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        call(links)
    assert type(caught.value) is error


# -------------------------------------------------------------------------------------- failures


def raw_peer() -> tuple[_core.Link, socket.socket]:
    """A host link whose other end is a plain socket."""
    ours, theirs = socket.socketpair()
    return _core.Link(transport=_core.Transport.from_fd(fd=ours.detach()), role="host"), theirs


def test_bytes_that_break_xlink_are_a_protocol_error_with_a_culprit() -> None:
    link, peer = raw_peer()
    peer.send(bytes([1, 0, 0, 0, 7]) + bytes(79))
    event = link.next_event(timeout_s=SOON_S)
    assert event is not None
    assert event.kind == "down"
    assert "type 7" in event.detail == link.failure
    with pytest.raises(ProtocolError, match="type 7") as caught:
        link.ping()
    assert caught.value.culprit == "device"
    assert isinstance(caught.value, DepthaiError)
    peer.close()
    link.close()


@pytest.mark.parametrize("name", [b"\xff\xfe", b"\x1b[2J", "größe".encode()])
@pytest.mark.parametrize("kind", [3, 11])  # creation, and the answer to one
def test_name_that_cannot_be_printed_is_a_protocol_error(name: bytes, kind: int) -> None:
    link, peer = raw_peer()
    too_large = struct.pack("<iI64sIII", 2, 0, b"", 0, 2000, 1) + bytes(2000)
    peer.send(struct.pack("<iI64sIII", 1, kind, name, 0, 1024, 1) + too_large)
    with pytest.raises(ProtocolError, match="name that is not printable ASCII") as caught:
        link.ping(timeout_s=SOON_S)
    assert caught.value.culprit == "device"
    peer.close()
    link.close()


def test_hang_up_is_a_link_error_and_keeps_its_reason() -> None:
    link, peer = raw_peer()
    queue = _core.PacketQueue()
    peer.close()
    event = link.next_event(timeout_s=SOON_S)
    assert event is not None
    assert event.kind == "down"
    with pytest.raises(LinkError, match="hung up") as caught:
        link.open_stream(name="left", window_bytes=1, queue=queue)
    assert type(caught.value) is LinkError
    assert not link.is_up
    link.close()
    assert "hung up" in link.failure


def test_queue_raises_what_ended_the_link(links: Links) -> None:
    queue = _core.PacketQueue()
    open_both(links, "left", queue)
    links[1].write(name="left", parts=[b"last"])
    links[1].close()
    assert queue.wait(timeout_s=SOON_S)
    assert bytes(queue.take()[0].buffer) == b"last"
    with pytest.raises(LinkError, match="hung up"):
        queue.wait(timeout_s=SOON_S)


def test_silence_is_a_timeout_that_leaves_the_link_up() -> None:
    link, peer = raw_peer()
    with pytest.raises(LinkTimeoutError, match="ping: no answer"):
        link.ping(timeout_s=0.001)
    assert link.is_up
    peer.close()
    link.close()


def test_transport_serves_one_link_only() -> None:
    ends = _core.Transport.pair()
    link = _core.Link(transport=ends[0], role="host")
    with pytest.raises(LinkError, match="another link"):
        _core.Link(transport=ends[0], role="host")
    link.close()


# --------------------------------------------------------------------------------------- threads

WAITS: list[tuple[str, Callable[[_core.Link, _core.PacketQueue, _core.Listener], object]]] = [
    ("ping", lambda link, queue, listener: link.ping(timeout_s=None)),
    ("read", lambda link, queue, listener: link.read(name="x", timeout_s=None)),
    ("next_event", lambda link, queue, listener: link.next_event(timeout_s=None)),
    (
        "open_stream",
        lambda link, queue, listener: link.open_stream(
            name="x", window_bytes=1, queue=queue, timeout_s=None
        ),
    ),
    ("wait", lambda link, queue, listener: queue.wait(timeout_s=None)),
    ("accept", lambda link, queue, listener: listener.accept(timeout_s=None)),
]


@pytest.mark.parametrize(("name", "wait"), WAITS)
def test_waiting_lets_other_threads_run_and_ends_with_the_close(
    name: str, wait: Callable[[_core.Link, _core.PacketQueue, _core.Listener], object]
) -> None:
    link, peer = raw_peer()
    queue = _core.PacketQueue()
    listener = _core.Listener(address="tcp:127.0.0.1:0")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(wait, link, queue, listener)
        # This thread continues only if the other one has released the GIL.
        for closing in (link, queue, listener):
            closing.close()
        try:
            assert waiting.result(SOON_S) in (None, False) or name == "next_event"
        except LinkError:
            assert name in ("ping", "read", "open_stream")
    peer.close()


def test_large_write_lets_other_threads_run() -> None:
    link, peer = raw_peer()
    writer = threading.Thread(
        target=lambda: link.write(name="big", parts=[bytes(32 << 20)], wait_response=False)
    )
    opener = threading.Thread(target=lambda: link.open_stream(name="big", window_bytes=32 << 20))
    opener.start()
    request = peer.recv(84, socket.MSG_WAITALL)
    answer = bytearray(request)
    answer[4], answer[72:76] = 11, bytes(4)
    peer.send(answer)
    opener.join(SOON_S)
    writer.start()
    # The packet is far larger than any socket buffer: it is sent while this thread receives it.
    received = peer.recv(84 + (32 << 20), socket.MSG_WAITALL)
    writer.join(SOON_S)
    assert len(received) == 84 + (32 << 20)
    peer.close()
    link.close()


def run_python(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


def test_process_ends_cleanly_while_daemon_threads_wait() -> None:
    done = run_python("""
        import threading
        from depthai_ros import _core
        ends = _core.Transport.pair()
        link = _core.Link(transport=ends[0], role="host")
        queue = _core.PacketQueue()
        running = threading.Barrier(4)
        def wait(call):
            running.wait()
            while True:
                try:
                    call()
                except Exception:
                    pass
        for call in (lambda: queue.wait(timeout_s=0.0001),
                     lambda: link.next_event(timeout_s=0.0001),
                     lambda: link.read(name="x", timeout_s=0.0001)):
            threading.Thread(target=wait, args=(call,), daemon=True).start()
        running.wait()
    """)
    assert (done.returncode, done.stderr) == (0, "")


def test_process_ends_cleanly_without_closing_anything() -> None:
    done = run_python("""
        from depthai_ros import _core
        ends = _core.Transport.pair()
        host = _core.Link(transport=ends[0], role="host")
        device = _core.Link(transport=ends[1], role="device")
        host.ping()
    """)
    assert (done.returncode, done.stderr) == (0, "")


def test_interrupt_ends_an_endless_wait_of_the_main_thread() -> None:
    program = "from depthai_ros import _core; print('waiting', flush=True); {}"
    for call in (
        "_core.PacketQueue().wait()",
        "_core.Listener(address='tcp:127.0.0.1:0').accept()",
    ):
        with subprocess.Popen(
            [sys.executable, "-c", program.format(call)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            process.stdout.readline()
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=SOON_S)
        assert "KeyboardInterrupt" in errors


def test_child_of_fork_can_drop_its_copies_of_packets_and_links() -> None:
    done = run_python("""
        import os, threading, warnings
        from depthai_ros import _core
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: of a fork with threads
        ends = _core.Transport.pair()
        host, device = (_core.Link(transport=end, role=role)
                        for end, role in zip(ends, ("host", "device")))
        queue = _core.PacketQueue(capacity_per_stream=2)
        host.open_stream(name="left", window_bytes=64, queue=queue)
        device.open_stream(name="left", window_bytes=1 << 20)
        stop = threading.Event()
        def stream():
            while not stop.is_set():
                device.write(name="left", parts=[bytes(100_000)])
        thread = threading.Thread(target=stream)
        thread.start()
        for _ in range(20):
            queue.wait()
            packets = queue.take()
            child = os.fork()
            if child == 0:
                del packets, host, device
                _core.Buffer(size=100_000)
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
        stop.set()
        thread.join()
        host.ping()
        assert host.is_up
    """)
    assert (done.returncode, done.stderr) == (0, "")


def test_listener_and_connect_meet_in_the_middle(tmp_path: os.PathLike[str]) -> None:
    for address in (f"unix:{tmp_path}/socket", "tcp:127.0.0.1:0"):
        listener = _core.Listener(address=address)
        near = _core.Transport.connect(address=listener.address)
        far = listener.accept(timeout_s=SOON_S)
        assert far is not None
        assert near.description == listener.address
        assert listener.accept(timeout_s=0) is None
        host = _core.Link(transport=near, role="host")
        device = _core.Link(transport=far, role="device")
        host.ping()
        host.close()
        device.close()
        listener.close()
