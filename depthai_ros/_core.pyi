"""Types and contracts of the C++ core: named streams of bytes over XLink.

The core raises the errors of `depthai_ros.errors`. Every call that may wait releases the GIL, is
bounded by its `timeout_s` (None = no limit) and ends at once when the link goes down.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

from numpy.typing import NDArray

#: Anything with a C-contiguous buffer.
_BytesLike: TypeAlias = bytes | bytearray | memoryview | NDArray[Any] | Buffer

class Transport:
    """One end of a byte pipe. `close()` wakes a thread that reads from it."""

    @property
    def description(self) -> str: ...
    @staticmethod
    def pair() -> tuple[Transport, Transport]:
        """Two ends joined by a socketpair."""
    @staticmethod
    def connect(*, address: str, timeout_s: float = 10.0) -> Transport:
        """Connect to `unix:/path` or `tcp:host:port`.

        Raises DeviceNotFoundError at once if no process listens there, ValueError for an address of
        another form.
        """
    @staticmethod
    def from_fd(*, fd: int) -> Transport:
        """Take ownership of a connected stream socket.

        Raises LinkError if `fd` is not a stream socket; the caller keeps the ownership then.
        """
    def close(self) -> None: ...

class UsbTransport(Transport):
    """The byte pipe of a booted USB device."""

    @property
    def mx_id(self) -> str:
        """The device's serial number, "" if it has none."""
    @property
    def speed(self) -> str:
        """LOW, FULL, HIGH, SUPER, SUPER_PLUS or UNKNOWN."""
    @property
    def location(self) -> str:
        """BUS:PORT, e.g. 2:1.3"""
    @property
    def was_running(self) -> bool:
        """True if the board still ran the firmware of an ended program and was reset first."""

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

    `selector` is "" (any), a port path (1.3), BUS:PORT or an MX id. `timeout_s` limits the wait for
    the device's return after the boot, and the search for it unless `find_s` is given.
    `who_has(BUS:PORT)` is called before a board is booted or reset: it returns the name of the
    owner, "" = none; an owned board is left alone. `should_stop` is called at intervals.
    Raises  DeviceNotFoundError, BootError, each with its `reason`; ValueError for a bad selector;
            LinkError after `should_stop` has returned True
    """

class UsbBoard:
    """A device of vendor 03e7 on the bus, at the time of one scan."""

    @property
    def product(self) -> int:
        """0x2485: waits for firmware; 0xf63b: runs firmware."""
    @property
    def bus(self) -> int: ...
    @property
    def address(self) -> int:
        """USB address; changes each time the device appears."""
    @property
    def port(self) -> str:
        """Path from the root hub, e.g. 1.3"""
    @property
    def speed(self) -> str:
        """LOW, FULL, HIGH, SUPER, SUPER_PLUS or UNKNOWN."""
    @property
    def location(self) -> str:
        """BUS:PORT, e.g. 2:1.3"""
    @property
    def node(self) -> str:
        """Device file, e.g. /dev/bus/usb/001/004"""
    @property
    def is_booted(self) -> bool: ...

def scan_usb() -> list[UsbBoard]:
    """All devices of vendor 03e7. Raises DeviceNotFoundError if the bus cannot be read."""

class Listener:
    """Waits for connections at `unix:/path` or `tcp:host:port` (port 0: any free one)."""

    def __init__(self, *, address: str) -> None: ...
    @property
    def address(self) -> str:
        """The bound address, with the port that the kernel chose."""
    def accept(self, *, timeout_s: float | None = None) -> Transport | None:
        """The next connection; None after the timeout or when the listener is closed."""
    def close(self) -> None: ...

class Buffer:
    """Memory from the pool, with room before and after it for the ends of a serialised message.

    Supports the buffer protocol: 1-D, writable uint8. A view keeps the memory alive.
    """

    HEADROOM: int  # bytes free before the payload
    TAILROOM: int  # bytes free after it
    def __init__(self, *, size: int) -> None: ...
    def __len__(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...

class Packet:
    """One packet of a stream. Its buffer holds the whole payload, trailer included."""

    @property
    def stream(self) -> str: ...
    @property
    def received_ns(self) -> int:
        """CLOCK_MONOTONIC at the arrival of the last byte."""
    @property
    def buffer(self) -> Buffer: ...
    @property
    def serial(self) -> int:
        """Number of the packet in its stream on this link, from 0; a gap was dropped by a queue."""
    def __len__(self) -> int: ...

class PacketQueue:
    """Bounded queue between a link's reader and one consumer.

    If `capacity_per_stream` packets of a stream wait, a new one replaces the oldest of that stream;
    if `capacity` packets wait in total, it replaces the oldest of all. Drops are counted by stream.
    """

    def __init__(self, *, capacity: int = 1024, capacity_per_stream: int = 30) -> None: ...
    def wait(self, *, timeout_s: float | None = None) -> bool:
        """True when packets wait; False after the timeout or when the queue was closed.

        Raises the link's error when the link has failed and the queue is empty.
        """
    def take(self, *, most: int = sys.maxsize) -> list[Packet]:
        """The waiting packets in order of arrival, at most `most`. Never waits."""
    def drop_before(self, *, received_ns: int) -> int:
        """Drop and count the packets that arrived before a time; returns their number.

        Only for links with `auto_release`.
        """
    def fileno(self) -> int:
        """An eventfd for select: readable while packets wait, and once the queue has ended."""
    def dropped(self) -> dict[str, int]: ...
    def close(self) -> None:
        """Wake the consumer. Waiting packets can still be taken; new ones are refused."""

class LinkEvent:
    """An action of the other end, or the end of the link.

    kind    "ping"; "opened": the other end opened its direction of `stream`; "closed": it closed
            that; "reset" (already answered); "down": the link ended, `detail` says why
    """

    @property
    def kind(self) -> Literal["ping", "opened", "closed", "reset", "down"]: ...
    @property
    def stream(self) -> str: ...
    @property
    def size(self) -> int:
        """The window that the other end requested ("opened")."""
    @property
    def detail(self) -> str: ...

class Link:
    """One XLink connection, as host or as device.

    The link has a reader and a writer thread; neither ever takes the GIL. The link answers the
    requests of the other end. It releases received packets (returns their credit) when it queues
    them, unless `auto_release` is False: then `release()` must be called for each. The link goes
    down if the other end takes no byte of a half-sent message for 10 s. Packets that wait in its
    queues occupy at most `max_queued_bytes`; those of streams that a host has not opened occupy at
    most 32 MiB and are released when it opens the stream. In the main thread Ctrl-C interrupts
    `read`, `write` (the wait for credit), `next_event`, `PacketQueue.wait` and `Listener.accept`.
    """

    def __init__(
        self,
        *,
        transport: Transport,
        role: Literal["host", "device"],
        auto_release: bool = True,
        max_payload_bytes: int = 134_217_728,
        max_queued_bytes: int = 268_435_456,
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

        Packets of the stream go to `queue`; without a queue at most 64 wait for `read()`.
        Streams are opened one at a time. Raises LinkError if refused, LinkTimeoutError.
        """
    def close_stream(self, *, name: str, timeout_s: float | None = 10.0) -> None:
        """Close our direction after the other end has released all packets that we wrote."""
    def write(
        self,
        *,
        name: str,
        parts: Sequence[_BytesLike],
        timeout_s: float | None = 10.0,
        wait_response: bool = True,
    ) -> bool:
        """Send one packet made of `parts`, without joining them.

        Waits at most `timeout_s` for credit (0: does not wait). Without credit it sends nothing and
        returns False. Raises LinkError if the packet is larger than the window. With
        `wait_response` it also waits until the other end has acknowledged, again at most
        `timeout_s` (0: 10 s); otherwise it returns when the bytes are sent.
        """
    def read(self, *, name: str, timeout_s: float | None = 10.0) -> Packet:
        """The oldest packet of a stream without a queue. Raises LinkTimeoutError, LinkError.

        This end need not have opened the stream: the other end's packets wait here in any case.
        """
    def release(self, *, packet: Packet) -> None:
        """Return the credit of a packet (only with `auto_release=False`).

        Releases are sent in the order of arrival of the packets, not in the order of the calls.
        """
    def reset(self, *, timeout_s: float | None = 2.0) -> None:
        """Reboot the device; returns when it answered or hung up. The link is down then."""
    def next_event(self, *, timeout_s: float | None = None) -> LinkEvent | None:
        """The next event, or None after the timeout. The last event is "down".

        Reading events is optional: beyond 1024 the oldest are dropped and counted.
        """
    def has_stream(self, *, name: str) -> bool:
        """True while our direction of `name` is open, so that the other end can receive."""
    def close(self) -> None:
        """Send queued messages (at most 0.2 s), stop both threads and close the transport.

        May be called twice, from any thread.
        """
    @property
    def is_up(self) -> bool: ...
    @property
    def failure(self) -> str:
        """The reason why the link went down; "" while it is up or after close()."""
    def counters(self) -> dict[str, int]:
        """bytes_in, bytes_out, packets_in, packets_out, requests_in, requests_out, responses_in,
        refusals_in, ids_adopted (both ends created a stream at the same time), events_dropped,
        queued_bytes (memory of the packets that wait now)."""
    def stream_counters(self) -> dict[str, dict[str, int]]:
        """By stream: packets_in, bytes_in, packets_out, bytes_out, refused_writes, dropped, and of
        sent, unreleased packets tx_bytes, tx_packets."""

