"""Keeps one device connected and its streams published.

The node calls `connect()`, `start()`, `stop()` and `release()`. While streams run, a thread waits
for the loss of the device and reconnects; topics, frames and the node's state stay.
"""

from __future__ import annotations

import math
import threading
import time
import traceback
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from functools import partial

from rclpy.node import Node

from ..calibration.calibration import Calibration, load
from ..config import NetworkConfig, Settings
from ..config.bandwidth import Plan, fitted, plan
from ..config.settings import shows_rgb
from ..config.unused import Unused, without_camera
from ..device.clock import StampSource
from ..device.device import OpenDevice
from ..device.pipeline import RunningPipeline
from ..device.reconnect import Backoff, Recovery, Repeats, is_bug
from ..errors import BootError, DepthaiError, DeviceNotFoundError, LinkError, ProtocolError
from ..messages.context import MessageContext, camera_models, make_context
from ..messages.diagnostics import CalibrationFacts, DeviceFacts, Health
from ..messages.stream_stats import make_stream_stats
from ..msg import DeviceStatus
from .counters import Counters
from .packet_loop import PacketLoop
from .publishers import StreamPublishers
from .static_tf import FramePublisher

#: Errors after which a device may still appear.
_PASSING = (DeviceNotFoundError, BootError, LinkError, ProtocolError)


class WaitEndedError(DepthaiError):
    """The node was stopped while it waited for its device."""


