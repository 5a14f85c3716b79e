"""Keeps one device connected and its streams published.

The node calls `connect()`, `start()`, `stop()` and `release()`. While streams run, a thread waits
for the loss of the device and reconnects; topics, frames and the node's state stay.
"""

from __future__ import annotations

import math
import threading
import time
import traceback
from collections.abc import Callable

from rclpy.node import Node

from ..calibration.calibration import Calibration, load
from ..config import NetworkConfig, Settings
from ..config.bandwidth import Plan, fitted, plan
from ..device.clock import StampSource
from ..device.device import OpenDevice
from ..device.pipeline import WATCHDOG_S, RunningPipeline
from ..device.reconnect import Backoff, remaining_s, search_s
from ..errors import (
    BootError,
    ConfigError,
    DepthaiError,
    DeviceNotFoundError,
    LinkError,
    ProtocolError,
)
from ..messages.context import MessageContext, camera_models, make_context
from ..messages.diagnostics import CalibrationFacts, DeviceFacts, Health, make_stream_stats
from ..msg import DeviceStatus
from .counters import Counters
from .packet_loop import PacketLoop
from .publishers import StreamPublishers
from .static_tf import FramePublisher

_LOOK_S = 0.5
#: A reconnect is a failed attempt if the device is lost again before it has streamed this long.
_STEADY_S = 10.0
#: Errors after which another attempt may succeed.
_PASSING = (DeviceNotFoundError, BootError, LinkError, ProtocolError)


class WaitEndedError(DepthaiError):
    """The node was stopped while it waited for its device."""


