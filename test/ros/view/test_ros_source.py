"""The page's source over a camera node in a process of its own."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from geometry_msgs.msg import TransformStamped
from nodes import Listener, NodeProcess, wait_until
from parameter_clients import read, set_one
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Header, String
from tf2_msgs.msg import TFMessage

from depthai_ros.view.ros_source import RosSource
from depthai_ros.view.source import BOXES, CLOUD, Control

_MODELS = "package://depthai_ros/config/models"
CAMERA: dict[str, Any] = {
    "device.id": "virtual",
    "stream_list": [
        "left",
        "depth",
        "disparity",
        "color",
        "previewout",
        "metaout",
        "object_tracker",
        "jpegout",
        "meta_d2h",
    ],
    "camera.mono.resolution_h": 400,
    "camera.mono.fps": 10.0,
    "camera.rgb.fps": 10.0,
    "ai.blob_file": f"{_MODELS}/virtual_ssd.blob",
    "ai.blob_file_config": f"{_MODELS}/mobilenet_ssd.json",
    "ai.calc_dist_to_bb": True,
    "calibration.nominal": True,
    "points.color": "rgb",
    "diagnostics.period_s": 0.5,
}
LEFT, DEPTH, DISPARITY = "left/image_raw", "depth/image_raw", "disparity/image_raw"
PREVIEW, STILL = "rgb/preview/image_raw", "rgb/still/image_raw"
EVERYTHING = frozenset({LEFT, DEPTH, DISPARITY, PREVIEW, STILL, CLOUD, BOXES})
NOTHING = frozenset[str]()


class Running:
    """A node, and a source that may be opened before it."""

    def __init__(self, folder: Any) -> None:
        self._folder = folder
        self.source = RosSource("/oak")
        self.node: NodeProcess | None = None

    def start(self) -> None:
        self.node = NodeProcess(self._folder, CAMERA)

    def wait(self, condition: Any, what: str) -> Any:
        """The first result that is true."""
        found: list[Any] = []

        def is_true() -> bool:
            found.append(condition())
            return bool(found[-1])

        wait_until(is_true, lambda: f"{what}; {self.source.state()}; {self.source.log()[-3:]}")
        return found[-1]

    def control(self, key: str) -> Control | None:
        return next((row for row in self.source.controls() if row.key == key), None)

    def wait_for_state(self, state: str) -> None:
        self.wait(lambda: self.source.state().node == state, f"the state {state}")


@pytest.fixture(scope="module", name="running")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One node for all tests, which follow each other."""
    running = Running(tmp_path_factory.mktemp("node"))
    yield running
    running.source.close()
    assert running.node is not None
    running.node.kill()
    print(running.node.output)


@pytest.fixture(name="watcher")
def watch() -> Iterator[Listener]:
    """Another node, which counts and changes what the source should notice."""
    listener = Listener()
    yield listener
    listener.close()


def subscribers(listener: Listener, *topics: str) -> int:
    """Subscriptions on topics of the node, as its middleware counts them."""
    return sum(listener.node.count_subscribers(f"/oak/{topic}") for topic in topics)


LARGE = (
    "left/image_raw",
    "left/image_raw/compressed",
    "depth/image_raw",
    "depth/image_raw/compressedDepth",
    "disparity/image_raw/compressed",
    "rgb/image_raw",
    "rgb/image_raw/compressed",
    "rgb/preview/image_raw/compressed",
    "rgb/still/image_raw/compressed",
    "points",
    "nn/detections",
    "nn/spatial_detections",
    "nn/tracked_detections",
    "left/camera_info",
    "rgb/camera_info",
)


# -- in this order


def test_source_waits_for_a_node_that_is_not_there(running: Running) -> None:
    source = running.source
    running.wait_for_state("gone")
    assert "/oak is not running" in source.state().text
    assert (source.images(), source.controls(), source.actions()) == ((), (), ())
    assert source.set("camera.rgb.iso", 200) == "/oak is not running"
    assert source.act("capture_still") == "/oak is not running"
    running.start()
    running.wait_for_state("active")
    images = running.wait(source.images, "images")
    assert {row.name for row in images} >= {LEFT, DEPTH, DISPARITY, PREVIEW, STILL}


