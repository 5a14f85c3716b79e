"""The page's source over a running node.

One thread looks at the ROS graph, subscribes to what somebody wants to see, and asks the node what
has changed. What arrives is kept serialised, and is converted by the thread that asks for it.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition, TransitionEvent
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import Log, Parameter, ParameterEvent
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.clock import Clock, ClockType
from rclpy.context import Context
from rclpy.signals import SignalHandlerOptions
from std_srvs.srv import Trigger

from ..bounded import clean_text
from ..errors import ConfigTypeError
from ..msg import DeviceStatus
from ..ros_features import ros_class
from ..srv import DeviceInfo, SaveCalibration
from .ros_calls import NodeCalls, NodeParameters
from .ros_controls import (
    LIFECYCLE,
    TRIGGER,
    actions,
    controls,
    info_sentence,
    message_of,
    transition_number,
)
from .ros_graph import NodeGraph, Subscriptions
from .ros_images import read, serialized_text
from .ros_shown import ShownTopics
from .ros_state import (
    NO_REPORT,
    after_silence,
    log_line,
    logger_name,
    state_of_diagnostics,
    state_of_status,
)
from .ros_topics import Demand, TopicFeed
from .source import (
    READ_ONLY,
    Action,
    Box,
    CameraView,
    Cloud,
    Control,
    FramePose,
    ImageChoice,
    LatestImage,
    State,
)

_TICK_S, _LOOK_S, _ASK_STATE_S = 0.1, 0.5, 2.0
_SET_S, _ACT_S, _END_S = 4.5, 29.0, 5.0
_LOG_LINES, _EVENTS = 200, 100
_TEXT = 500
#: Service -> its type; all others of the buttons are triggers.
_TYPES = {"save_calibration": SaveCalibration, "device_info": DeviceInfo}


class RosSource:
    """`CameraSource` over a node, which may come, go and come again.

    It has a ROS context, a node and a thread of its own until `close`.
    """

    def __init__(self, node_name: str, read_only: bool = False) -> None:
        """`node_name` is the full name of the node, as /oak."""
        self.title = self._target = "/" + node_name.strip("/")
        self._read_only = read_only
        self._context = Context()
        rclpy.init(args=[], context=self._context, signal_handler_options=SignalHandlerOptions.NO)
        self._ros = rclpy.create_node(
            f"depthai_view_{secrets.token_hex(4)}",
            context=self._context,
            enable_rosout=False,
            start_parameter_services=False,
        )
        self._graph = NodeGraph(self._ros, self._target)
        self._subscriptions = Subscriptions(self._ros, self._graph)
        self._shown = ShownTopics(self._target)
        self._calls = NodeCalls(self._ros, self._target)
        self._parameters = NodeParameters(self._calls, self._target)
        self._feeds = StandingFeeds(self._target)
        self._lifecycle = ""
        self._matched: dict[str, TopicFeed[Any]] = {}
        self._look_s = self._ask_s = 0.0
        self._controls: tuple[tuple[Any, Any, str], tuple[Control, ...]] | None = None
        self._failure = ""  # why the thread has ended
        self._executor = ros_class("Executor")(context=self._context)
        self._executor.add_node(self._ros)
        self._timer = self._ros.create_timer(
            _TICK_S, self._tick, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )
        self._parameters.connect()
        self._calls.client(ChangeState, "change_state")
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="view-ros", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End what waits for an answer, end the thread, and destroy the node."""
        self._calls.close()
        self._ending.set()
        self._thread.join(_END_S)

    # -- the thread

    def _run(self) -> None:
        try:
            # EventsExecutor.spin runs no timers outside the main thread.
            while not self._ending.is_set():
                self._executor.spin_once(timeout_sec=_TICK_S)
        except Exception as cause:
            self._failure = f"the page no longer follows {self._target}: {cause}"
            raise
        finally:
            self._executor.shutdown(timeout_sec=_END_S)
            self._ros.destroy_node()
            self._context.try_shutdown()

    def _tick(self) -> None:
        now_s = time.monotonic()
        is_time = now_s - self._look_s >= _LOOK_S
        if is_time:
            self._look_s = now_s
            self._look()
        demands = {**self._feeds.demands(), **self._shown.demands()}
        matched = {topic: demand.feed for topic, demand in demands.items()}
        if is_time or matched != self._matched:
            self._matched = matched
            self._subscriptions.match(demands)
        self._follow(now_s)

    def _look(self) -> None:
        """Look at the graph; a node that was started again has another state and other values."""
        was_there = self._graph.is_there
        is_new = self._graph.look()
        if is_new or (was_there and not self._graph.is_there):
            self._calls.forget()
            self._parameters.forget()
            self._lifecycle, self._ask_s = "", 0.0
            self._shown.forget()
            self._feeds.forget()
        self._shown.announced(self._graph.topics)
        if self._graph.is_there:
            # Some servers do not answer a client that they have not discovered yet.
            for name, kind in self._graph.services.items():
                if kind == TRIGGER or name in _TYPES:
                    self._calls.client(_TYPES.get(name, Trigger), name)
            if not self._parameters.is_known:
                self._parameters.refresh()

    def _follow(self, now_s: float) -> None:
        """Read what has changed in the node."""
        transitions, changes = self._feeds.transitions.take(), self._feeds.parameters.take()
        if not self._graph.is_there:
            return
        for event in transitions:
            self._enter(event.goal_state.label)
            self._ask_s = 0.0
        for event in changes:
            self._parameters.changed(event)
        self._calls.check()
        if now_s - self._ask_s >= _ASK_STATE_S and not self._calls.is_asking("get_state"):
            self._ask_s = now_s
            self._calls.ask(GetState, "get_state", GetState.Request(), self._read_state)

    def _read_state(self, answer: Any) -> None:
        self._enter(answer.current_state.label)

    def _enter(self, state: str) -> None:
        state = clean_text(state)
        if state != self._lifecycle:
            self._lifecycle = state
            self._shown.renew_cameras()
            if state == "unconfigured":
                self._feeds.status.forget()  # the next device may be another one

    # -- what is shown

    def images(self) -> tuple[ImageChoice, ...]:
        """The images that the node announces now."""
        return self._shown.images()

    def want(self, names: frozenset[str], max_fps: Mapping[str, float]) -> None:
        """Receive exactly these from now on, and nothing else that is large."""
        self._shown.want(names, max_fps)

    def image(self, name: str) -> LatestImage | None:
        """The newest image of a choice that is wanted."""
        return self._shown.image(name)

    def cloud(self) -> Cloud | None:
        """The newest cloud, with a bounded number of points."""
        return self._shown.cloud()

    def boxes(self) -> tuple[Box, ...]:
        """The detections of the newest frame."""
        return self._shown.boxes()

    def cameras(self) -> tuple[CameraView, ...]:
        """The cameras, as far as their models have arrived."""
        return self._shown.cameras()

    def frames(self) -> tuple[FramePose, ...]:
        """The frames of the tree with the cameras; the first is the root."""
        return self._shown.frames()

    def robot(self) -> str:
        """The URDF of `robot_description`, "" = there is none."""
        return self._shown.robot()

    # -- how it is

    def state(self) -> State:
        """State of node and device, by the last diagnostics."""
        feeds = self._feeds
        found = feeds.diagnostics.newest() or feeds.short_state() or NO_REPORT
        if self._failure:
            return replace(found, level="error", text=self._failure)
        if not self._graph.is_there:
            text = f"{self._target} is not running; this page continues when it is started"
            return replace(NO_REPORT, node="gone", level="error", text=text)
        found = replace(found, node=self._lifecycle)
        heard_s = max(feeds.diagnostics.arrived_s, feeds.status.arrived_s)
        period_s = self._parameters.values.get("diagnostics.period_s")
        silent_s = time.monotonic() - heard_s if heard_s else 0.0
        return after_silence(found, self._target, silent_s, period_s)

    def log(self) -> tuple[str, ...]:
        """The last lines of the node's log, oldest first, then what the page cannot read."""
        lines = filter(None, self._feeds.log.all())
        return (*lines, *(f"page: {clean_text(row, _TEXT)}" for row in self._shown.failures()))

    # -- what can be changed

    def controls(self) -> tuple[Control, ...]:
        """The parameters that can change in the present state of the node."""
        rows = self._parameters.descriptors, self._parameters.values, self._lifecycle
        known = self._controls
        if known is None or any(a is not b for a, b in zip(known[0], rows, strict=True)):
            self._controls = known = rows, controls(*rows)
        return known[1]

    def set(self, key: str, value: object) -> str:
        """Change any parameter; "" or the reason of the refusal."""
        if self._read_only:
            return READ_ONLY
        present = self._parameters.values.get(key)
        if not self._graph.is_there or present is None:
            return self._missing(f"no parameter {clean_text(key)}")
        try:
            row = Parameter(name=key, value=message_of(value, present))
        except ConfigTypeError as cause:
            return f"{key}: {cause}"
        request = SetParametersAtomically.Request(parameters=[row])
        answer = self._calls.call(
            SetParametersAtomically, "set_parameters_atomically", request, _SET_S, again=True
        )
        if answer is None:
            return f"{key}: {self._unanswered(_SET_S)}; it may have changed"
        if answer.result.successful:
            return ""
        return clean_text(answer.result.reason, _TEXT) or f"{self._target} refused it"

    def _unanswered(self, limit_s: float) -> str:
        if self._calls.is_closed:
            return "the page is closed"
        return f"{self._target} did not answer within {limit_s:g} s"

    def _missing(self, what: str) -> str:
        """Why something cannot be used."""
        if not self._graph.is_there:
            return f"{self._target} is not running"
        return f"{self._target} has {what} now"

    def actions(self) -> tuple[Action, ...]:
        """The services and transitions that the state of the node allows."""
        return actions(self._graph.services, self._lifecycle)

    def act(self, key: str) -> str:
        """Call a service or a transition; a sentence about the result."""
        if self._read_only:
            return READ_ONLY
        row = next((row for row in self.actions() if row.key == key), None)
        if row is None:
            return self._missing(f"no action {clean_text(key)}")
        make = self._transition if key.startswith(LIFECYCLE) else self._service
        return clean_text(make(key, row.label), _TEXT)

    def _transition(self, key: str, label: str) -> str:
        request = ChangeState.Request(transition=Transition(id=transition_number(key)))
        answer = self._calls.call(ChangeState, "change_state", request, _ACT_S, again=False)
        if answer is None:
            return f"{label}: {self._unanswered(_ACT_S)}"
        if not answer.success:
            return f"{label}: {self._target} could not do it, see the log"
        return f"{label}: done"

    def _service(self, key: str, label: str) -> str:
        kind: Any = _TYPES.get(key, Trigger)
        answer = self._calls.call(kind, key, kind.Request(), _ACT_S, again=False)
        if answer is None:
            return f"{label}: {self._unanswered(_ACT_S)}"
        if isinstance(answer, DeviceInfo.Response) and answer.success:
            return info_sentence(answer)
        return answer.message or f"{label}: {'done' if answer.success else 'not possible now'}"


