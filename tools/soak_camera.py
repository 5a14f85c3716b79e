"""A camera node, its device and its subscribers, and random actions on them, for a soak test."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import rclpy
from boards import Board
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from nodes import Listener, NodeProcess
from parameter_clients import read, set_one
from rclpy.context import Context
from rclpy.qos import QoSProfile, ReliabilityPolicy
from resources import in_use, open_files
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from soak_verdict import COUNTS, STAGES, Sample
from std_srvs.srv import Trigger
from stereo_msgs.msg import DisparityImage
from vision_msgs.msg import Detection2DArray, Detection3DArray
from visualization_msgs.msg import MarkerArray

from depthai_ros.config.limits import Choice, Range
from depthai_ros.config.options import BY_KEY, OPTIONS, Option
from depthai_ros.msg import DeviceStatus, TrackletArray
from depthai_ros.srv import DeviceInfo, SaveCalibration

STREAMS = "left right depth disparity color previewout metaout object_tracker video jpegout"
MODELS = "package://depthai_ros/config/models"
PARAMETERS: dict[str, Any] = {
    "stream_list": [*STREAMS.split(), "meta_d2h"],
    "camera.mono.resolution_h": 400,
    "camera.mono.fps": 10.0,
    "camera.rgb.fps": 5.0,
    "video_config.profile": "mjpeg",
    "ai.blob_file": f"{MODELS}/virtual_ssd.blob",
    "ai.blob_file_config": f"{MODELS}/mobilenet_ssd.json",
    "ai.calc_dist_to_bb": True,
    "calibration.nominal": True,
    "reconnect.initial_delay_s": 0.02,
    "reconnect.max_delay_s": 0.5,
    "diagnostics.period_s": 0.2,
}
#: Its subscriber is always there: it shows that images arrive.
HEARTBEAT = "left/image_raw"
#: Topics with a message for each exposure.
TOPICS: dict[str, Any] = {
    HEARTBEAT: Image,
    "left/camera_info": CameraInfo,
    "right/image_raw": Image,
    "depth/image_raw": Image,
    "disparity": DisparityImage,
    "rgb/image_raw": Image,
    "rgb/camera_info": CameraInfo,
    "rgb/image_raw/compressed": CompressedImage,
    "rgb/preview/image_raw": Image,
    "nn/detections": Detection2DArray,
    "nn/spatial_detections": Detection3DArray,
    "nn/markers": MarkerArray,
    "tracklets": TrackletArray,
    "device/status": DeviceStatus,
}
#: At most; the oldest subscriber leaves.
SUBSCRIBERS = 8
#: Streams that are switched off and on; never the one of HEARTBEAT.
SWITCHED = ("right", "depth", "color", "metaout", "meta_d2h")
#: Live options whose valid values are not simply all within their limits.
VALUES: dict[str, tuple[Any, ...]] = {
    **{f"camera.{camera}.exposure_us": (0, 1000, 20_000) for camera in ("rgb", "left", "right")},
    **{f"camera.{camera}.ae_region": ("", "10 10 200 100") for camera in ("rgb", "left", "right")},
    "diagnostics.temp_warn_c": (85.0, 0.0, 99.0),  # never above temp_error_c
    "diagnostics.temp_error_c": (100.0, 125.0),
    "filters.preset": ("none", "manipulation", "high_accuracy"),  # of one decimation
    "filters.threshold.min_m": (0.0, 0.2, 0.5),  # never above max_m
    "filters.threshold.max_m": (4.0, 10.0),
    "depth.disparity_confidence": (0, 150, 255),  # its default cannot be restored
    "diagnostics.period_s": (1.0, 0.5, 2.0),
    "reconnect.enable": (True,),
    "reconnect.max_attempts": (0,),
    "reconnect.initial_delay_s": (0.5, 0.1),  # never above max_delay_s
    "reconnect.max_delay_s": (1.0, 10.0),
}
LIVE = [
    option
    for option in OPTIONS
    if option.changes == "live" and not option.key.startswith("stream.")
]
#: What no request may set: a wrong type, outside the limits, read at the start only, unknown.
INVALID: tuple[tuple[str, Any], ...] = (
    ("camera.rgb.ae_compensation", "bright"),
    ("camera.rgb.ae_compensation", 11),
    ("camera.rgb.white_balance", "moonlight"),
    ("camera.left.ae_region", "1 2 3"),
    ("camera.left.ae_region", "0 0 9999 9999"),
    ("depth.disparity_confidence", 1 << 40),
    ("diagnostics.temp_warn_c", float("nan")),
    ("diagnostics.temp_warn_c", None),
    ("autostart", False),
    ("camera.mono.resolution_h", 800),
    ("stream_list", ["left"]),
    ("stream.rectified_left.publish", False),
    ("no.such.parameter", 1),
)
#: The counts of a sample have to be those of the first one within this time.
SETTLE_S = 15.0
#: The first counts have to stay the same for this long.
STILL_S = 1.0


class StoppedError(Exception):
    """The user has ended the test."""


class PatientListener(Listener):
    """Every wait ends with an AssertionError after its deadline, and with StoppedError."""

    def __init__(self, deadline_s: float, stop: threading.Event) -> None:
        super().__init__(keep=1, deadline_s=deadline_s)
        self._stop = stop

    def wait_until(self, condition: Callable[[], Any], what: str) -> None:
        """Receive messages until the condition is true."""

        def is_over() -> bool:
            if self._stop.is_set():
                raise StoppedError
            return bool(condition())

        super().wait_until(is_over, what)


class Camera:
    """A running node, and the actions on it; between two of them it is active."""

    def __init__(self, folder: Path, seed: int, deadline_s: float, stop: threading.Event) -> None:
        self.chance = random.Random(seed)
        self._folder = folder
        self._board = Board(folder)
        self._board.plug()
        self.node = NodeProcess(folder, {**PARAMETERS, "device.id": self._board.selector})
        self._listener = PatientListener(deadline_s, stop)
        self._listener.subscribe(Image, HEARTBEAT)
        self._listener.subscribe(DiagnosticArray, "/diagnostics")
        self._leave: deque[Callable[[], object]] = deque()  # ends one subscriber each
        self._visitors = count()
        self._changed: set[str] = set()
        self._settled: dict[str, dict[str, int]] = {}  # the first counts of each state
        self._files: dict[str, Counter[str]] = {}  # the descriptors of that moment

    def close(self) -> int:
        """End everything; returns the exit status of the node."""
        try:
            self.node.wait_for_output("streaming")  # earlier, a signal would end the imports
            return self.node.stop()
        finally:
            self._board.unplug()
            self._drop_subscribers()
            self._listener.close()

    def images(self) -> None:
        """Wait for the next images."""
        self._listener.forget()
        self._listener.wait_for(HEARTBEAT)

    # -- subscribers

    def subscribe(self) -> None:
        """One more subscriber, until its first message."""
        topic, kind = self.chance.choice(list(TOPICS.items()))
        received: deque[bytes] = deque(maxlen=1)
        profile = QoSProfile(
            depth=self.chance.choice((1, 5, 20)),
            reliability=self.chance.choice(
                (ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT)
            ),
        )
        node = self._listener.node
        name = self._listener.full_name(topic)
        subscription = node.create_subscription(
            kind, name, lambda raw: received.append(raw), profile, raw=True
        )
        self._joined(lambda: node.destroy_subscription(subscription))
        self._listener.wait_until(lambda: received, f"a message of {topic}")

    def join(self) -> None:
        """A DDS participant that subscribes and takes nothing, until it finds the publisher."""
        topic, kind = self.chance.choice(list(TOPICS.items()))
        context = Context()
        rclpy.init(context=context, signal_handler_options=rclpy.SignalHandlerOptions.NO)
        name = f"visitor_{next(self._visitors)}"
        node = rclpy.create_node(name, context=context, namespace="/soak", enable_rosout=False)
        full_name = self._listener.full_name(topic)
        node.create_subscription(kind, full_name, lambda _: None, 5, raw=True)

        def leave() -> None:
            node.destroy_node()
            context.shutdown()

        self._joined(leave)
        self._listener.wait_until(
            lambda: node.count_publishers(full_name), f"a publisher of {topic}"
        )

    def unsubscribe(self) -> None:
        """A random subscriber leaves."""
        if self._leave:
            self._leave.rotate(self.chance.randrange(len(self._leave)))
            self._leave.popleft()()

    def _joined(self, leave: Callable[[], object]) -> None:
        self._leave.append(leave)
        if len(self._leave) > SUBSCRIBERS:
            self._leave.popleft()()

    def _drop_subscribers(self) -> None:
        while self._leave:
            self._leave.popleft()()

    # -- parameters and services

    def set_option(self) -> None:
        """Set a live option to a valid value."""
        option = self.chance.choice(LIVE)
        self._changed.add(option.key)
        self._set(option.key, self.chance.choice(VALUES.get(option.key) or _values(option)))

    def switch_stream(self) -> None:
        """Publish a stream no more, and again."""
        key = f"stream.{self.chance.choice(SWITCHED)}.publish"
        self._set(key, False)
        self._set(key, True)

    def set_invalid(self) -> None:
        """A request that has to be refused, with a reason."""
        key, value = self.chance.choice(INVALID)
        result = set_one(self._listener, key, value)
        assert not result.successful, f"{key}={value} was accepted"
        assert result.reason, f"{key}={value} was refused without a reason"

    def ask(self) -> None:
        """Call a service that may refuse; it answers in every state."""
        path = str(self._folder / "saved.calib")
        questions: tuple[Callable[[], Any], ...] = (
            self._listener.services,
            lambda: read(self._listener, self.chance.sample(list(BY_KEY), 5)),
            lambda: self._listener.call(DeviceInfo, "device_info", DeviceInfo.Request()),
            lambda: self._listener.call(
                SaveCalibration, "save_calibration", SaveCalibration.Request(path=path)
            ),
            lambda: self._trigger("capture_still"),
            lambda: self._trigger("autofocus_trigger"),
        )
        self.chance.choice(questions)()

    def _trigger(self, service: str) -> Any:
        return self._listener.call(Trigger, service, Trigger.Request())

    def _set(self, key: str, value: Any) -> None:
        """Set a parameter; again while the device is lost in the middle of it."""
        reasons = deque([""], maxlen=1)

        def is_set() -> bool:
            result = set_one(self._listener, key, value)
            reasons.append(result.reason)
            return bool(result.successful)

        try:
            self._listener.wait_until(is_set, f"{key}={value}")
        except AssertionError as error:
            raise AssertionError(f"{error}: {reasons[0]}") from None

    # -- the life cycle

    def turn(self) -> None:
        """Deactivate and activate."""
        self._deactivate()
        self._reach(Transition.TRANSITION_ACTIVATE, "active")

    def clean_up(self) -> None:
        """Release the device and connect again."""
        self._deactivate()
        self._configure_again()

    def wrong_transition(self) -> None:
        """A transition that the active state does not have."""
        wrong = (Transition.TRANSITION_ACTIVATE, Transition.TRANSITION_CONFIGURE)
        assert not self._listener.change_state(self.chance.choice(wrong)), "it was accepted"
        self._expect("active")

    def _deactivate(self) -> None:
        assert self._listener.change_state(Transition.TRANSITION_DEACTIVATE), "it was refused"
        self._expect("inactive")

    def _configure_again(self) -> None:
        assert self._listener.change_state(Transition.TRANSITION_CLEANUP), "it was refused"
        self._expect("unconfigured")
        self._reach(Transition.TRANSITION_CONFIGURE, "inactive")
        self._reach(Transition.TRANSITION_ACTIVATE, "active")

    def _expect(self, state: str) -> None:
        found = self._listener.state()
        assert found == state, f"the node is {found}, it has to be {state}"

    def _reach(self, transition: int, state: str) -> None:
        """Try until the node is in the state: the device may be on its way back."""

        def is_reached() -> bool:
            self._listener.change_state(transition)
            return self._listener.state() == state

        self._listener.wait_until(is_reached, f"the state {state}")

    # -- the device

    def reset(self) -> None:
        """Reset the device; every second time the next action comes while it is away."""
        answer = self._trigger("reset_device")
        assert answer.success, answer.message
        self._maybe_wait()

    def unplug(self) -> None:
        """Kill the device and start another one."""
        self._board.unplug()
        if self.chance.random() < 0.5:  # else the node may see no pause
            self._listener.wait_until(lambda: self._state() != "streaming", "the loss")
        self._board.plug()
        self._maybe_wait()

    def unplug_inactive(self) -> None:
        """The same while no stream runs."""
        self._deactivate()
        self._board.unplug()
        self._board.plug()
        self._configure_again()

    def _maybe_wait(self) -> None:
        if self.chance.random() < 0.5:
            self.images()

    # -- measuring

    def _report(self) -> dict[str, dict[str, str]]:
        """The next diagnostics: component -> key -> value."""
        self._listener.forget()
        self._listener.wait_for("/diagnostics")
        (message,) = self._listener.messages("/diagnostics")
        return {
            row.name.partition(": ")[2]: {pair.key: pair.value for pair in row.values}
            for row in message.status
        }

    def _state(self) -> str:
        return self._report()["device"]["state"]

    def sample(self, minutes: float, actions: int) -> Sample:
        """Return to the state of the start, and measure."""
        self._drop_subscribers()
        for key in sorted(self._changed):
            self._set(key, VALUES.get(key, (BY_KEY[key].default,))[0])
        self._changed.clear()
        self.images()
        self._listener.wait_until(lambda: self._state() == "streaming", "streams")
        counts = {"streaming": self._settle("streaming")}
        streaming = self._report()
        self._deactivate()
        counts["inactive"] = self._settle("inactive")
        buffers = self._report()["memory"]
        memory_kib = in_use(self.node.process.pid)["memory_kib"]
        self._reach(Transition.TRANSITION_ACTIVATE, "active")
        self.images()
        return Sample(
            minutes,
            actions,
            counts,
            memory_kib * 1024 / 1e6,
            int(buffers["buffers_allocated"]),
            _lost(streaming),
        )

    def _settle(self, state: str) -> dict[str, int]:
        """The counts: those of the first sample, or what they are after SETTLE_S."""
        known = self._settled.get(state)
        start_s = changed_s = time.monotonic()
        found = self._counts(state)
        while found != known and time.monotonic() < start_s + SETTLE_S:
            if known is None and time.monotonic() > changed_s + STILL_S:
                break
            before, found = found, self._counts(state)
            if found != before:
                changed_s = time.monotonic()
        files = open_files(self.node.process.pid)
        first_files = self._files.setdefault(state, files)
        if found != self._settled.setdefault(state, found) and files != first_files:
            print(f"{state}: more {dict(files - first_files)}, fewer {dict(first_files - files)}")
        return found

    def _counts(self, state: str) -> dict[str, int]:
        buffers = int(self._report()["memory"]["buffers_in_use"])
        counts = {**in_use(self.node.process.pid), "buffers": buffers}
        return {name: counts[name] for name in COUNTS[state]}


def _values(option: Option) -> tuple[Any, ...]:
    """Valid values of an option."""
    match option.limits:
        case Choice(values):
            return values
        case Range(low, high):
            kind = type(option.default)
            return option.default, kind(low), kind(high)
    return (False, True) if isinstance(option.default, bool) else (option.default,)


def _lost(report: Mapping[str, Mapping[str, str]]) -> dict[str, int]:
    """Lost messages of all streams, by the stage that lost them."""
    streams = [values for name, values in report.items() if name.startswith("stream ")]
    return {stage: sum(int(values[f"lost_{stage}"]) for values in streams) for stage in STAGES}


#: Each action, and how often it is chosen in comparison with the others.
ACTIONS: dict[Callable[[Camera], None], int] = {
    Camera.subscribe: 6,
    Camera.unsubscribe: 3,
    Camera.join: 2,
    Camera.set_option: 4,
    Camera.set_invalid: 2,
    Camera.switch_stream: 1,
    Camera.ask: 2,
    Camera.turn: 2,
    Camera.clean_up: 1,
    Camera.wrong_transition: 1,
    Camera.reset: 2,
    Camera.unplug: 2,
    Camera.unplug_inactive: 1,
}