def test_everything_that_is_wanted_arrives(running: Running) -> None:
    source = running.source
    source.want(EVERYTHING, {LEFT: 5.0})
    running.wait(lambda: source.image(LEFT), "left")
    running.wait(lambda: source.image(DEPTH), "depth")
    running.wait(lambda: source.image(DISPARITY), "disparity")
    running.wait(lambda: source.image(PREVIEW), "the preview")
    left, depth = source.image(LEFT), source.image(DEPTH)
    disparity, preview = source.image(DISPARITY), source.image(PREVIEW)
    assert left is not None
    assert depth is not None
    assert disparity is not None
    assert preview is not None
    assert left.data.startswith(b"\xff\xd8")
    assert preview.data.startswith(b"\xff\xd8")
    for row, low, high in ((depth, 0.3, 10.0), (disparity, 1.0, 95.0)):
        assert row.pixels is not None
        assert row.pixels.shape == (400, 640)
        assert row.pixels.dtype == np.float32
        known = row.pixels[np.isfinite(row.pixels)]
        assert known.size > 10_000
        assert low <= known.min() < known.max() <= high

    cloud = running.wait(source.cloud, "points")
    assert cloud.frame_id == "oak_right_camera_optical_frame"
    assert len(cloud.points) == len(cloud.colors) > 10_000
    running.wait(lambda: source.cloud().colors.std(axis=0).max() > 5, "the colours of rgb")
    running.wait(lambda: any(box.center_m for box in source.boxes()), "a box in the room")
    running.wait(lambda: any(box.track_id for box in source.boxes()), "a tracked box")
    assert all(box.label and box.image for box in source.boxes())


def test_cameras_and_frames_arrive(running: Running) -> None:
    source = running.source
    running.wait(lambda: len(source.cameras()) == 3, "three cameras")
    cameras = {row.camera: row for row in source.cameras()}
    assert cameras["left"].frame_id == "oak_left_camera_optical_frame"
    assert (cameras["left"].width, cameras["left"].height) == (640, 400)
    assert 0.5 < cameras["rgb"].fov_y_rad < 1.2
    frames = running.wait(source.frames, "frames")
    poses = {row.name: row.pose for row in frames}
    assert frames[0].parent == ""
    assert {row.frame_id for row in cameras.values()} <= poses.keys()
    left, right = (poses[f"oak_{side}_camera_optical_frame"] for side in ("left", "right"))
    assert np.linalg.norm(left[:3, 3] - right[:3, 3]) == pytest.approx(0.075)
    assert source.robot() == ""


def test_robot_and_transforms_of_other_nodes_arrive(running: Running, watcher: Listener) -> None:
    source = running.source
    kept = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    model = watcher.node.create_publisher(String, "/robot_description", kept)
    moving = watcher.node.create_publisher(TFMessage, "/tf", 10)
    model.publish(String(data="<robot>"))
    refusal = "page: /robot_description: robot_description is no XML"
    running.wait(lambda: any(refusal in line for line in source.log()), "the refusal")
    assert source.robot() == ""
    model.publish(String(data="<robot/>"))
    running.wait(source.robot, "the robot")
    assert source.robot() == "<robot/>"
    at = TransformStamped(header=Header(frame_id="robot"), child_frame_id="oak")
    at.transform.translation.z = 2.0

    def root() -> str:
        moving.publish(TFMessage(transforms=[at]))
        return source.frames()[0].name

    running.wait(lambda: root() == "robot", "the robot as root of the frames")
    poses = {row.name: row.pose for row in source.frames()}
    assert poses["oak_left_camera_optical_frame"][2, 3] == pytest.approx(2.0)


def test_state_has_the_figures_of_the_diagnostics(running: Running) -> None:
    source = running.source
    running.wait(lambda: any(row.lost for row in source.state().streams), "diagnostics")
    state = source.state()
    assert (state.node, state.device) == ("active", "streaming")
    streams = {row.name: row for row in state.streams}
    assert streams["left"].expected_fps == 10.0
    running.wait(
        lambda: {row.name: row for row in source.state().streams}["left"].mb_s > 0.5, "a rate"
    )
    running.wait(lambda: "mss" in source.state().temperatures_c, "temperatures")