class StandingFeeds:
    """The small topics that say how the node is; they are always received."""

    def __init__(self, target: str) -> None:
        self._target = target
        name, logger = target.rpartition("/")[2], logger_name(target)
        self.diagnostics: TopicFeed[State | None] = TopicFeed(
            lambda raw: state_of_diagnostics(read(raw, DiagnosticArray), name),
            wants=lambda raw: all(text in raw for text in self._in_diagnostics()),
        )
        self.status: TopicFeed[DeviceStatus] = TopicFeed(lambda raw: read(raw, DeviceStatus))
        self.log: TopicFeed[str] = TopicFeed(
            lambda raw: log_line(read(raw, Log), logger),
            kept=_LOG_LINES,
            wants=lambda raw: logger.encode() in raw,  # also loggers below it
        )
        self.parameters: TopicFeed[Any] = TopicFeed(
            lambda raw: read(raw, ParameterEvent),
            kept=_EVENTS,
            wants=lambda raw: serialized_text(target) in raw,
        )
        self.transitions: TopicFeed[Any] = TopicFeed(
            lambda raw: read(raw, TransitionEvent), kept=_EVENTS
        )

    def _in_diagnostics(self) -> Iterator[bytes]:
        """What is in the diagnostics of this node, and not in those of others.

        They have the name of the node without its namespace, and the serial number of the device.
        """
        yield serialized_text(f"{self._target.rpartition('/')[2]}: device")
        status = self.status.newest()
        if status is not None and status.mx_id:
            yield serialized_text(status.mx_id)

    def short_state(self) -> State | None:
        """The state until the first diagnostics arrive."""
        status = self.status.newest()
        return state_of_status(status) if status is not None else None

    def forget(self) -> None:
        """The node is another one; its log goes on."""
        self.diagnostics.forget()
        self.status.forget()

    def demands(self) -> dict[str, Demand]:
        """All of them."""
        rows = (
            Demand("/diagnostics", DiagnosticArray, self.diagnostics, 10),
            Demand(f"{self._target}/device/status", DeviceStatus, self.status, 1),
            Demand("/rosout", Log, self.log, _LOG_LINES),
            Demand("/parameter_events", ParameterEvent, self.parameters, _EVENTS),
            Demand(f"{self._target}/transition_event", TransitionEvent, self.transitions, _EVENTS),
        )
        return {row.topic: row for row in rows}