class Supervisor:
    """Connects, starts, watches and reconnects the device of one node.

    `settings` take effect at the next connection or start. The callbacks in `started` get the
    device after each start of its pipeline, before success is reported. `corrected` may replace the
    calibration that was read from a device. `context` belongs to the running streams.
    """

    def __init__(
        self,
        node: Node,
        settings: Settings,
        health: Health,
        on_change: Callable[[], None],
        on_given_up: Callable[[], None],
    ) -> None:
        """`on_change` is called after `health.state` has changed, `on_given_up` when the last
        attempt to reconnect has failed; both from any thread.
        """
        self.device: OpenDevice | None = None
        self.calibration: Calibration | None = None
        self.pipeline: RunningPipeline | None = None
        self.network: NetworkConfig | None = None
        self.context: MessageContext | None = None
        self.started: list[Callable[[OpenDevice], None]] = []
        self.corrected: Callable[[Calibration, OpenDevice], Calibration] = _as_read
        self._node = node
        self._settings = settings
        self._health = health
        self._on_change = on_change
        self._on_given_up = on_given_up
        self._publishers: StreamPublishers | None = None
        self._loop: PacketLoop | None = None
        self._stamps = StampSource()
        self._counters = Counters(node, health, Plan())
        self._link_warning = ""  # the last one about bandwidth
        self._memory: tuple[str, dict[str, object]] | None = None  # of `calibration`
        self._frames = FramePublisher(node)
        self._watcher: threading.Thread | None = None
        self._stopping = threading.Event()
        self._wake = threading.Event()  # set when streams have ended, or to stop
        self._loss: Exception | str = ""  # error that ended the streams, or reason of a reset
        self._back_s = -math.inf  # time of the last successful reconnect
        self._failures = 0  # failed attempts before it

    @property
    def settings(self) -> Settings:
        """The current settings. Assigning them affects only the limits of the health report."""
        return self._settings

    @settings.setter
    def settings(self, settings: Settings) -> None:
        self._settings = self._health.settings = settings

    @property
    def is_streaming(self) -> bool:
        """True while packets flow."""
        return bool(self._health.state == DeviceStatus.STATE_STREAMING)

    # -- called by the node

    def connect(self, end: threading.Event | None = None) -> None:
        """Boot the device and read its EEPROM. With `end`, waits until a device appears.

        Raises  DepthaiError; WaitEndedError if `end` was set during the wait
        """
        self._stopping.clear()
        backoff = self._new_backoff()
        while True:
            delay_s, start_s = backoff.next_delay_s(), time.monotonic()
            try:
                return self._connect(end, None if end is None else search_s(delay_s))
            except DepthaiError as cause:
                if end is not None and end.is_set():
                    self._close_device()
                    raise WaitEndedError("stopped while searching for the device") from cause
                if end is None or not self._may_come_yet(cause):
                    raise
                self._close_device()
                self._health.last_error = str(cause)
                if backoff.is_news(str(cause)):
                    self._node.get_logger().warning(f"waiting for the device: {cause}")
                if not backoff.are_left:
                    raise
            while not end.is_set() and (rest_s := remaining_s(delay_s, start_s)):
                end.wait(min(rest_s, _LOOK_S))  # in steps: Python handles signals in between
            if end.is_set():
                raise WaitEndedError("stopped while waiting for the device")

    def start(self, publishers: StreamPublishers, *, patient: bool = False) -> None:
        """Start the streams of the connected device; reconnect whenever it is lost.

        `patient`: reconnect also if the first start fails.

        Raises  DepthaiError
        """
        self._publishers = publishers
        self._stamps = StampSource(offset_ms=self.settings["sync.stamp_offset_ms"])
        self._stopping.clear()
        self._wake.clear()
        self._back_s = -math.inf
        try:
            if self.device is None:
                self._connect()
            self._start_streams()
        except DepthaiError as cause:
            if not patient or not self._may_come_yet(cause):
                raise
            self._lost(cause)
        else:
            self._report_streaming()
        self._watcher = threading.Thread(target=self._watch, name="supervisor")
        self._watcher.start()

    def restart(self, why: str) -> None:
        """Close the device and reconnect as after a loss; returns at once.

        Raises  LinkError if no streams run
        """
        if self._watcher is None:
            raise LinkError(f"{self.settings['device.id']}: no pipeline is running, cannot reset")
        if self._health.state != DeviceStatus.STATE_RECOVERING:
            self._change(DeviceStatus.STATE_RECOVERING)
            self._lost(why)

    def stop(self) -> None:
        """End the streams, or the attempts to reconnect."""
        self._stopping.set()
        self._wake.set()
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.join()
        self._end_streams()
        self._health.stream_stats, self._health.clock, self._health.link = {}, None, None
        away = self.device is None
        self._health.state = DeviceStatus.STATE_DISCONNECTED if away else DeviceStatus.STATE_BOOTING

    def release(self) -> None:
        """End the streams and close the device."""
        self.stop()
        self._close_device()
        self.calibration = None
        self._health.device = DeviceFacts()
        self._health.state = DeviceStatus.STATE_DISCONNECTED

    # -- one connection

    def _new_backoff(self) -> Backoff:
        settings = self.settings
        return Backoff(
            most=settings["reconnect.max_attempts"],
            initial_delay_s=settings["reconnect.initial_delay_s"],
            max_delay_s=settings["reconnect.max_delay_s"],
        )

    def _may_come_yet(self, cause: DepthaiError) -> bool:
        """True if waiting for the device makes sense; a virtual device starts at once or never."""
        is_virtual = self.settings["device.id"].startswith("virtual")
        return _is_passing(cause) and not is_virtual

    def _connect(self, end: threading.Event | None = None, find_s: float | None = None) -> None:
        settings = self.settings
        self.device = device = OpenDevice.open(
            settings["device.id"],
            firmware=settings["device.firmware"],
            usb2=settings["usb.force_usb2"],
            find_s=find_s,
            should_stop=(end or self._stopping).is_set,
        )
        self._read_calibration(device)
        self._node.get_logger().info(f"connected to {device.selector} {device.mx_id}".rstrip())
        self._fitted(device)  # refused before anything is started

    def _read_calibration(self, device: OpenDevice) -> Calibration:
        """The device's calibration; loaded again only if device or EEPROM have changed."""
        health, calibration = self._health, self.calibration
        if calibration is None or (device.mx_id, device.eeprom) != self._memory:
            self._memory = device.mx_id, device.eeprom
            calibration = self.corrected(load(device.eeprom, self.settings), device)
            self.calibration = calibration
            for warning in calibration.warnings:
                self._node.get_logger().warning(warning)
        if health.device.mx_id not in ("", device.mx_id):
            self._node.get_logger().warning(
                f"{device.selector} is another device now: {device.mx_id}, "
                f"it was {health.device.mx_id}"
            )
        health.device = DeviceFacts(
            mx_id=device.mx_id,
            product=calibration.board,
            firmware=device.firmware_version,
            usb_path=device.usb_path or device.selector,
            usb_speed="" if device.usb_speed == "UNKNOWN" else device.usb_speed,
            connected_ns=time.monotonic_ns(),
        )
        if health.state != DeviceStatus.STATE_RECOVERING:
            health.state = DeviceStatus.STATE_BOOTING
        self._frames.publish(self.settings, calibration)
        return calibration

    def _close_device(self) -> None:
        device, self.device = self.device, None
        if device is not None:
            device.close()

    # -- one run of the streams

    def _start_streams(self) -> PacketLoop:
        device, publishers = self.device, self._publishers
        assert device is not None
        assert publishers is not None
        settings = self._fitted(device)
        self.pipeline = pipeline = device.start_pipeline(settings, self.network)
        calibration = self._read_calibration(device)  # starting may have reconnected
        context = self._make_context(settings, calibration, pipeline)
        for callback in self.started:
            callback(device)
        planned = plan(settings, device.usb_speed, math.prod(pipeline.sizes.preview_chw))
        self._counters = Counters(self._node, self._health, planned)
        publishers.announce(context, time.time_ns())
        self.context = context
        self._loop = loop = PacketLoop(pipeline, context, publishers, self._stamps, self._lost)
        return loop

    def _fitted(self, device: OpenDevice) -> Settings:
        """Settings that fit the link's bandwidth; a new warning about them is logged once."""
        settings, words = fitted(self.settings, device.usb_speed)
        if words not in ("", self._link_warning):
            self._node.get_logger().warning(words)
        self._link_warning = words
        return settings

    def _make_context(
        self, settings: Settings, calibration: Calibration, pipeline: RunningPipeline
    ) -> MessageContext:
        health = self._health
        health.stream_stats = make_stream_stats(settings, time.monotonic_ns())
        focal_px = float(calibration.rectified(pipeline.sizes.mono).k[0, 0])
        health.calibration = CalibrationFacts(calibration.source, calibration.baseline_m, focal_px)
        label_topic = self._node.resolve_topic_name("~/nn/label_info")
        return make_context(
            settings,
            calibration,
            self.network,
            pipeline.sizes,
            self._frames.names(settings),
            health,
            label_topic,
            pipeline.nn_to_depth,
            pipeline.raw_layers,
        )

    def recalibrate(self, calibration: Calibration) -> None:
        """Use another calibration of this device from the next frame on."""
        self.calibration, context = calibration, self.context
        if context is not None:
            context.cameras.update(camera_models(self.settings, calibration, context.images.sizes))

    def _end_streams(self) -> None:
        self.context = None
        loop, self._loop = self._loop, None
        pipeline, self.pipeline = self.pipeline, None
        if loop is not None:
            loop.stop()
        elif pipeline is not None:
            pipeline.close()

    def _report_streaming(self) -> None:
        self._health.last_error = ""
        self._change(DeviceStatus.STATE_STREAMING)
        self._node.get_logger().info(f"streaming {', '.join(self._health.stream_stats)}")

    def _change(self, state: int) -> None:
        self._health.state = state
        self._on_change()

    # -- loss and recovery

    def _lost(self, loss: Exception | str) -> None:
        """Report that streams have ended, or have to end; the watcher thread handles it."""
        self._loss = loss
        self._wake.set()

    def _watch(self) -> None:
        while True:
            self._wake.wait()
            if self._stopping.is_set():
                return
            loss = self._loss
            try:
                self._end_streams()
                self._wake.clear()
                self._recover(loss)
            except Exception as cause:
                self._fail_by_bug(cause)

    def _fail_by_bug(self, cause: Exception) -> None:
        self.log_bug(cause)
        self._end_streams()
        self._change(DeviceStatus.STATE_ERROR)

    def _recover(self, loss: Exception | str) -> None:
        is_reset = isinstance(loss, str)
        if isinstance(loss, Exception) and not _is_passing(loss):
            self._fail_by_bug(loss)
            return
        logger, lost_ns = self._node.get_logger(), time.monotonic_ns()
        self._health.last_error = str(loss)
        if not is_reset and not self.settings["reconnect.enable"]:
            self._change(DeviceStatus.STATE_ERROR)
            logger.error(f"the device is lost: {loss}")
            return
        self._change(DeviceStatus.STATE_RECOVERING)
        if is_reset:
            logger.warning(f"resetting the device: {loss}")
        else:
            logger.error(f"the device is lost: {loss}; reconnecting")
        backoff = self._new_backoff()
        if not is_reset and time.monotonic() < self._back_s + _STEADY_S:
            backoff.failures = self._failures + 1
        if self._try_again(backoff):
            self._back_s, self._failures = time.monotonic(), backoff.failures
            self._health.restarts += 1
            self._report_streaming()
            away_s = (time.monotonic_ns() - lost_ns) / 1e9
            logger.info(f"the device is back, first frame after {away_s:.2f} s")

    def _try_again(self, backoff: Backoff) -> bool:
        """Reconnect. True when frames arrive again; False if stopped, or out of attempts."""
        pause_s = backoff.next_delay_s()
        while backoff.are_left:
            self._close_device()
            if self._stopping.wait(pause_s):
                return False
            delay_s, start_s = backoff.next_delay_s(), time.monotonic()
            try:
                self._connect(find_s=search_s(delay_s))
                self._stamps.device_restarted()
                if self._await_frame(self._start_streams()):
                    return True
            except DepthaiError as cause:
                if not _is_passing(cause) and not isinstance(cause, ConfigError):
                    raise
                self._end_streams()
                if self._stopping.is_set():
                    return False
                self._health.last_error = str(cause)
                if backoff.is_news(str(cause)):
                    self._node.get_logger().warning(
                        f"reconnect attempt {backoff.failures} failed: {cause}"
                    )
            if self._stopping.is_set():
                return False
            pause_s = remaining_s(delay_s, start_s)
        last = self._health.last_error
        self._node.get_logger().error(
            f"gave up after {backoff.failures} reconnect attempts (reconnect.max_attempts); "
            f"last error: {last}"
        )
        self._close_device()
        self._change(DeviceStatus.STATE_ERROR)
        self._on_given_up()
        return False

    def _await_frame(self, loop: PacketLoop) -> bool:
        """True after the first frame, or if none came in time; False if stopped.

        Raises  the error that ended the streams before
        """
        end_s = time.monotonic() + 2 * WATCHDOG_S
        while time.monotonic() < end_s and not loop.first_frame.wait(0.05):
            if self._stopping.is_set():
                return False
            if self._wake.is_set() and isinstance(self._loss, Exception):
                self._wake.clear()
                raise self._loss
        return True

    def log_bug(self, cause: Exception) -> None:
        """Log an exception that only a bug in this driver can cause."""
        self._health.last_error = f"bug: {cause!r}"
        words = "".join(traceback.format_exception(cause))
        self._node.get_logger().fatal(f"bug in the driver:\n{words}")

    # -- reports

    def read_counters(self) -> None:
        """Copy the counters of the running streams into the health report."""
        loop, device = self._loop, self.device
        if loop is None or device is None:
            return
        self._counters.read(loop, self._stamps, device)


def _as_read(calibration: Calibration, _device: OpenDevice) -> Calibration:
    return calibration


def _is_passing(cause: Exception | str) -> bool:
    """True for errors caused by a device or its cable; False for bugs of this driver."""
    by_us = isinstance(cause, ProtocolError) and cause.culprit == "host"
    return isinstance(cause, _PASSING) and not by_us
