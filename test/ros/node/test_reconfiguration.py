"""What is set while the node is unconfigured or inactive has its effect at the next transition.

One process changes its profile again and again, and can be mended after wrong parameters.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import fields, is_dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest
from boards import Board
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from nodes import Listener, StartNode
from parameter_clients import QUIET, read, set_each, set_one, set_together
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from resources import in_use
from sensor_msgs.msg import CameraInfo, Image

from depthai_ros.config import BY_KEY, OPTIONS, Option, defaults
from depthai_ros.config.limits import Choice, Range
from depthai_ros.errors import ConfigError
from depthai_ros.node.node import CameraNode
from depthai_ros.streams import COMPRESSED_TOPICS, STREAMS

pytestmark = pytest.mark.distribution("rclpy's parameters and publishers, declared again")

MODELS = "package://depthai_ros/config/models"
NETWORK = {
    "ai.blob_file": f"{MODELS}/virtual_ssd.blob",
    "ai.blob_file_config": f"{MODELS}/mobilenet_ssd.json",
}
MONO_SIZES = {400: (640, 400), 720: (1280, 720), 800: (1280, 800)}
RGB_SIZES = {1080: (1920, 1080), 2160: (3840, 2160)}


class Profile(NamedTuple):
    """Streams; height of the mono and the rgb images, px; their rates, Hz."""

    streams: tuple[str, ...]
    mono: int = 400
    mono_fps: float = 30.0
    rgb: int = 1080
    rgb_fps: float = 30.0

    @property
    def values(self) -> dict[str, Any]:
        return {
            "stream_list": list(self.streams),
            "camera.mono.resolution_h": self.mono,
            "camera.mono.fps": self.mono_fps,
            "camera.rgb.resolution_h": self.rgb,
            "camera.rgb.fps": self.rgb_fps,
        }

    def image(self, stream: str) -> tuple[tuple[int, int], float]:
        """(width, height) and rate of the images of a stream."""
        if stream == "color":
            return RGB_SIZES[self.rgb], self.rgb_fps
        return MONO_SIZES[self.mono], self.mono_fps


PROFILES = (
    Profile(("left", "meta_d2h"), 400, 10.0),
    Profile(("color", "meta_d2h"), rgb_fps=15.0),
    Profile(("left", "right"), 800, 25.0),
    Profile(("depth", "rectified_right"), 400, 60.0),
    Profile(("color", "left"), 400, 20.0, 2160, 10.0),
    Profile(("disparity",), 720, 15.0),
    Profile(("previewout", "metaout"), rgb_fps=20.0),
    Profile(("left", "right", "color"), 720, 10.0, rgb_fps=10.0),
    Profile(("color", "left"), 400, 20.0, 2160, 10.0),
    Profile(("right", "meta_d2h"), 400, 100.0),
)
#: Streams without an image of a camera.
OTHERS = ("meta_d2h", "previewout", "metaout")
#: KiB that the node may hold more after the later profiles than after the earlier ones.
GROWTH_KIB = 40_000


def change(listener: Listener, *transitions: int) -> None:
    for transition in transitions:
        assert listener.change_state(transition), transition


def component(listener: Listener, name: str) -> dict[str, float]:
    """The numbers of one component in the last report."""
    rows = listener.messages("/diagnostics")[-1].status if listener.raw("/diagnostics") else []
    found = next((row for row in rows if row.name == f"oak: {name}"), None)
    return {pair.key: float(pair.value) for pair in found.values} if found else {}


def check_topics(listener: Listener, profile: Profile) -> None:
    """The topics of its streams are there, those of all others are not."""
    rows = [topic for name in profile.streams for topic in STREAMS[name].topics]
    own = {
        topic.name
        for topic in rows
        if not topic.option and topic.network != "tensors" and topic.codec != "jpeg"
    }
    own |= {topic.name for image, topic in COMPRESSED_TOPICS.items() if image in own}
    others = {topic.name for row in STREAMS.values() for topic in row.topics} - own
    listener.wait_until(
        lambda: own <= (topics := listener.topics()) and others.isdisjoint(topics),
        f"the topics {own}",
    )


def check_images(listener: Listener, profile: Profile) -> None:
    """Size and rate of images and camera_info are those of the profile."""
    topics = {name: STREAMS[name].topics[0] for name in profile.streams if name not in OTHERS}
    for topic in topics.values():
        listener.subscribe(Image, topic.name)
    change(listener, Transition.TRANSITION_ACTIVATE)
    for stream, topic in topics.items():
        size, fps = profile.image(stream)
        listener.wait_for(topic.name)
        image = listener.messages(topic.name)[-1]
        assert (image.width, image.height) == size, topic.name
        info = listener.first(CameraInfo, f"{topic.name.partition('/')[0]}/camera_info")
        assert (info.width, info.height) == size, topic.name
        planned = partial(component, listener, f"stream {stream}")
        listener.wait_until(
            lambda planned=planned, fps=fps: planned().get("fps_expected") == fps,
            f"{fps} Hz of {stream}",
        )
        listener.unsubscribe(topic.name)


@pytest.mark.complaint(14)
def test_ten_profiles_in_one_process(start_node: StartNode, listener: Listener) -> None:
    node = start_node({**QUIET, **NETWORK, "autostart": False})
    listener.subscribe(DiagnosticArray, "/diagnostics")
    held = []
    for profile in PROFILES:
        assert set_together(listener, profile.values).successful
        assert read(listener, profile.values) == profile.values
        change(listener, Transition.TRANSITION_CONFIGURE)
        check_topics(listener, profile)
        check_images(listener, profile)
        change(listener, Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP)
        listener.wait_until(
            lambda: component(listener, "memory").get("buffers_in_use_bytes") == 0,
            "all buffers to come back",
        )
        assert node.children() == []
        held.append(in_use(node.process.pid)["memory_kib"])
    print("KiB after each profile:", *held)
    assert max(held[5:]) <= max(held[:5]) + GROWTH_KIB
    assert "Traceback" not in node.output
    assert node.stop() == 0


# -- while the node is unconfigured


def other_value(option: Option) -> Any:
    """A valid value that is not the default."""
    texts = {"device.id": "virtual:pattern", "stream_list": ("right", "depth", "metaout")}
    if option.key in texts:
        return texts[option.key]
    if isinstance(option.default, bool):
        return not option.default
    if isinstance(option.limits, Choice):
        return next((v for v in option.limits.values if v != option.default), option.default)
    if isinstance(option.limits, Range):
        kind: Any = type(option.default)
        middle = kind((option.limits.low + option.limits.high) / 2)
        return middle if middle != option.default else kind(option.limits.high)
    if isinstance(option.default, tuple):
        return ("one", "two")
    return "0 0 64 64" if option.key.endswith("ae_region") else "elsewhere"


def whole_file() -> dict[str, Any]:
    """Nearly every option with another value than the default; valid together."""
    settings = defaults()
    for option in sorted(OPTIONS, key=lambda option: option.key):
        try:
            settings = settings.replace({option.key: other_value(option)})
        except ConfigError:
            continue
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in settings.items()
        if value != BY_KEY[key].default and BY_KEY[key].changes != "never"
    }


def test_whole_parameter_file_is_loaded_in_any_order(
    start_node: StartNode, listener: Listener
) -> None:
    """Like `ros2 param load`, which sends all parameters in one request."""
    node = start_node({"device.id": "virtual", "autostart": False})
    values = whole_file()
    assert len(values) > 0.9 * len(OPTIONS)
    for keys in (list(values), list(reversed(values))):
        results = set_each(listener, {key: values[key] for key in keys})
        assert not [result.reason for result in results if not result.successful]
        assert read(listener, values) == values
        before = {key: _parameter(BY_KEY[key].default) for key in values}
        assert set_together(listener, before).successful
        assert read(listener, values) == before
    # A request with a wrong value sets the others, as `ros2 param load` reports.
    results = set_each(listener, {"camera.mono.fps": 400.0, "depth.lr_check": True})
    assert [result.successful for result in results] == [False, True]
    assert read(listener, ["depth.lr_check"]) == {"depth.lr_check": True}
    assert node.stop() == 0


def _parameter(value: Any) -> Any:
    return (list(value) or [""]) if isinstance(value, tuple) else value


WRONG: dict[str, Any] = {
    "depth.median_kernel_size": 4,
    "camera.rgb.fps": "fast",
    "depht.lr_check": True,
    "reconnect.wait_at_start": 7,
    "diagnostics.temp_warn_c": 101.0,
    "ai.blob_file": "/nowhere/network.blob",
}
SHOWN = ("depth.median_kernel_size", "camera.rgb.fps", "camera.mono.fps")


def set_and_hear(listener: Listener, key: str, value: Any, still: str) -> None:
    """Set a parameter; the answer says what is still wrong, "" = nothing."""
    result = set_one(listener, key, value)
    assert result.successful, result.reason
    assert still in result.reason
    assert bool(result.reason) == bool(still)


def test_node_with_wrong_parameters_is_mended_in_its_process(
    start_node: StartNode, listener: Listener
) -> None:
    node = start_node({**QUIET, **WRONG, "autostart": False})
    assert not listener.change_state(Transition.TRANSITION_CONFIGURE)
    for words in ("median_kernel_size is 4", "rgb.fps is 'fast'", "depht.lr_check", "start is 7"):
        assert words in node.output
    # Each value that is valid by itself is shown; the default stands for a wrong one.
    assert read(listener, SHOWN) == dict(zip(SHOWN, (7, 30.0, 10.0), strict=True))

    mend = partial(set_and_hear, listener)
    assert "is 6, must be one of" in set_one(listener, "depth.median_kernel_size", 6).reason
    mend("depth.median_kernel_size", 5, "rgb.fps is 'fast'")
    mend("camera.rgb.fps", 20.0, "depht.lr_check is not an option, the nearest is depth.lr_check")
    assert not listener.change_state(Transition.TRANSITION_CONFIGURE)
    mend("depht.lr_check", None, "reconnect.wait_at_start is 7")
    mend("reconnect.wait_at_start", None, "temp_warn_c is 101, must not exceed")
    assert "cannot be removed" in set_one(listener, "camera.mono.fps", None).reason
    mend("diagnostics.temp_warn_c", 90.0, "")
    assert not listener.change_state(Transition.TRANSITION_CONFIGURE)
    assert "/nowhere/network.blob" in node.output
    mend("ai.blob_file", "", "")
    # Now the node is right, and stays so.
    assert "must not exceed" in set_one(listener, "diagnostics.temp_warn_c", 101.0).reason
    change(listener, Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE)
    listener.first(Image, "left/image_raw")
    assert read(listener, SHOWN) == dict(zip(SHOWN, (5, 20.0, 10.0), strict=True))
    assert node.stop() == 0


def test_unknown_parameters_are_ignored_when_strict_is_set_to_false(
    start_node: StartNode, listener: Listener
) -> None:
    qos = "qos_overrides./oak/left/image_rawr.publisher.depth"
    node = start_node({**QUIET, "depht.lr_check": True, qos: 5, "autostart": False})
    assert not listener.change_state(Transition.TRANSITION_CONFIGURE)
    assert set_one(listener, "strict", False).reason == ""
    change(listener, Transition.TRANSITION_CONFIGURE)
    assert "depht.lr_check is not a parameter, the nearest is depth.lr_check; it" in node.output
    assert f"{qos} is not a parameter" in node.output
    assert node.stop() == 0


# -- while the node is on its way to active, or there


def test_node_that_waits_for_its_device_takes_what_is_live(
    board: Board, start_node: StartNode, listener: Listener
) -> None:
    node = start_node({**QUIET, "device.id": board.selector, "reconnect.max_delay_s": 0.5})
    node.wait_for_output("waiting for the device")
    refused = set_one(listener, "stream_list", ["right"])
    assert "while the node is unconfigured, now it is configuring: wait until" in refused.reason
    assert set_one(listener, "reconnect.max_delay_s", 1.0).successful
    board.plug()
    node.wait_for_output("streaming meta_d2h, left")
    assert node.stop() == 0


def test_limits_of_reconnecting_are_those_at_the_loss(
    board: Board, start_node: StartNode, listener: Listener
) -> None:
    board.plug()
    node = start_node({**QUIET, "device.id": board.selector, "reconnect.enable": False})
    node.wait_for_output("streaming")
    limits = {
        "reconnect.enable": True,
        "reconnect.max_attempts": 3,
        "reconnect.initial_delay_s": 0.01,
        "reconnect.max_delay_s": 0.1,
    }
    assert set_together(listener, limits).successful
    board.unplug()
    node.wait_for_output("gave up after 3 reconnect attempts")
    listener.wait_until(lambda: listener.state() == "unconfigured", "the state unconfigured")
    board.plug()
    assert set_one(listener, "stream_list", ["right", "meta_d2h"]).successful
    change(listener, Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE)
    listener.first(Image, "right/image_raw")
    assert node.stop() == 0


# -- in this process


class InProcess:
    """A camera node in the process of the test, without an executor."""

    def __init__(self) -> None:
        self.node = CameraNode()
        self.set({**QUIET, "diagnostics.period_s": 60.0})

    def try_set(self, values: Mapping[str, Any]) -> str:
        parameters = [Parameter(key, value=_parameter(value)) for key, value in values.items()]
        result = self.node.set_parameters_atomically(parameters)
        assert result.successful != bool(result.reason)
        return str(result.reason)

    def set(self, values: Mapping[str, Any]) -> None:
        assert self.try_set(values) == ""

    def go(self, *names: str) -> None:
        for name in names:
            answer = getattr(self.node, f"trigger_{name}")()
            assert answer == TransitionCallbackReturn.SUCCESS, self.node.failure

    def depth_of(self, topic: str) -> int:
        (row,) = (row for row in self.node.publishers if row.topic_name == f"/oak/{topic}")
        return int(row.qos_profile.depth)

    def close(self) -> None:
        """Also the services of its life cycle, which rclpy keeps as long as the object lives."""
        self.node.finish()
        self.node.destroy_node()
        del self.node
        gc.collect()


@pytest.fixture
def in_process() -> Iterator[InProcess]:
    running = InProcess()
    yield running
    running.close()


STREAM_LIST = ["left", "right", "depth", "color", "metaout", "object_tracker", "meta_d2h"]


def plain(value: Any, depth: int = 0) -> Any:
    """Numbers and texts of an object, as far as they say what runs."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if is_dataclass(value) and depth < 6:
        names = [field.name for field in fields(value) if field.name != "health"]
        return {name: plain(getattr(value, name), depth + 1) for name in names}
    if isinstance(value, Mapping):
        return {str(key): plain(row, depth + 1) for key, row in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(row, depth + 1) for row in value]
    return value if isinstance(value, (bool, int, float, str)) else type(value).__name__


