"""Typed face of the C++ core: named streams of bytes over XLink.

Errors are those of `depthai_ros.errors`. Every call that may wait releases the GIL, is bounded by
its `timeout_s` (None = no limit) and ends at once when the link goes down.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

from numpy.typing import NDArray

#: Anything with a C-contiguous buffer.
_BytesLike: TypeAlias = bytes | bytearray | memoryview | NDArray[Any] | Buffer

class Transport:
    """One end of a byte pipe. `close()` wakes whoever is reading from it."""

    @property
    def description(self) -> str: ...
    @staticmethod
    def pair() -> tuple[Transport, Transport]:
        """Two ends joined by a socketpair."""
    @staticmethod
    def connect(*, address: str, timeout_s: float = 10.0) -> Transport:
        """Connect to `unix:/path` or `tcp:host:port`.

        Raises DeviceNotFoundError at once if nobody listens there, ValueError for another form.
        """
    @staticmethod
    def from_fd(*, fd: int) -> Transport:
        """Take ownership of a connected stream socket.

        Raises LinkError if it is none; it remains the caller's then.
        """
    def close(self) -> None: ...

class UsbTransport(Transport):
    """The byte pipe of a booted USB device."""

    @property
    def mx_id(self) -> str:
        """Its serial number, "" if it has none."""
    @property
    def speed(self) -> str:
        """LOW, FULL, HIGH, SUPER, SUPER_PLUS or UNKNOWN."""
    @property
    def location(self) -> str:
        """BUS:PORT, e.g. 2:1.3"""
    @property
    def was_running(self) -> bool:
        """True if firmware that an ended program left running was reset first."""

def open_usb(
    *,
    selector: str,
    firmware: bytes,
    timeout_s: float = 10.0,
    find_s: float | None = None,
    who_has: Callable[[str], str] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> UsbTransport:
    """Find, boot and open a device.

    `selector` is "" (any), a port path (1.3), BUS:PORT or an MX id; `timeout_s` is for its
    return after the boot, and for finding it unless there is a `find_s`. `who_has` is asked before
    a board at BUS:PORT is booted or reset; it is left alone if somebody has it, "" = nobody.
    `should_stop` is asked now and then.
    Raises  DeviceNotFoundError, BootError, each with its `reason`; ValueError for a bad selector;
            LinkError if it should stop
    """

class UsbBoard:
    """A device of our vendor on the bus, as one scan saw it."""

    @property
    def product(self) -> int:
        """0x2485 waits for firmware, 0xf63b runs it."""
    @property
    def bus(self) -> int: ...
    @property
    def address(self) -> int:
        """Another one each time it appears."""
    @property
    def port(self) -> str:
        """Path from the root hub: 1.3"""
    @property
    def speed(self) -> str:
        """LOW, FULL, HIGH, SUPER, SUPER_PLUS or UNKNOWN."""
    @property
    def location(self) -> str:
        """BUS:PORT"""
    @property
    def node(self) -> str:
        """/dev/bus/usb/001/004"""
    @property
    def is_booted(self) -> bool: ...

def scan_usb() -> list[UsbBoard]:
    """All devices of vendor 03e7. Raises DeviceNotFoundError if the bus cannot be read."""

class Listener:
    """Waits for connections at `unix:/path` or `tcp:host:port` (port 0: any free one)."""

    def __init__(self, *, address: str) -> None: ...
    @property
    def address(self) -> str:
        """As bound, with the real port."""
    def accept(self, *, timeout_s: float | None = None) -> Transport | None:
        """The next connection, or None when the time is over or the listener was closed."""
    def close(self) -> None: ...

class Buffer:
    """Memory from the pool, with room before and behind it for a serialised message's ends.

    Supports the buffer protocol: 1-D, writable uint8. A view keeps the memory alive.
    """

    HEADROOM: int  # bytes free before the payload
    TAILROOM: int  # bytes free behind it
    def __init__(self, *, size: int) -> None: ...
    def __len__(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...

class Packet:
    """What one stream delivered at once. Its buffer holds the whole payload, trailer included."""

    @property
    def stream(self) -> str: ...
    @property
    def received_ns(self) -> int:
        """CLOCK_MONOTONIC when the last byte was here."""
    @property
    def buffer(self) -> Buffer: ...
    def __len__(self) -> int: ...

class PacketQueue:
    """Bounded queue between a link's reader and one consumer.

    When `capacity_per_stream` packets of a stream wait, the oldest of that stream drops for the
    new one; when `capacity` wait in all, the oldest of all drops. Drops are counted by stream.
    """

    def __init__(self, *, capacity: int = 1024, capacity_per_stream: int = 30) -> None: ...
    def wait(self, *, timeout_s: float | None = None) -> bool:
        """True when packets wait, False when time is over or the queue was closed.

        When the link failed and nothing is left to take, its error is raised.
        """
    def take(self) -> list[Packet]:
        """All waiting packets, in order of arrival. Never waits."""
    def fileno(self) -> int:
        """An eventfd for select: readable while packets wait, and once the queue has ended."""
    def dropped(self) -> dict[str, int]: ...
    def close(self) -> None:
        """Wake the consumer. What waits can still be taken, nothing is added any more."""

class LinkEvent:
    """Something the other end did.

    kind    "ping", "opened" (it can now receive/send on `stream`), "closed" (it closed `stream`),
            "reset" (already answered), "down" (the link ended; `detail` says why)
    """

    @property
    def kind(self) -> Literal["ping", "opened", "closed", "reset", "down"]: ...
    @property
    def stream(self) -> str: ...
    @property
    def size(self) -> int:
        """The window it asked for ("opened")."""
    @property
    def detail(self) -> str: ...

class Link:
    """One XLink connection, as host or as device.

    Two threads of its own read and write; neither ever takes the GIL. Requests of the other end
    are answered by the link. Received packets are released (credit given back) as they are queued,
    unless `auto_release` is False: then `release()` must be called for each. A link whose other end
    takes no byte of a half-sent message for 10 s is down. Waits of the main thread see Ctrl-C in
    `read`, `write` (for credit) and `next_event`, as in `PacketQueue.wait` and `Listener.accept`.
    """

    def __init__(
        self,
        *,
        transport: Transport,
        role: Literal["host", "device"],
        auto_release: bool = True,
        max_payload_bytes: int = 134_217_728,
    ) -> None: ...
    def ping(self, *, timeout_s: float | None = 10.0) -> None: ...
    def open_stream(
        self,
        *,
        name: str,
        window_bytes: int,
        queue: PacketQueue | None = None,
        timeout_s: float | None = 10.0,
    ) -> int:
        """Open our direction of a stream and return its id.

        Packets of the stream go to `queue`, or wait for `read()` (at most 64) if there is none.
        Streams are opened one at a time. Raises LinkError if refused, LinkTimeoutError.
        """
    def close_stream(self, *, name: str, timeout_s: float | None = 10.0) -> None:
        """Close our direction once all that we wrote was released."""
    def write(
        self,
        *,
        name: str,
        parts: Sequence[_BytesLike],
        timeout_s: float | None = 10.0,
        wait_response: bool = True,
    ) -> bool:
        """Send one packet made of `parts`, without joining them.

        Waits for credit, at most `timeout_s`: with 0 it never waits. False (and nothing sent) if
        there was none; LinkError if the packet is larger than the window. With `wait_response`
        also waits until the other end has acknowledged (again at most `timeout_s`, with 0: 10 s);
        else until the bytes are on their way.
        """
    def read(self, *, name: str, timeout_s: float | None = 10.0) -> Packet:
        """The oldest packet of a stream without a queue. Raises LinkTimeoutError, LinkError.

        The stream need not be opened by this end: what the other end opened and wrote is there.
        """
    def release(self, *, packet: Packet) -> None:
        """Give the credit of a packet back (only with `auto_release=False`).

        It leaves in the order of arrival, whatever the order of the calls.
        """
    def reset(self, *, timeout_s: float | None = 2.0) -> None:
        """Ask the device to reboot; returns when it answered or hung up. The link is down then."""
    def next_event(self, *, timeout_s: float | None = None) -> LinkEvent | None:
        """What the other end did next, or None when time is over. The last event is "down".

        Nobody has to read events: of more than 1024 the oldest are forgotten (and counted).
        """
    def has_stream(self, *, name: str) -> bool:
        """True while the other end can receive what we write to `name`."""
    def close(self) -> None:
        """Send what is owed (at most 0.2 s), stop both threads and close the transport.

        May be called twice, from any thread.
        """
    @property
    def is_up(self) -> bool: ...
    @property
    def failure(self) -> str:
        """Why the link went down, "" while it is up or after a plain close()."""
    def counters(self) -> dict[str, int]:
        """bytes_in, bytes_out, packets_in, packets_out, requests_in, requests_out, responses_in,
        refusals_in, ids_adopted (both ends created a stream at once), events_dropped."""
    def stream_counters(self) -> dict[str, dict[str, int]]:
        """By stream: packets_in, bytes_in, packets_out, bytes_out, refused_writes, tx_bytes,
        tx_packets (sent, not yet released), dropped."""

# Kernels: one pass each, GIL released, arrays must be C-contiguous. ValueError on a bad shape.

def map_table(
    *, source: _BytesLike, table: _BytesLike, destination: _BytesLike, mirrored: bool = False
) -> None:
    """destination[i] = table[source[i]], for 1-D or flattened arrays.

    `mirrored`, here and below: each row of a (..., H, W) source is read from its end; not in place.

    Types   uint8 -> uint16 | float32, uint16 -> uint8 | float32; the table has 256 or 65536
            entries of the destination's type.
    """

def interleave(*, source: _BytesLike, destination: _BytesLike, mirrored: bool = False) -> None:
    """(C, H, W) uint8 planes -> (H, W, C) uint8, C = 3."""

def zero_above(
    *, source: _BytesLike, limit: int, destination: _BytesLike, mirrored: bool = False
) -> None:
    """uint16 elements above the limit become 0. In place if source is destination."""

def metres(
    *, source: _BytesLike, limit: int, destination: _BytesLike, mirrored: bool = False
) -> None:
    """uint16 millimetres -> float32 metres; NaN for 0 and for what is above the limit (mm)."""

def bgr_from_i420(*, source: _BytesLike, destination: _BytesLike) -> None:
    """(H * 3 / 2, W) uint8 I420 -> (H, W, 3) uint8 BGR, H and W even.

    OpenCV's bytes, but that less than one in a hundred is one level away.
    """

def mirror(*, source: _BytesLike, destination: _BytesLike) -> None:
    """Reverse each row of (H, W) uint8; not in place."""

def colorize(
    *, source: _BytesLike, table: _BytesLike, destination: _BytesLike, mirrored: bool = False
) -> None:
    """(H, W) uint8 through a (256, 3) uint8 table -> (H, W, 3) uint8."""

# Publishing without a copy of ours.

def has_rcl() -> bool:
    """True if the extension was built with rcl's headers and librcl is loaded in this process."""

def publish_serialized(
    *, publisher: int, buffer: Buffer, size: int, prefix: bytes, suffix: bytes = b""
) -> None:
    """Publish `prefix + buffer[:size] + suffix` as one serialised message, in place.

    `publisher` is rclpy's `publisher.handle.pointer`. The prefix is written into the headroom, the
    suffix over what follows the first `size` bytes, which is put back afterwards. One publisher at
    a time has the buffer. Raises RuntimeError with rcl's words, ValueError if the ends do not fit.
    """

def serialized(*, buffer: Buffer, size: int, prefix: bytes, suffix: bytes = b"") -> bytes:
    """The same message as bytes (one copy), for `publisher.publish(bytes)`."""

def keep_large_buffers() -> None:
    """Tell malloc to keep large blocks (mallopt), so that frames do not fault pages in anew."""

__version__: str
