"""The camera node: a managed ROS 2 node around one device.

`main()` configures and activates it unless the parameter `autostart` is false. The executor has
its own thread, because a device boots for seconds in which parameters and diagnostics have to work;
the main thread starts the node and then waits for a signal.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions

from .. import _core
from ..config import NetworkConfig, Settings, check_network, read_blob, read_network_config
from ..config.options import DEFAULT_NAME
from ..config.parameter_files import for_other_nodes, given_files
from ..config.settings import compressed_by_device
from ..config.unused import Unused, without_effect
from ..errors import ConfigError, DepthaiError
from ..messages.builders import ros_time
from ..messages.derived import output_problem
from ..messages.diagnostics import Health
from ..msg import DeviceStatus
from .live_parameters import LiveOptions
from .name_conflicts import NameConflicts
from .parameters import ParameterRequests, declare_options
from .publishers import StreamPublishers
from .qos_overrides import QosOverrides
from .services import Services, refuse_wrong_transitions
from .supervisor import Supervisor, WaitEndedError

#: Exit status: a bug ended the node; or autostart failed, because of wrong parameters or arguments,
#: or because there is no device.
EXIT_BUG, EXIT_CONFIG, EXIT_DEVICE = 1, 2, 3
_DIAGNOSTICS_DEPTH = 10
#: The node ends after this many bugs in its callbacks within this time.
_MAX_BUGS, _MAX_BUGS_S = 10, 60.0
#: A node that has not ended after this long prints the stack of each thread and ends with status 1.
_END_S = 60.0
_PARSER = argparse.ArgumentParser(
    prog="camera_node",
    usage="%(prog)s [-h] [--ros-args -p NAME:=VALUE … --params-file FILE -r __node:=NAME …]",
    description="The camera node: publishes the streams of one DepthAI device.",
    epilog="Every parameter, its default and its limits: config/default.yaml, docs/parameters.md. "
    "Without hardware: --ros-args -p device.id:=virtual",
    allow_abbrev=False,
)


class CameraNode(LifecycleNode):  # type: ignore[misc]  # rclpy's types are not used here
    """Publishes the streams of one device while it is active."""

    def __init__(self, stop: threading.Event | None = None) -> None:
        """`stop` ends every wait for the device."""
        super().__init__(DEFAULT_NAME)
        refuse_wrong_transitions(self)
        self.failure: Exception | None = None
        self._stop = stop or threading.Event()
        given = declare_options(self)
        settings = given.settings
        self._health = Health(self.get_name(), settings)
        self.supervisor = Supervisor(
            self,
            settings,
            self._health,
            self._publish_status,
            self._give_up,
            self._stop,
        )
        self._has_given_up = False
        self._is_patient = False  # True while the node may wait for the device
        self._live = LiveOptions(self.supervisor, self._apply)
        self._qos = QosOverrides(self)
        state_machine = self._state_machine

        def state() -> str:
            return str(state_machine.current_state[1])

        self._requests = ParameterRequests(self, given, self._live, self._qos, state)
        Services(self, self.supervisor, self._health, state)
        self._stream_publishers: StreamPublishers | None = None
        # A transition destroys the publishers while the report reads their subscribers.
        self._outlets_lock = threading.Lock()
        self._diagnostics = self.create_publisher(
            DiagnosticArray, "/diagnostics", _DIAGNOSTICS_DEPTH
        )
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._name_conflicts = NameConflicts(self)
        self._reports = self.create_timer(
            settings["diagnostics.period_s"], self._report, clock=steady
        )

    @property
    def settings(self) -> Settings:
        """The current settings."""
        return self.supervisor.settings

    # -- parameters

    def set_parameters_atomically(
        self, parameter_list: Sequence[Parameter[Any]]
    ) -> SetParametersResult:
        """Every request to set parameters arrives here."""
        return self._requests.set(parameter_list, super().set_parameters_atomically)

    def _apply(self, settings: Settings) -> None:
        """Let live options have their effect, those that the device does not receive."""
        if (context := self.supervisor.context) is not None:
            context.change(settings)
        period_ns = round(settings["diagnostics.period_s"] * 1e9)
        if self._reports.timer_period_ns != period_ns:
            self._reports.timer_period_ns = period_ns
            self._reports.reset()
        with self._outlets_lock:
            if self._stream_publishers is not None:
                self._stream_publishers.change(settings)

    def check_files(self, paths: Sequence[str]) -> None:
        """Warn of parameter files that rcl has read, and that have no parameter for this node."""
        sentences = []
        for path in paths:
            with suppress(ConfigError):  # rcl reads some files that the driver does not
                sentences.append(for_other_nodes(path, self.get_fully_qualified_name()))
        rows = (Unused(text) for text in sentences if text)
        self.supervisor.warn_unused("parameter files", rows)

    # -- transitions

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Check the parameters, create the publishers, connect to the device."""
        return self._attempt(self._configure, self._release)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start the streams."""
        return self._attempt(self._activate, self.supervisor.stop)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop the streams; the topics stay."""
        if self._has_given_up:
            return TransitionCallbackReturn.ERROR
        return self._attempt(self.supervisor.stop)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release the device and destroy the publishers."""
        return self._attempt(self._release)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """The same, from every state."""
        return self._attempt(self._release)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release everything after a bug, or when reconnecting was given up."""
        answer = self._attempt(self._release)
        if self._has_given_up:
            self._has_given_up = False
            self._health.state = DeviceStatus.STATE_ERROR
        return answer

    def _give_up(self) -> None:
        """Leave the active state by the error transition; on the executor, as services do."""
        executor = self.executor
        if executor is not None:
            executor.create_task(self._leave_active)

    def _leave_active(self) -> None:
        if self._state_machine.current_state[1] == "active":
            self._has_given_up = True
            self.trigger_deactivate()

    def _attempt(
        self, step: Callable[[], None], undo: Callable[[], None] = lambda: None
    ) -> TransitionCallbackReturn:
        """Run one transition. Errors but bugs are logged in one line, and the state stays."""
        with self._live.lock:
            pass  # a change of parameters has ended; the next one sees the state of now
        try:
            step()
        except WaitEndedError as cause:
            self.get_logger().info(str(cause))
            undo()
            return TransitionCallbackReturn.FAILURE
        except (DepthaiError, OSError, MemoryError) as cause:
            self.failure = cause
            self._health.last_error = str(cause) or repr(cause)
            if self._stop.is_set():  # nobody waits for the device any more
                self.get_logger().info(f"stopped: {self._health.last_error}")
            else:
                self.get_logger().error(self._health.last_error)
            undo()
            return TransitionCallbackReturn.FAILURE
        except Exception as cause:  # rclpy would swallow it
            self.supervisor.log_bug(cause)
            return TransitionCallbackReturn.ERROR
        return TransitionCallbackReturn.SUCCESS

    def _configure(self) -> None:
        if self._requests.refused is not None:
            raise self._requests.refused
        settings = self.settings
        self._health.last_error = ""
        if self.get_parameter("use_sim_time").value:
            self.get_logger().warning(
                "use_sim_time is true and has no effect on stamps: a camera always uses system time"
            )
        self.supervisor.network = network = _read_networks(settings)
        sentences = network.unused if network is not None else ()
        self.supervisor.warn_unused("network", (Unused(text, "metaout") for text in sentences))
        self.supervisor.warn_unused("parameters", without_effect(settings, network))
        decoded = network is not None and network.output_format == "detection"
        self._qos.prepare()
        self._stream_publishers = StreamPublishers(self, settings, decoded=decoded)
        self.supervisor.warn_unused("message packages", self._stream_publishers.missing)
        for topic in compressed_by_device(settings):
            self.get_logger().info(f"~/{topic} is what the device compresses, not the node")
        self._qos.check(settings)
        self.supervisor.connect(patient=self._is_patient)
        self._remove_uncalibrated(self._stream_publishers)

    def _remove_uncalibrated(self, publishers: StreamPublishers) -> None:
        """Remove the topics that cannot be made with the calibration of the connected device."""
        calibration = self.supervisor.calibration
        assert calibration is not None
        problems = {
            name: output_problem(name, self.settings, calibration) for name in publishers.outputs
        }
        with self._outlets_lock:
            for name in filter(problems.get, problems):
                publishers.remove(name)
        sentences = dict.fromkeys(filter(None, problems.values()))
        self.supervisor.warn_unused("calibration", map(Unused, sentences))

    def _activate(self) -> None:
        assert self._stream_publishers is not None
        self.supervisor.start(self._stream_publishers, patient=self._is_patient)

    def _release(self) -> None:
        self.supervisor.release()
        with self._outlets_lock:
            publishers, self._stream_publishers = self._stream_publishers, None
            if publishers is not None:
                publishers.destroy()

    # -- reports

    def _report(self) -> None:
        """Publish the health report. Sends nothing to the device."""
        now_ns, stamp = time.monotonic_ns(), ros_time(time.time_ns())
        health = self._health
        self.supervisor.read_counters()
        health.name_conflict = self._name_conflicts.check()
        for line in health.logs.take():
            self.get_logger().info(f"device: {line}")
        with self._outlets_lock:
            publishers = self._stream_publishers
            subscribers = publishers.subscribers() if publishers is not None else {}
        if health.state != DeviceStatus.STATE_STREAMING:  # else each report of the device does it
            self._publish_status()
        self._diagnostics.publish(health.diagnostics(stamp, now_ns, subscribers))

    def _publish_status(self) -> None:
        stamp = ros_time(time.time_ns())
        with self._outlets_lock:
            publishers = self._stream_publishers
            status = publishers.publisher("device/status") if publishers is not None else None
            if status is not None and self.settings["stream.meta_d2h.publish"]:
                status.publish(self._health.device_status(stamp, time.monotonic_ns()))

    # -- start and end

    def start(self, stop: threading.Event) -> int:
        """Configure and activate; returns an exit status, 0 if the node runs or was stopped."""
        if not self.settings["autostart"]:
            self.get_logger().info("autostart is false: waiting for the configure transition")
            return 0
        self._is_patient = self.settings["reconnect.wait_at_start"]
        try:
            for transition in (self.trigger_configure, self.trigger_activate):
                if stop.is_set():
                    return 0
                if transition() != TransitionCallbackReturn.SUCCESS and not stop.is_set():
                    return EXIT_CONFIG if isinstance(self.failure, ConfigError) else EXIT_DEVICE
            return 0
        finally:
            self._is_patient = False

    def finish(self) -> None:
        """Shut down, from every state."""
        if self._state_machine.current_state[1] != "finalized":
            self.trigger_shutdown()


