"""The session with one device: connect, configure, load networks, send commands, reset.

An `OpenDevice` is booted and connected; `start_pipeline()` configures it and opens its streams. A
device runs one pipeline per boot: ending it resets the device, starting another reconnects.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from .. import _core
from ..blob_header import resource_warning
from ..bounded import device_json
from ..calibration import gen1_file
from ..cameras import FOCUS_MODES
from ..config import NetworkConfig, Settings, device_config, read_blob, wire_streams
from ..errors import (
    ConfigError,
    DecodeError,
    DeviceNotFoundError,
    LinkError,
    LinkTimeoutError,
    ProtocolError,
)
from ..streams import (
    CONFIG_D2H_WINDOW,
    CONFIG_H2D_BYTES,
    HOST_CAPTURE_BYTES,
    HOST_CAPTURE_WINDOW,
    NETWORK_PACKET_BYTES,
    OUT_BLOB_WINDOW,
    RESET_COMMAND,
    STREAMS,
    window_bytes,
)
from .connect import LINKS, Wishes, check_selector, closed_early
from .device_lock import DeviceLocks
from .documents import Layers, NetworkResources, read_board, usable_id
from .pipeline import RunningPipeline

_log = logging.getLogger(__name__)

#: How long the packet queue lasts while its consumer gets no processor, as in bursts of other work.
_QUEUE_S = 2.0
_QUEUE_LEAST = 8
#: Its memory: two seconds of all default streams, but only a part of a small computer's memory.
_QUEUE_BYTES = min(512 << 20, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 8)
#: A device accepts a command at once; after this long the command fails.
_COMMAND_S = 2.0


class OpenDevice:
    """A booted, connected device."""

    def __init__(
        self,
        selector: str,
        timeout_s: float,
        find_s: float | None,
        firmware: str,
        usb2: bool,
        should_stop: Callable[[], bool] | None,
    ) -> None:
        self.selector = selector
        self._timeout_s = timeout_s
        self._locks = DeviceLocks()
        self._wishes = Wishes(timeout_s, find_s, firmware, usb2, should_stop, self._locks)
        try:
            self._connect()
        except BaseException:
            self._locks.release()
            raise
        self._wishes = replace(self._wishes, find_s=None)  # after a reset: wait longer

    @classmethod
    def open(
        cls,
        selector: str,
        *,
        firmware: str = "",
        usb2: bool = False,
        timeout_s: float = 10.0,
        find_s: float | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> OpenDevice:
        """Find, boot and connect to a device.

        `selector` is usb, usb:PORT, usb:BUS:PORT, usb:MX_ID, virtual, virtual:SCENE, unix:/path
        or tcp:host:port. `firmware` is the path of the image for a board on USB, or of the official
        wheel; from the wheel `usb2` selects the variant that stays at USB 2 speed. The device is
        locked against other programs until it is closed. A search on USB lasts `find_s` (None:
        `timeout_s`); `should_stop` ends the search and the wait for the first answers early.
        Raises  ConfigError for a malformed selector; DeviceNotFoundError, with the reason "busy"
                if another program uses the device; LinkError; BootError; ProtocolError if the
                device's description of itself is malformed
        """
        return cls(selector, timeout_s, find_s, firmware, usb2, should_stop)

    def _connect(self) -> None:
        scheme, rest = check_selector(self.selector)
        connection = LINKS[scheme](rest, self._wishes)
        self._process = connection.process
        self.mx_id = usable_id(connection.mx_id)
        self.usb_speed, self.usb_path = connection.usb_speed, connection.usb_path
        self._link = _core.Link(
            transport=connection.transport, role="host", max_queued_bytes=_QUEUE_BYTES
        )
        self._pipeline: RunningPipeline | None = None
        self._packet_bytes: Mapping[str, int] = {}
        self._is_configured = False
        try:
            with closed_early(self._link, self._wishes.should_stop):
                self._link.ping(timeout_s=self._timeout_s)
                self._read_board()
        except LinkError as cause:
            status = self._disconnect()
            if status:
                raise DeviceNotFoundError(
                    f"{self.selector}: the virtual device ended with status {status} "
                    "before it answered; its output is above"
                ) from cause
            raise
        except ProtocolError:
            self._disconnect()
            raise

    def _read_document(self, stream: str, most_bytes: int) -> dict[str, Any]:
        """One JSON object from a session stream."""
        self._link.open_stream(name=stream, window_bytes=most_bytes, timeout_s=self._timeout_s)
        packet = self._link.read(name=stream, timeout_s=self._timeout_s)
        self._link.close_stream(name=stream, timeout_s=self._timeout_s)
        with _malformed_by_device():
            return device_json(packet.buffer, what=stream, max_bytes=most_bytes)

    def _read_board(self) -> None:
        document = self._read_document("config_d2h", CONFIG_D2H_WINDOW)
        with _malformed_by_device():
            board = read_board(document)
        self.cameras, self.eeprom = board.cameras, board.eeprom
        self.available_streams = board.available_streams
        self.firmware_version = board.firmware_version
        self.mx_id = self.mx_id or board.mx_id

    def _write_once(self, stream: str, parts: Sequence[Any]) -> None:
        """Open, write one packet, close (which waits until the device has read it)."""
        size = sum(memoryview(part).nbytes for part in parts)
        timeout_s = self._timeout_s
        self._link.open_stream(name=stream, window_bytes=size, timeout_s=timeout_s)
        self._link.write(name=stream, parts=parts, timeout_s=timeout_s)
        self._link.close_stream(name=stream, timeout_s=timeout_s)

    def start_pipeline(
        self,
        settings: Settings,
        network: NetworkConfig | None = None,
        *,
        capacity_per_stream: int | None = None,
        capacity: int = 1 << 20,
    ) -> RunningPipeline:
        """Configure the device and open its streams.

        `capacity_per_stream` and `capacity` (all streams together) limit the packets in the queue;
        None: two seconds of the fastest camera. The link limits their memory, too.

        Raises  ConfigError if the device lacks a stream or the resources for the network, or if
                the network is too large for a stream; LinkError, ProtocolError
        """
        order = self._opening_order(wire_streams(settings))
        blobs = [read_blob(path) for path in _blob_paths(settings)]
        calibration = calibration_to_send(settings)
        document = device_config(
            settings,
            network=network,
            blob_sizes=[len(blob) for blob in blobs],
            calibration_floats=calibration.floats,
            center_crop=calibration.center_crop,
        )
        length = capacity_per_stream or _queue_length(settings)
        queue = _core.PacketQueue(capacity=capacity, capacity_per_stream=length)
        text = _as_text("configuration", document)
        if self._is_configured or not self._link.is_up:
            self.reset()
            self._connect()
        with closed_early(self._link, self._wishes.should_stop):
            self._configure(text)
            layers = self._load_networks(blobs, document)
            self._packet_bytes = _network_packets(layers, order)
            for name in order:
                self.open_data(name, queue)
        self._pipeline = RunningPipeline(self, queue, settings, network, order, layers)
        return self._pipeline

    def open_data(self, stream: str, queue: _core.PacketQueue) -> None:
        """Open a stream, so that the device sends it into a queue. Raises LinkError."""
        packet_bytes = self._packet_bytes.get(stream, STREAMS[stream].max_packet_bytes)
        self._link.open_stream(name=stream, window_bytes=window_bytes(packet_bytes), queue=queue)

    def close_data(self, stream: str) -> None:
        """Close a stream; the device sends it again after `open_data()`. Raises LinkError."""
        self._link.close_stream(name=stream, timeout_s=self._timeout_s)

    def _opening_order(self, streams: Sequence[str]) -> tuple[str, ...]:
        """The streams in the order in which the device lists them; both sides open them so."""
        for name in streams:
            if name not in self.available_streams:
                raise ConfigError(
                    f"device does not provide stream {name!r}, "
                    f"it provides {', '.join(self.available_streams)}"
                )
        return tuple(sorted(streams, key=self.available_streams.index))

    def _configure(self, text: bytes) -> None:
        """Send the configuration; a device accepts one per boot."""
        self._is_configured = True
        self._write_once("config_h2d", [text, bytes(CONFIG_H2D_BYTES - len(text))])
        self._link.open_stream(name="host_capture", window_bytes=HOST_CAPTURE_WINDOW)

    def _load_networks(self, blobs: Sequence[bytes], document: Mapping[str, Any]) -> Layers:
        layers = Layers()
        for index, blob in enumerate(blobs):
            ai = document["ai"]
            if warning := resource_warning(blob, ai["shaves"], ai["cmx_slices"]):
                _log.warning("%s", warning)
            self._write_once("inBlob", [blob])
            answer = self._read_document("outBlob", OUT_BLOB_WINDOW)
            with _malformed_by_device():
                resources = layers.add(answer, first=index == 0)
            if not resources.granted:
                raise ConfigError(
                    f"ai.shaves is {document['ai']['shaves']}: the device has not enough resources "
                    "for network and cameras together; lower ai.shaves or the rgb resolution, or "
                    "remove object_tracker from stream_list"
                )
            if _needs_more(resources, document["ai"]):
                break
        return layers

    def write_board(self, document: Mapping[str, Any]) -> None:
        """Make a running device write its EEPROM; it reports the result on `meta_d2h`.

        `document` has "board" and "_board" as in config_h2d.
        Raises  LinkError, ProtocolError; ConfigError if `document` is too large
        Source  docs/wire_format.md#eeprom
        """
        text = _as_text("board document", document)
        self._read_document("config_d2h", CONFIG_D2H_WINDOW)  # the device offers both, in order
        self._write_once("config_h2d", [text, bytes(CONFIG_H2D_BYTES - len(text))])

    # -- commands; they need a running pipeline

    def _command(self, data: bytes) -> None:
        if not self._link.has_stream(name="host_capture"):
            raise LinkError(f"{self.selector}: no pipeline is running, commands have no effect")
        if not self._link.write(name="host_capture", parts=[data], timeout_s=_COMMAND_S):
            raise LinkTimeoutError(
                f"{self.selector}: the device has not accepted the previous command within "
                f"{_COMMAND_S:g} s"
            )

    def _capture(self, command: int, argument: int = 0) -> None:
        self._command(bytes([command, argument]).ljust(HOST_CAPTURE_BYTES, b"\0"))

    def capture_still(self) -> None:
        """Send one still image on `jpegout`."""
        self._capture(1)

    def trigger_autofocus(self) -> None:
        """Focus once."""
        self._capture(2)

    def set_autofocus_mode(self, mode: int) -> None:
        """A number of `FOCUS_MODES`."""
        last = len(FOCUS_MODES) - 1
        if not 0 <= mode <= last:
            raise ConfigError(f"autofocus mode is {mode}, must be between 0 and {last}")
        self._capture(3, mode)

    def set_disparity_confidence(self, threshold: int) -> None:
        """0..255; pixels with a higher matching cost become invalid."""
        if not 0 <= threshold <= 255:
            raise ConfigError(f"disparity confidence is {threshold}, must be between 0 and 255")
        self._command(bytes([threshold]))

    def control_camera(self, camera: int, command: int, arguments: str = "") -> None:
        """Send one camera control; numbers and arguments: docs/wire_format.md#commands."""
        words = f"3A {command} {camera}" + (f" {arguments}" if arguments else "")
        text = words.encode() + b"\0"
        if len(text) > HOST_CAPTURE_WINDOW:
            raise ConfigError(
                f"camera control has {len(text)} bytes, at most {HOST_CAPTURE_WINDOW}"
            )
        self._command(text)

    # -- the end

    @property
    def is_connected(self) -> bool:
        """True while the link is up."""
        return self._link.is_up

    def link_counters(self) -> dict[str, int]:
        """Counters of the link: bytes, packets and requests in both directions."""
        return self._link.counters()

    def _disconnect(self) -> int:
        """Close the link; returns the exit status of the virtual device's process, else 0."""
        self._link.close()
        process, self._process = self._process, None
        return process.wait() if process else 0

    def close(self) -> None:
        """Reset the device and release its locks. May be called twice."""
        self.reset()
        self._locks.release()

    def reset(self) -> None:
        """Reset the device; it stays locked, and `start_pipeline()` reconnects."""
        pipeline, self._pipeline = self._pipeline, None  # breaks the reference cycle
        if pipeline is not None:
            pipeline.stop()
        with contextlib.suppress(LinkError):  # the device may reboot before it answers
            if self._link.is_up:
                if self._link.has_stream(name="host_capture"):
                    self._link.write(
                        name="host_capture",
                        parts=[RESET_COMMAND],
                        timeout_s=1.0,
                        wait_response=False,
                    )
                self._link.reset(timeout_s=2.0)
        self._disconnect()