# Kernels: one pass each, GIL released, arrays must be C-contiguous. ValueError on a bad shape.

def map_table(
    *, source: _BytesLike, table: _BytesLike, destination: _BytesLike, mirrored: bool = False
) -> None:
    """destination[i] = table[source[i]], for 1-D or flattened arrays.

    `mirrored`, here and below: read each row of a (..., H, W) source backwards; not in place.

    Types   uint8 -> uint16 | float32, uint16 -> uint8 | float32; the table has 256 or 65536
            entries of the destination's type.
    """

def interleave(*, source: _BytesLike, destination: _BytesLike, mirrored: bool = False) -> None:
    """(C, H, W) uint8 planes -> (H, W, C) uint8, C = 3."""

def zero_above(
    *, source: _BytesLike, limit: int, destination: _BytesLike, mirrored: bool = False
) -> None:
    """Set uint16 elements above the limit to 0. In place if source is destination."""

def metres(
    *, source: _BytesLike, limit: int, destination: _BytesLike, mirrored: bool = False
) -> None:
    """uint16 millimetres -> float32 metres; NaN for 0 and for values above the limit (mm)."""

def bgr_from_i420(*, source: _BytesLike, destination: _BytesLike) -> None:
    """(H * 3 / 2, W) uint8 I420 -> (H, W, 3) uint8 BGR, H and W even.

    The result equals OpenCV's, except that fewer than one byte in a hundred differs by one level.
    """