def _read_networks(settings: Settings) -> NetworkConfig | None:
    """Read and check every network file; returns how to decode the network. Raises ConfigError."""
    network = None
    if settings["ai.blob_file"]:
        network = read_network_config(
            settings["ai.blob_file_config"],
            confidence_threshold=settings["depth.confidence_threshold"],
        )
        check_network(settings, network)
    for key in ("ai.blob_file", "ai.blob_file2"):
        if settings[key]:
            read_blob(settings[key])
    return network


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM; returns the exit status."""
    _core.keep_large_buffers()
    words = list(sys.argv if args is None else args)
    if unknown := _PARSER.parse_known_args(_stray_words(words[1:]))[1]:
        print(f"unknown arguments: {' '.join(unknown)}; use --ros-args -p NAME:=VALUE")
        return EXIT_CONFIG
    # rclpy's own handlers would invalidate the publishers before the packet loop has ended.
    with _signals() as stop:
        try:
            rclpy.init(args=words, signal_handler_options=SignalHandlerOptions.NO)
        except RuntimeError as cause:  # rcl reports a bad parameter file or --ros-args rule
            print(cause)
            return EXIT_CONFIG
        try:
            node = CameraNode(stop)
        except (RuntimeError, MemoryError, OSError) as cause:  # rcl, or the system's limits
            rclpy.shutdown()
            reason = " ".join(str(cause).split()) or type(cause).__name__
            print(f"cannot create the node, see `ulimit -a` and ROS_SECURITY_*: {reason}")
            return EXIT_CONFIG
        try:
            node.check_files(given_files(words))
            return _run(node, stop)
        finally:
            rclpy.shutdown()


@contextmanager
def _signals() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set; afterwards both are ignored.

    The C part of Python's signal handling writes to a pipe, which a thread reads. A handler in
    Python would run in the main thread: not while that waits in C, and it could wait for a lock
    that the main thread holds.
    """
    numbers, stop = (signal.SIGINT, signal.SIGTERM), threading.Event()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)

    def read() -> None:
        if os.read(reader, 1):
            stop.set()

    signal.set_wakeup_fd(writer)
    for number in numbers:
        signal.signal(number, lambda *_: None)
    thread = threading.Thread(target=read, name="signals")
    thread.start()
    try:
        yield stop
    finally:
        for number in numbers:
            # Python's own shutdown restores the default action: a second signal would kill it.
            signal.signal(number, signal.SIG_IGN)
        signal.set_wakeup_fd(-1)
        os.close(writer)
        thread.join()
        os.close(reader)