def _as_text(name: str, document: Mapping[str, Any]) -> bytes:
    """A document for `config_h2d` as JSON.

    Raises  ConfigError if it is too large, or holds a number that is not finite
    """
    try:
        text = json.dumps(document, allow_nan=False).encode()
    except ValueError as cause:
        raise ConfigError(f"{name} holds a number that is not finite") from cause
    if len(text) >= CONFIG_H2D_BYTES:
        raise ConfigError(f"{name} has {len(text)} bytes, must have less than {CONFIG_H2D_BYTES}")
    return text


def _queue_length(settings: Settings) -> int:
    """Packets of one stream in the queue."""
    fastest_hz: float = max(settings["camera.mono.fps"], settings["camera.rgb.fps"])
    return max(_QUEUE_LEAST, math.ceil(_QUEUE_S * fastest_hz))


def calibration_to_send(settings: Settings) -> gen1_file.CalibrationFile:
    """The calibration file, if an option tells the device to store or use it; else empty."""
    wanted = settings["board_config.store_to_eeprom"] or settings["board_config.override_eeprom"]
    path = settings["depth.calibration_file"]
    if wanted and path:
        return gen1_file.read(path)
    return gen1_file.CalibrationFile(())


def _network_packets(layers: Layers, streams: Sequence[str]) -> dict[str, int]:
    """The largest packets of the streams whose size the networks decide. Raises ConfigError."""
    sizes = layers.packet_bytes()
    for name in streams:
        if sizes.get(name, 0) > NETWORK_PACKET_BYTES:
            raise ConfigError(
                f"the network needs packets of {sizes[name]} bytes on stream {name}, at most "
                f"{NETWORK_PACKET_BYTES}: use a smaller network, or remove {name} from stream_list"
            )
    return sizes


def _needs_more(resources: NetworkResources, granted: Mapping[str, Any]) -> bool:
    """True if a network was compiled for more resources than it gets; Gen1 continues without it."""
    for key in ("shaves", "cmx_slices"):
        needed = getattr(resources, key)
        if needed > granted[key]:
            _log.error(
                "the network was compiled for ai.%s %s, it gets %s", key, needed, granted[key]
            )
            return True
    return False


@contextlib.contextmanager
def _malformed_by_device() -> Iterator[None]:
    """What a device sent breaks the session. Raises ProtocolError for a DecodeError."""
    try:
        yield
    except DecodeError as cause:
        raise ProtocolError(str(cause)) from cause


def _blob_paths(settings: Settings) -> list[str]:
    return [path for key in ("ai.blob_file", "ai.blob_file2") if (path := settings[key])]
