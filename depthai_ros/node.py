"""The camera node: a managed ROS 2 node around one device.

`main()` starts it by itself unless the parameter `autostart` is false. The executor has a thread of
its own, because booting a device takes seconds in which parameters and diagnostics have to answer;
the main thread starts the node and then waits for a signal.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.signals import SignalHandlerOptions
from tf2_msgs.msg import TFMessage

from . import _core
from .calibration import Calibration, load
from .clock import StampSource
from .config import NetworkConfig, check_network, read_blob, read_network_config
from .device import Device
from .diagnostics import (
    CalibrationFacts,
    ClockFacts,
    DeviceFacts,
    Health,
    make_meters,
)
from .errors import ConfigError, DepthaiError, LinkError
from .messages import ros_time, static_transforms
from .msg import DeviceStatus
from .publishing import Outlets, PacketLoop
from .rig import Sizes, frame_ids, make_rig
from .ros_parameters import check_qos_overrides, declare_options

DEFAULT_NAME = "oak"
#: Exit status when autostart fails: what the user wrote is wrong, or the device is not there.
EXIT_CONFIG, EXIT_DEVICE = 2, 3
_DIAGNOSTICS_DEPTH = 10
_REJECTED_WARN_S = 10.0


class CameraNode(LifecycleNode):  # type: ignore[misc]  # rclpy's types are not used here
    """Publishes the streams of one device while it is active."""

    def __init__(self) -> None:
        super().__init__(DEFAULT_NAME)
        self.failure: DepthaiError | None = None
        self.settings, self._refused = declare_options(self)
        self._health = Health(self.get_name(), self.settings)
        self._device: Device | None = None
        self._calibration: Calibration | None = None
        self._network: NetworkConfig | None = None
        self._outlets: Outlets | None = None
        self._loop: PacketLoop | None = None
        self._stamps: StampSource | None = None
        # Publishers are destroyed by a transition while the report counts their subscribers.
        self._outlets_lock = threading.Lock()
        self._rejected: dict[str, int] = {}
        self._tf_publisher: Publisher[TFMessage] | None = None
        self._diagnostics = self.create_publisher(
            DiagnosticArray, "/diagnostics", _DIAGNOSTICS_DEPTH
        )
        period_s = self.settings["diagnostics.period_s"]
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(period_s, self._report, clock=steady)

    # -- transitions

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Check the parameters, connect to the device, announce the topics."""
        return self._attempt(self._configure, self._release)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start the streams."""
        return self._attempt(self._activate, self._stop_streams)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop the streams; the topics stay."""
        return self._attempt(self._stop_streams)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of the device and take the topics away."""
        return self._attempt(self._release)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """The same from every state, for good."""
        return self._attempt(self._release)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """After a bug: back to the beginning."""
        return self._attempt(self._release)

    def _attempt(
        self, step: Callable[[], None], undo: Callable[[], None] = lambda: None
    ) -> TransitionCallbackReturn:
        """One transition. What users can cause is told in one sentence and may be tried again."""
        try:
            step()
        except DepthaiError as cause:
            self.failure = cause
            self._health.last_error = str(cause)
            self.get_logger().error(str(cause))
            undo()
            return TransitionCallbackReturn.FAILURE
        except Exception as cause:  # rclpy would swallow it without a word
            self._log_bug(cause)
            return TransitionCallbackReturn.ERROR
        return TransitionCallbackReturn.SUCCESS

    def _log_bug(self, cause: Exception) -> None:
        self._health.last_error = f"bug: {cause!r}"
        words = "".join(traceback.format_exception(cause))
        self.get_logger().fatal(f"this is a bug of the driver:\n{words}")

    def _configure(self) -> None:
        if self._refused is not None:
            raise self._refused
        settings = self.settings
        self._health.last_error = ""
        if self.get_parameter("use_sim_time").value:
            self.get_logger().warning(
                "use_sim_time is true, but a camera lives in real time: stamps are system time"
            )
        self._network = None
        if settings["ai.blob_file"]:
            self._network = read_network_config(
                settings["ai.blob_file_config"],
                confidence_threshold=settings["depth.confidence_threshold"],
            )
            check_network(settings, self._network)
        for key in ("ai.blob_file", "ai.blob_file2"):
            if settings[key]:
                read_blob(settings[key])
        decoded = self._network is not None and self._network.output_format == "detection"
        self._outlets = Outlets(self, settings, decoded=decoded)
        check_qos_overrides(self, settings)
        self._connect()

    def _connect(self) -> None:
        """Boot the device and read its memory. Trying again, with pauses, belongs here."""
        self._device = device = Device.open(
            self.settings["device.id"], firmware=self.settings["device.firmware"]
        )
        self._calibration = calibration = load(device.eeprom, self.settings)
        for warning in calibration.warnings:
            self.get_logger().warning(warning)
        self._health.device = DeviceFacts(
            mx_id=device.mx_id,
            product=calibration.board,
            firmware=device.firmware_version,
            usb_path=device.selector,
            usb_speed="" if device.usb_speed == "UNKNOWN" else device.usb_speed,
            connected_ns=time.monotonic_ns(),
        )
        self._health.state = DeviceStatus.STATE_BOOTING
        self._publish_frames(calibration)
        self.get_logger().info(f"connected to {device.selector} {device.mx_id}".rstrip())

    def _frames(self) -> dict[str, str]:
        return frame_ids(self.settings["tf.prefix"] or self.get_name())

    def _publish_frames(self, calibration: Calibration) -> None:
        if self.settings["tf.source"] != "calibration":
            return
        if self._tf_publisher is None:
            latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
            self._tf_publisher = self.create_publisher(TFMessage, "/tf_static", latched)
        parent = self.settings["tf.parent_frame"]
        frames, poses = self._frames(), calibration.poses()
        self._tf_publisher.publish(static_transforms(frames, poses, parent, time.time_ns()))

    def _activate(self) -> None:
        device, calibration, outlets = self._device, self._calibration, self._outlets
        assert device is not None
        assert calibration is not None
        assert outlets is not None
        pipeline = device.start_pipeline(self.settings, self._network)
        sizes = Sizes(
            pipeline.mono_size, pipeline.rgb_size, pipeline.preview_size, pipeline.nn_to_depth
        )
        health = self._health
        health.meters = make_meters(self.settings, time.monotonic_ns())
        label_topic = self.resolve_topic_name("~/nn/label_info")
        rig = make_rig(
            self.settings, calibration, self._network, sizes, self._frames(), health, label_topic
        )
        focal_px = float(calibration.rectified(sizes.mono).k[0, 0])
        health.calibration = CalibrationFacts(calibration.source, calibration.baseline_m, focal_px)
        health.state, health.last_error = DeviceStatus.STATE_STREAMING, ""
        self._rejected = {}
        self._stamps = StampSource(offset_ms=self.settings["sync.stamp_offset_ms"])
        outlets.announce(rig, time.time_ns())
        self._publish_status()
        self._loop = PacketLoop(pipeline, rig, outlets, self._stamps, self._lost)
        self.get_logger().info(f"streaming {', '.join(health.meters)}")

    def _lost(self, cause: Exception) -> None:
        """The streams ended by themselves. The node stays; connecting anew belongs here."""
        self._health.last_error = str(cause)
        self._health.state = DeviceStatus.STATE_ERROR
        self._publish_status()
        if isinstance(cause, LinkError):
            self.get_logger().error(f"the device is lost: {cause}")
        else:
            self._log_bug(cause)

    def _stop_streams(self) -> None:
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.stop()
        self._health.meters, self._health.clock = {}, None
        if self._device is not None:
            self._health.state = DeviceStatus.STATE_BOOTING

    def _release(self) -> None:
        self._stop_streams()
        device, self._device = self._device, None
        if device is not None:
            device.close()
        self._health.device = DeviceFacts()
        self._health.state = DeviceStatus.STATE_DISCONNECTED
        with self._outlets_lock:
            outlets, self._outlets = self._outlets, None
            if outlets is not None:
                outlets.destroy()

    # -- reports

    def _report(self) -> None:
        """Publish what is known; the device is not asked."""
        now_ns, stamp = time.monotonic_ns(), ros_time(time.time_ns())
        loop, health = self._loop, self._health
        if loop is not None:
            self._read_counters(loop)
        while health.logs:
            self.get_logger().info(f"device: {health.logs.popleft()}")
        with self._outlets_lock:
            outlets = self._outlets
            subscribers = outlets.subscribers() if outlets is not None else {}
        if health.state != DeviceStatus.STATE_STREAMING:  # else the device's own reports do it
            self._publish_status()
        self._diagnostics.publish(health.diagnostics(stamp, now_ns, subscribers))

    def _publish_status(self) -> None:
        stamp = ros_time(time.time_ns())
        with self._outlets_lock:
            outlets = self._outlets
            status = outlets.publisher("device/status") if outlets is not None else None
            if status is not None:
                status.publish(self._health.device_status(stamp, time.monotonic_ns()))

    def _read_counters(self, loop: PacketLoop) -> None:
        rejected = loop.rejected()
        self._health.queue_drops = loop.dropped()
        self._health.rejected = {stream: count for stream, (count, _) in rejected.items()}
        news = [
            f"{stream}: {count} packets are not what they should be, the last: {reason}"
            for stream, (count, reason) in rejected.items()
            if count > self._rejected.get(stream, 0)
        ]
        if news:
            self.get_logger().warning("; ".join(news), throttle_duration_sec=_REJECTED_WARN_S)
        self._rejected = dict(self._health.rejected)
        if self._stamps is not None:
            self._health.clock = ClockFacts(
                offset_s=self._stamps.offset_s,
                drift_ppm=self._stamps.drift_ppm,
                jumps=self._stamps.jumps,
                jitter_ms=self._stamps.jitter_ms,
            )

    # -- the whole life

    def start(self, stop: threading.Event) -> int:
        """Configure and activate; returns an exit status, 0 if the node runs or was stopped."""
        if not self.settings["autostart"]:
            self.get_logger().info("waiting to be configured: autostart is false")
            return 0
        for transition in (self.trigger_configure, self.trigger_activate):
            if stop.is_set():
                return 0
            if transition() != TransitionCallbackReturn.SUCCESS:
                return EXIT_CONFIG if isinstance(self.failure, ConfigError) else EXIT_DEVICE
        return 0

    def finish(self) -> None:
        """Shut down, from every state."""
        if self._state_machine.current_state[1] != "finalized":
            self.trigger_shutdown()


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM; returns the exit status."""
    _core.keep_large_buffers()
    words = list(sys.argv if args is None else args)
    if unknown := _stray_words(words[1:]):
        print(f"unknown arguments: {' '.join(unknown)}; parameters go behind --ros-args -p")
        return EXIT_CONFIG
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    # rclpy's own handlers would invalidate the publishers before the packet loop has ended.
    try:
        rclpy.init(args=words, signal_handler_options=SignalHandlerOptions.NO)
    except RuntimeError as cause:  # rcl's words about a parameter file or a --ros-args rule
        print(cause)
        return EXIT_CONFIG
    try:
        return _run(CameraNode(), stop)
    finally:
        rclpy.shutdown()


def _stray_words(words: Sequence[str]) -> list[str]:
    """Words that are not for ROS. To rcl itself `name:=value` would pass for an old remap rule."""
    stray, for_ros = [], False
    for word in words:
        if word in ("--ros-args", "--"):
            for_ros = word == "--ros-args"
        elif not for_ros:
            stray.append(word)
    return stray


def _run(node: CameraNode, stop: threading.Event) -> int:
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    spinner = threading.Thread(target=_spin, args=(executor, stop), name="executor")
    spinner.start()
    try:
        status = node.start(stop)
        if status == 0:
            stop.wait()
        return status
    finally:
        executor.shutdown()
        spinner.join()
        node.finish()
        node.destroy_node()


def _spin(executor: SingleThreadedExecutor, stop: threading.Event) -> None:
    try:
        executor.spin()
    finally:
        stop.set()  # without it nobody would answer any more


if __name__ == "__main__":
    sys.exit(main())