def what_runs(node: CameraNode) -> dict[str, Any]:
    """Everything that is made at an activation."""
    supervisor = node.supervisor
    loop, pipeline = supervisor._loop, supervisor.pipeline
    assert loop is not None
    assert pipeline is not None
    sent = supervisor._frames._sent
    return {
        "device": plain(pipeline.settings),
        "watchdog": pipeline.watchdog_s,
        "context": plain(supervisor.context),
        "rates": {name: row.expected_fps for name, row in node._health.stream_stats.items()},
        "sync": loop._sync and (loop._sync._timeout_ns, loop._publishes_incomplete),
        "limits": sorted(loop._limiters),
        "hold": loop._idle_streams._hold_s,
        "stamps": supervisor._stamps._added_ns,
        "frames": sent and [row.child_frame_id for row in sent.transforms],
    }


@pytest.mark.complaint(14)
def test_what_is_set_while_inactive_runs_as_if_it_had_been_set_before() -> None:
    everything = whole_file()
    inactive = {key: row for key, row in everything.items() if BY_KEY[key].changes == "inactive"}
    inactive |= {"tf.source": "calibration", "camera.mono.fps": 40.0, "camera.rgb.fps": 20.0}
    inactive |= {f"stream.{name}.max_fps": 5.0 for name in STREAMS} | {"sync.enable": True}
    inactive |= {"usb.on_insufficient": "reduce", "app.usb_chunk_KiB": 128, "ai.shaves": 5}
    inactive |= {"ai.cmx_slices": 9}
    running = []
    for before, later in ((inactive, {}), ({}, inactive)):
        with closing(InProcess()) as one:
            one.set({**NETWORK, "stream_list": STREAM_LIST, **before})
            one.go("configure")
            one.set(later)
            one.go("activate")
            running.append(what_runs(one.node))
    assert running[0] == running[1]
    for key in inactive:
        assert running[1]["device"][key] != plain(BY_KEY[key].default) or key == "tf.source", key