def mirror(*, source: _BytesLike, destination: _BytesLike) -> None:
    """Reverse each row of (H, W) uint8; not in place."""

def colorize(
    *, source: _BytesLike, table: _BytesLike, destination: _BytesLike, mirrored: bool = False
) -> None:
    """(H, W) uint8 through a (256, 3) uint8 table -> (H, W, 3) uint8."""

# Filters on depth, (H, W) uint16 mm, and disparity, (H, W) float32 px = scale / depth; 0 = not
# measured, in both. Scratch arrays may hold anything.

def keep_between(*, source: _BytesLike, destination: _BytesLike, low: int, high: int) -> None:
    """Set depth outside of low..high (mm) to 0. In place if source is destination."""

def decimate(*, source: _BytesLike, destination: _BytesLike, size: int) -> None:
    """(H, W) -> (H // size, W // size) depth, size 2..8: the median of what each square measured.

    Of two middle values the nearer one: every result was measured.
    """

def disparity_of_depth(*, source: _BytesLike, destination: _BytesLike, scale: float) -> None:
    """uint16 -> float32; scale is the focal length (px) times the baseline (mm)."""

def depth_of_disparity(*, source: _BytesLike, destination: _BytesLike, scale: float) -> None:
    """float32 -> uint16; 0 for depth above 65535 mm."""

def remove_speckles(
    *, disparity: _BytesLike, scratch: _BytesLike, smallest: int, difference: float
) -> None:
    """Set regions of less than `smallest` pixels to 0, in place; scratch: uint32 (3, H, W).

    Neighbours (4) whose disparities differ by at most `difference` are of one region.
    """

def smooth_in_space(
    *, disparity: _BytesLike, scratch: _BytesLike, alpha: float, delta: float, iterations: int
) -> None:
    """Recursive averages along rows and columns, both ways, in place; they end at larger steps.

    scratch: float32, at least 16 max(H, W) elements.
    """

def smooth_in_time(
    *,
    disparity: _BytesLike,
    state: _BytesLike,
    history: _BytesLike,
    alpha: float,
    delta: float,
    persistence: int,
) -> None:
    """Recursive average over frames, in place; state float32, history uint8, both zero at first.

    A pixel without measurement keeps its value if at least `persistence` (0 = never) of the last
    8 frames measured it.
    """

def fill_holes(
    *,
    source: _BytesLike,
    destination: _BytesLike,
    scratch: _BytesLike,
    mode: str,
    longest: int,
    scale: float,
    delta: float,
) -> None:
    """Fill parts of rows (mode "left") or also of columns that are between measured pixels.

    At most `longest` pixels, with the value before them or, of the ends, the "farthest" or the
    "nearest", if the disparities (scale / depth) of the ends differ by at most `delta`.
    scratch: uint32, W elements.
    """

# Clouds, registration and rectification.