def test_still_image_arrives_on_request(running: Running) -> None:
    source = running.source
    assert source.image(STILL) is None
    made = source._calls._clients.keys()
    running.wait(lambda: {"capture_still", "save_calibration", "change_state"} <= made, "clients")
    assert "capture_still" in {row.key for row in source.actions()}
    assert source.act("capture_still").startswith("the still image will be published")
    running.wait(lambda: source.image(STILL), "the still image")
    assert "14442C10D1VIRTUAL0" in source.act("device_info")
    assert source.act("nonsense") == "/oak has no action nonsense now"


def test_only_what_is_wanted_is_received(running: Running, watcher: Listener) -> None:
    source = running.source
    watcher.wait_until(lambda: subscribers(watcher, "points"), "the subscription to points")
    assert subscribers(watcher, "left/image_raw", "depth/image_raw") == 0  # compressed instead
    source.want(frozenset({DEPTH}), {})
    gone = [name for name in LARGE if not name.startswith("depth/")]
    watcher.wait_until(lambda: not subscribers(watcher, *gone), "no subscription but to depth")
    watcher.wait_until(
        lambda: subscribers(watcher, "depth/image_raw/compressedDepth") == 1, "one to depth"
    )
    assert source.image(LEFT) is None
    other = RosSource("oak")  # two pages of one node
    other.want(frozenset({DEPTH}), {})
    running.wait(lambda: other.image(DEPTH), "depth in the other")
    other.close()
    assert source.image(DEPTH) is not None
    source.want(NOTHING, {})
    watcher.wait_until(lambda: not subscribers(watcher, *LARGE), "no subscription")
    assert source.cameras()  # what is known stays


def test_controls_are_what_can_change_now(running: Running) -> None:
    source = running.source
    running.wait(lambda: running.control("camera.rgb.iso"), "controls")
    iso = running.control("camera.rgb.iso")
    assert iso is not None
    assert (iso.value, iso.low, iso.high, iso.group) == (400, 100.0, 1600.0, "rgb camera")
    assert source.controls()[0].group == "rgb camera"  # what people turn most
    exposure = running.control("camera.left.exposure_us")
    assert exposure is not None
    assert exposure.unit == "us"
    assert exposure.meaning == "exposure time, at most the time of one frame; 0 = automatic"
    mode = running.control("camera.rgb.white_balance")
    assert mode is not None
    assert mode.choices[:2] == ("none", "auto")
    keys = {row.key for row in source.controls()}
    assert "stream.left.publish" in keys
    assert not keys & {
        "stream.video.publish",  # it does not run
        "stream_list",  # not while the node is active
        "camera.rgb.fps",
        "autostart",  # never
        "use_sim_time",  # says nothing about itself
        "compressed.left.image_raw.jpeg_quality",  # too many
    }


def test_change_reaches_the_node_and_a_change_by_others_the_page(
    running: Running, watcher: Listener
) -> None:
    source = running.source
    assert source.set("camera.rgb.iso", 200.0) == ""  # a browser knows one kind of number
    assert source.set("compressed.left.image_raw.jpeg_quality", 60) == ""
    keys = ["camera.rgb.iso", "compressed.left.image_raw.jpeg_quality"]
    assert list(read(watcher, keys).values()) == [200, 60]
    assert set_one(watcher, "camera.rgb.iso", 800).successful

    def value() -> Any:
        control = running.control("camera.rgb.iso")
        return control and control.value

    running.wait(lambda: value() == 800, "the change of another node")


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("camera.rgb.iso", 99, "camera.rgb.iso is 99, must be between 100 and 1600"),
        ("camera.rgb.iso", 100.5, "camera.rgb.iso: 100.5 is no integer"),
        ("camera.rgb.iso", None, "camera.rgb.iso: None is no integer"),
        ("camera.rgb.ae_lock", "maybe", "camera.rgb.ae_lock: 'maybe' is not true or false"),
        ("camera.rgb.white_balance", 1, "camera.rgb.white_balance: 1 is no text"),
        ("stream_list", [1], "stream_list: [1] is no list of texts"),
        ("camera.rgb.fps", 20, "camera.rgb.fps changes while the node is inactive"),
        ("nonsense\n", 1, "/oak has no parameter nonsense\\n now"),
    ],
)
def test_refusal_has_its_reason(running: Running, key: str, value: object, reason: str) -> None:
    assert running.source.set(key, value).startswith(reason)