class Supervisor:
    """Connects, starts and reconnects the device of one node.

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
        stop: threading.Event,
    ) -> None:
        """`on_change` is called after `health.state` has changed, `on_given_up` when the last
        attempt to reconnect has failed; both from any thread. `stop` ends every wait and search.
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
        self._stop = stop
        self._publishers: StreamPublishers | None = None
        self._loop: PacketLoop | None = None
        self._stamps = StampSource()
        self._counters = Counters(node, health, Plan())
        self._link_warning = ""  # the last one about bandwidth
        self._memory: tuple[str, dict[str, object]] | None = None  # of `calibration`
        self._frames = FramePublisher(node)
        self._recovery: Recovery | None = None  # while streams run or are being recovered
        self._losses, self._bugs, self._failures = Repeats(), Repeats(), Repeats()

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

    def connect(self, *, patient: bool = False) -> None:
        """Boot the device and read its EEPROM. `patient`: wait until a device appears.

        Raises  DepthaiError; WaitEndedError if the node was stopped meanwhile
        """
        backoff = Backoff.of(self.settings, at_once=True)
        for find_s in backoff.attempts(self._stop.wait):
            try:
                return self._connect(find_s if patient else None)
            except DepthaiError as cause:
                self._close_device()
                if self._stop.is_set():
                    break
                backoff.failed(cause)
                if not patient or not self._may_come_yet(cause):
                    raise
                self._health.last_error = str(cause)
                if line := self._failures.text(str(cause)):
                    self._node.get_logger().warning(f"waiting for the device: {line}")
                if not backoff.are_left:
                    raise
        raise WaitEndedError("stopped while waiting for the device")

    def start(self, publishers: StreamPublishers, *, patient: bool = False) -> None:
        """Start the streams of the connected device; reconnect whenever it is lost.

        `patient`: reconnect also if the first start fails.

        Raises  DepthaiError
        """
        self._publishers = publishers
        self._stamps = StampSource(offset_ms=self.settings["sync.stamp_offset_ms"])
        self._recovery = recovery = Recovery(self)
        try:
            if self.device is None:
                self._connect()
            self._start_streams()
        except DepthaiError as cause:
            if not patient or not self._may_come_yet(cause):
                raise
            recovery.lost(recovery.run, cause)
        else:
            self._report_streaming()
        recovery.begin()

    def restart(self, why: str) -> None:
        """Close the device and reconnect as after a loss; returns at once.

        Raises  LinkError if no streams run
        """
        if self._recovery is None:
            raise LinkError(f"{self.settings['device.id']}: no pipeline is running, cannot reset")
        if self._health.state != DeviceStatus.STATE_RECOVERING:
            self._change(DeviceStatus.STATE_RECOVERING)
            self._recovery.demand(why)

    def stop(self) -> None:
        """End the streams, or the attempts to reconnect."""
        if self._recovery is not None:
            self._recovery.end()
            self._recovery = None
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

    def _must_stop(self) -> bool:
        """True if the connection or the start in progress is not needed any more."""
        recovery = self._recovery
        return self._stop.is_set() or (recovery is not None and recovery.has_ended)

    # -- one connection

    def _may_come_yet(self, cause: DepthaiError) -> bool:
        """True if waiting for the device makes sense; a virtual device starts at once or never."""
        is_virtual = self.settings["device.id"].startswith("virtual")
        return isinstance(cause, _PASSING) and not is_bug(cause) and not is_virtual

    def _connect(self, find_s: float | None = None) -> None:
        settings = self.settings
        self.device = device = OpenDevice.open(
            settings["device.id"],
            firmware=settings["device.firmware"],
            usb2=settings["usb.force_usb2"],
            find_s=find_s,
            should_stop=self._must_stop,
        )
        self.warn_unused("cameras", without_camera(settings, device.cameras))
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
            if calibration.rgb_warning and shows_rgb(self.settings):
                logger = self._node.get_logger()
                is_asked_for = calibration.nominal_rgb and not calibration.is_rgb_refused
                (logger.info if is_asked_for else logger.warning)(calibration.rgb_warning)
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
        device, publishers, recovery = self.device, self._publishers, self._recovery
        assert device is not None
        assert publishers is not None
        assert recovery is not None
        settings = self._fitted(device)
        self.pipeline = pipeline = device.start_pipeline(settings, self.network)
        calibration = self._read_calibration(device)  # starting may have reconnected
        context = self._make_context(settings, calibration, pipeline, publishers)
        for callback in self.started:
            callback(device)
        planned = plan(settings, device.usb_speed, math.prod(pipeline.sizes.preview_chw))
        self._counters = Counters(self._node, self._health, planned)
        publishers.announce(context, time.time_ns())
        self.context = context
        lost = partial(recovery.lost, recovery.run)
        self._loop = loop = PacketLoop(pipeline, context, publishers, self._stamps, lost)
        return loop

    def _fitted(self, device: OpenDevice) -> Settings:
        """Settings that fit the link's bandwidth; a new warning about them is logged once."""
        settings, words = fitted(self.settings, device.usb_speed)
        if words not in ("", self._link_warning):
            self._node.get_logger().warning(words)
        self._link_warning = words
        return settings

    def _make_context(
        self,
        settings: Settings,
        calibration: Calibration,
        pipeline: RunningPipeline,
        publishers: StreamPublishers,
    ) -> MessageContext:
        health, outputs = self._health, publishers.outputs
        health.stream_stats = make_stream_stats(
            settings, time.monotonic_ns(), outputs, publishers.compressed
        )
        focal_px = float(calibration.rectified(pipeline.sizes.mono).k[0, 0])
        health.calibration = CalibrationFacts(calibration.source, calibration.baseline_m, focal_px)
        self._describe_rgb(calibration)
        label_topic = self._node.resolve_topic_name("~/nn/label_info")
        context = make_context(
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
        self._warn_of_outputs(context, outputs)
        return context

    def _warn_of_outputs(self, context: MessageContext, outputs: Collection[str]) -> None:
        problems = context.derived.problems
        self.warn_unused(
            "outputs", (Unused(problems[name], name) for name in problems if name in outputs)
        )

    def _describe_rgb(self, calibration: Calibration) -> None:
        if facts := self._health.calibration:
            refused = calibration.is_rgb_refused and shows_rgb(self.settings)
            self._health.calibration = replace(
                facts, rgb_warning=calibration.rgb_warning, is_rgb_refused=refused
            )

    def recalibrate(self, calibration: Calibration) -> None:
        """Use another calibration of this device from the next frame on."""
        self.calibration, context = calibration, self.context
        self._describe_rgb(calibration)
        if context is not None:
            context.derived.calibrate(calibration)
            models = camera_models(self.settings, calibration, context.images.sizes)
            context.cameras.update(models | context.derived.models)
            self._warn_of_outputs(context, self._health.stream_stats)

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
        stats = self._health.stream_stats
        streams = [name for name, row in stats.items() if not row.is_unused]
        self._node.get_logger().info(f"streaming {', '.join(streams)}")

    def _change(self, state: int) -> None:
        self._health.state = state
        self._on_change()

    # -- called by the recovery; see `Recoverable`

    def on_loss(self, loss: Exception | str) -> Backoff | None:
        """Log it; no recovery if `reconnect.enable` is false, unless the user demands it."""
        logger, is_demanded = self._node.get_logger(), isinstance(loss, str)
        self._health.last_error = str(loss)
        if isinstance(loss, Exception) and is_bug(loss):
            self.log_bug(loss)
        if not is_demanded and not self.settings["reconnect.enable"]:
            self._change(DeviceStatus.STATE_ERROR)
            logger.error(f"the device is lost: {loss}")
            return None
        self._change(DeviceStatus.STATE_RECOVERING)
        if is_demanded:
            logger.warning(f"resetting the device: {loss}")
        elif line := self._losses.text(str(loss)):
            logger.error(f"the device is lost: {line}; reconnecting")
        return Backoff.of(self.settings)

    def end_pipeline(self) -> None:
        """End the streams and close the device."""
        self._end_streams()
        self._close_device()

    def start_pipeline(self, find_s: float) -> None:
        """Connect, start the streams, and wait for the first frame."""
        assert self._recovery is not None
        self._connect(find_s)
        self._stamps.device_restarted()
        loop = self._start_streams()
        assert self.pipeline is not None
        self._recovery.wait_for_frame(loop.first_frame, 2 * self.pipeline.watchdog_s)

    def on_failure(self, cause: Exception, failures: int) -> None:
        """Log a failed attempt to reconnect."""
        if is_bug(cause):
            self.log_bug(cause)
            return
        self._health.last_error = str(cause)
        if line := self._failures.text(str(cause)):
            self._node.get_logger().warning(f"reconnect attempt {failures} failed: {line}")

    def on_return(self, away_s: float) -> None:
        """Report that frames arrive again."""
        self._health.restarts += 1
        self._report_streaming()
        self._node.get_logger().info(f"the device is back, first frame after {away_s:.2f} s")

    def on_giving_up(self, backoff: Backoff) -> None:
        """Report it, and let the node leave the active state."""
        self._node.get_logger().error(
            f"gave up after {backoff.summary}; last error: {self._health.last_error}"
        )
        self._change(DeviceStatus.STATE_ERROR)
        self._on_given_up()

    def log_bug(self, cause: Exception) -> None:
        """Log an exception that only a bug in this driver can cause."""
        self._health.last_error = f"bug: {cause!r}"
        if line := self._bugs.text("".join(traceback.format_exception(cause))):
            self._node.get_logger().fatal(f"bug in the driver:\n{line}")

    # -- reports

    def warn_unused(self, source: str, rows: Iterable[Unused]) -> None:
        """Put what is not used into the health report, and log it once."""
        for text in self._health.unused.report(source, rows):
            self._node.get_logger().warning(text)

    def read_counters(self) -> None:
        """Copy the counters of the running streams into the health report."""
        loop, device = self._loop, self.device
        if loop is None or device is None:
            return
        self._counters.read(loop, self._stamps, device)


def _as_read(calibration: Calibration, _device: OpenDevice) -> Calibration:
    return calibration