def points(
    *,
    depth: _BytesLike,
    columns: _BytesLike,
    rows: _BytesLike,
    destination: _BytesLike,
    limit: int,
    decimation: int = 1,
    image: _BytesLike | None = None,
    projection: _BytesLike | None = None,
    pixels: _BytesLike | None = None,
) -> None:
    """(H, W) uint16 mm -> (H // n, W // n, 4) float32 x, y, z in m and 0x00RRGGBB.

    n is `decimation`: the pixel n // 2 of each n x n block becomes a point, on the ray
    (columns[column], rows[row], 1). x, y, z are NaN for 0 and for depth above the limit (mm).
    image        (H, W) uint8 that fits the depth; with `projection` (Hc, Wc, 3) uint8 BGR
    projection   (3, 4) float32: point -> pixel of the rectified image
    pixels       (Hr, Wr) int32: pixel of the rectified image -> index of the pixel in `image`, one
                 outside = none; without it `image` is the rectified image
    """

def undistort_depth(
    *,
    depth: _BytesLike,
    places: _BytesLike,
    left: _BytesLike,
    right: _BytesLike,
    destination: _BytesLike,
    measured: float,
    undistorted: float,
) -> None:
    """(H, W) uint16 mm of a pair that keeps its distortion -> (H, W) uint16 mm without; 0 = none.

    places          (H, W) int32: index of the source pixel that shows the ray of a pixel, -1 = none
    left            (H, W) float32: column without distortion minus column, by source pixel
    right           the same of the right image, for the source pixel of each pixel
    measured, undistorted   disparity (px) times depth (mm), before and after
    """

def register_depth(
    *,
    depth: _BytesLike,
    columns: _BytesLike,
    rows: _BytesLike,
    projection: _BytesLike,
    scratch: _BytesLike,
    destination: _BytesLike,
) -> None:
    """(H, W) uint16 mm -> (Hd, Wd) uint16 mm as another camera sees it; the nearest wins, 0 = none.

    Each pixel covers what its square covers at its depth; a gap to a neighbour that is at most as
    wide as that is closed by the farther of both.
    columns, rows   float32: the ray of a pixel is (columns[column], rows[row], 1)
    projection      (3, 4) float32: point in mm -> pixel of the other camera; the third is its depth
    scratch         float32, at least 10 W elements, any content
    """

class Remap:
    """Where each pixel of a result lies in a source of `height` rows of `width`, in 1/32 px.

    x, y: (H, W) float32, px; NaN = outside. Between pixels it is interpolated; what lies outside of
    the source counts as 0. Results differ from OpenCV's remap with fixed-point maps by at most one
    level.
    """

    def __init__(self, *, x: _BytesLike, y: _BytesLike, width: int, height: int) -> None: ...
    def apply(self, *, source: _BytesLike, destination: _BytesLike) -> None:
        """(height, width) -> (H, W) or (height, width, 3) -> (H, W, 3), uint8."""

# Encoders of images. GIL released; each returns a buffer and how many bytes of its start are used.
# Raise EncodeError for an image or a setting that the format cannot hold. How arrays must be:
# messages/image_codecs.py

def codecs() -> list[str]:
    """The formats of this build, of "jpeg", "png" and "rvl"."""

def encode_jpeg(*, source: _BytesLike, encoding: str, quality: int) -> tuple[Buffer, int]:
    """A JPEG of "mono8", "bgr8" or "i420", in 4:2:0; quality 1..100."""

def encode_png(*, source: _BytesLike, encoding: str, level: int) -> tuple[Buffer, int]:
    """A PNG of "mono8", "bgr8" or "i420"; level 0..9, of zlib."""

def encode_depth(
    *,
    source: _BytesLike,
    encoding: str,
    codec: str,
    png_level: int,
    depth_max: float,
    depth_quantization: float,
) -> tuple[Buffer, int]:
    """The data of a compressedDepth message of "16UC1" or "32FC1"; codec "png" or "rvl"."""

# Publishing without a copy in this package.

def has_rcl() -> bool:
    """True if the extension was built with rcl's headers and librcl is loaded in this process."""

def publish_serialized(
    *, publisher: int, buffer: Buffer, size: int, prefix: bytes, suffix: bytes = b""
) -> None:
    """Publish `prefix + buffer[:size] + suffix` as one serialised message, in place.

    `publisher` is rclpy's `publisher.handle.pointer`. The prefix goes into the headroom, the suffix
    over the bytes after the first `size`, which are restored afterwards. A lock of the buffer
    serialises concurrent calls. Raises RuntimeError with the error text of rcl, ValueError if
    prefix or suffix do not fit.
    """

def serialized(*, buffer: Buffer, size: int, prefix: bytes, suffix: bytes = b"") -> bytes:
    """The message as bytes (one copy), for `publisher.publish(bytes)`."""

def keep_large_buffers() -> None:
    """Make malloc keep large blocks (mallopt), so that frames cause no new page faults."""

def buffer_counters() -> dict[str, int]:
    """Of all `Buffer`s of this process: in_use, in_use_bytes (both now), and allocated, the
    number of times that the pool had no free memory of that size (since the start)."""

__version__: str