def test_read_only_source_changes_nothing(running: Running) -> None:
    source = RosSource("/oak", read_only=True)
    running.wait(lambda: source.state().node == "active", "the state")
    for answer in (source.set("camera.rgb.iso", 200), source.act("lifecycle/deactivate")):
        assert "--read-only" in answer
    running.wait(source.controls, "controls, to be looked at")
    source.close()
    assert running.source.state().node == "active"


def test_transitions_are_those_that_the_state_allows(running: Running) -> None:
    source = running.source

    def keys() -> set[str]:
        return {row.key for row in source.actions() if row.key.startswith("lifecycle/")}

    assert keys() == {"lifecycle/deactivate"}
    assert source.act("lifecycle/deactivate") == "Deactivate: done"
    running.wait_for_state("inactive")
    assert keys() == {"lifecycle/activate", "lifecycle/cleanup"}
    assert "capture_still" not in {row.key for row in source.actions()}
    assert running.control("camera.rgb.fps") is not None
    assert running.control("stream_list") is None
    assert source.set("camera.rgb.fps", 12) == ""
    assert source.act("lifecycle/configure") == "/oak has no action lifecycle/configure now"
    assert source.act("lifecycle/cleanup") == "Cleanup: done"
    running.wait_for_state("unconfigured")
    assert running.control("stream_list") is not None
    assert running.control("stream.video.publish") is None
    running.wait(lambda: not source.images(), "no images")
    assert "points.color is rgb" in source.set("stream_list", ["depth"])
    assert source.set("stream_list", ["left", "depth", "color"]) == ""
    assert source.act("lifecycle/configure") == "Configure: done"
    running.wait_for_state("inactive")
    assert source.act("lifecycle/activate") == "Activate: done"
    running.wait_for_state("active")
    words = "streaming color, left, depth"
    running.wait(lambda: any(words in line for line in source.log()), "the log line")


def test_node_that_is_started_again_is_followed(running: Running) -> None:
    source = running.source

    def value() -> Any:
        control = running.control("camera.rgb.iso")
        return control and control.value

    source.want(frozenset({LEFT, CLOUD}), {})
    running.wait(lambda: source.image(LEFT), "left")
    assert running.node is not None
    assert running.node.stop() == 0
    running.wait_for_state("gone")
    running.wait(
        lambda: (
            source.image(LEFT) is None
            and (source.images(), source.controls(), source.actions()) == ((), (), ())
        ),
        "nothing of the node",
    )
    frames = source._shown._feeds["/tf"][1]
    seen_s = source._look_s
    running.wait(lambda: source._look_s > seen_s + 1.0, "more looks at the graph")
    assert source._shown._feeds["/tf"][1] is frames  # it is not subscribed again and again
    running.start()
    running.wait_for_state("active")
    running.wait(lambda: source.image(LEFT), "left of the new node")
    running.wait(source.cloud, "points of the new node")
    running.wait(lambda: value() == 400, "the values of the new node")
    assert source.set("camera.rgb.iso", 500) == ""
    running.wait(lambda: value() == 500, "the change")
    running.node.kill()  # it stays in the graph for a while, beside the next one
    running.start()
    running.wait(lambda: value() == 400, "the values of the third node")
    last = source.image(LEFT)
    running.wait(lambda: source.image(LEFT) not in (None, last), "its images")


def test_close_ends_a_call_that_waits(running: Running) -> None:
    source, answers = RosSource("/oak"), list[str]()
    running.wait(lambda: source.actions(), "actions")
    assert running.node is not None
    running.node.process.send_signal(signal.SIGSTOP)
    caller = threading.Thread(target=lambda: answers.append(source.act("reset_device")))
    caller.start()
    running.wait(lambda: any("reset_device" in name for name in _waiting(source)), "the call")
    source.close()
    caller.join(5.0)
    running.node.process.send_signal(signal.SIGCONT)
    assert answers == ["Reset device: the page is closed"]


def _waiting(source: RosSource) -> list[str]:
    return [*source._calls.waiting.values()]


def test_closed_source_leaves_nothing_behind(running: Running, watcher: Listener) -> None:
    def nodes() -> list[str]:
        return [name for name in watcher.node.get_node_names() if name.startswith("depthai_view")]

    watcher.wait_until(nodes, "the node of the source")
    running.source.close()
    assert not [row for row in threading.enumerate() if row.name.startswith("view-ros")]
    watcher.wait_until(lambda: not nodes(), "no node of the source")
    running.source.close()  # again