def _stray_words(words: Sequence[str]) -> list[str]:
    """Arguments outside --ros-args. rcl would take `name:=value` for an old remap rule."""
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
    has_failed = threading.Event()
    spinner = threading.Thread(target=_spin, args=(node, executor, stop, has_failed))
    spinner.start()
    try:
        status = node.start(stop)
        if status == 0:
            stop.wait()
        return EXIT_BUG if has_failed.is_set() else status
    finally:
        faulthandler.dump_traceback_later(_END_S, exit=True)
        executor.shutdown()
        spinner.join()
        node.finish()
        node.destroy_node()
        faulthandler.cancel_dump_traceback_later()


def _spin(
    node: CameraNode,
    executor: SingleThreadedExecutor,
    stop: threading.Event,
    has_failed: threading.Event,
) -> None:
    """Run the node's callbacks. An exception in one of them is logged, and the next one runs."""
    recent: deque[float] = deque(maxlen=_MAX_BUGS)
    while True:
        try:
            executor.spin()
            return
        except Exception as cause:
            node.supervisor.log_bug(cause)
            recent.append(time.monotonic())
            if len(recent) == _MAX_BUGS and recent[-1] - recent[0] < _MAX_BUGS_S:
                node.get_logger().fatal(f"{_MAX_BUGS} bugs within a minute: the node ends")
                has_failed.set()
                stop.set()  # without an executor the node answers no request
                return