def test_device_frames_and_quality_of_service_change_while_unconfigured(
    in_process: InProcess,
) -> None:
    one = in_process
    qos = "qos_overrides./oak/left/image_raw.publisher.depth"
    one.set({qos: 7, "stream_list": ["left", "right"]})
    assert one.node.get_parameter(qos).value == 7
    one.go("configure")
    assert (one.depth_of("left/image_raw"), one.depth_of("right/image_raw")) == (7, 2)
    assert "changes while the node is unconfigured" in one.try_set({qos: 8})
    one.set({qos: 7})  # its present value
    latched = [row for row in one.node.publishers if row.topic_name == "/tf_static"]
    assert len(latched) == 1
    one.go("cleanup")

    one.set({"publish.queue_depth": 4, "tf.source": "none", "device.id": "virtual:synthetic"})
    one.set({"stream_list": ["right"]})
    one.go("configure")  # the override of a topic that is away now is no mistake
    assert one.depth_of("right/image_raw") == 4
    assert not [row for row in one.node.publishers if row.topic_name == "/tf_static"]
    device = one.node.supervisor.device
    assert device is not None
    assert device.selector == "virtual:synthetic"
    one.go("cleanup")

    misspelt = "qos_overrides./oak/right/image_rawr.publisher.depth"
    one.set({misspelt: 3})
    assert one.node.trigger_configure() == TransitionCallbackReturn.FAILURE
    assert f"{misspelt} is not a parameter" in str(one.node.failure)
    one.set({misspelt: None})
    one.set({"qos_overrides./oak/right/image_raw.publisher.depth": "deep"})
    assert one.node.trigger_configure() == TransitionCallbackReturn.FAILURE
    one.set({"qos_overrides./oak/right/image_raw.publisher.depth": 9})
    one.go("configure")
    assert one.depth_of("right/image_raw") == 9
