"""Names: remapped topics, topics and nodes that share one, quality of service by topic."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import rclpy
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus
from nodes import Listener, StartNode, wait_until
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from depthai_ros.config import validate
from depthai_ros.errors import ConfigError
from depthai_ros.messages.diagnostics import Health
from depthai_ros.node import name_conflicts
from depthai_ros.node.publishers import StreamPublishers
from depthai_ros.streams import STREAMS

pytestmark = pytest.mark.distribution("remapping and name rules of rcl")

CONFIGURATION = 2
INFO = "camera_info"
QUIET: dict[str, Any] = {
    "device.id": "virtual:pattern",
    "stream_list": ["left", "right", "depth"],
    "camera.mono.resolution_h": 400,
    "camera.mono.fps": 10.0,
    "diagnostics.period_s": 0.2,
}
MakeNode = Callable[..., Node]


@pytest.fixture
def make_node() -> Iterator[MakeNode]:
    """make_node(*remap rules, **options): a node "oak" in this process."""
    nodes: list[Node] = []

    def make(*rules: str, **options: Any) -> Node:
        words = ["--ros-args", *(word for rule in rules for word in ("-r", rule))]
        nodes.append(rclpy.create_node("oak", cli_args=words, **options))
        return nodes[-1]

    yield make
    for node in nodes:
        node.destroy_node()


def publishers_of(node: Node, streams: list[str], **values: Any) -> StreamPublishers:
    return StreamPublishers(node, validate({"stream_list": streams, **values}), decoded=True)


#: remap rules, streams, the two topics that collide, their common name
COLLISIONS: list[tuple[list[str], list[str], tuple[str, str], str]] = [
    (
        ["~/left/image_raw:=/cam/image", "~/right/image_raw:=/cam/image"],
        ["left", "right"],
        ("~/left/image_raw", "~/right/image_raw"),
        "/cam/image",
    ),
    (
        ["~/left/camera_info:=/cam/camera_info", "~/depth/camera_info:=/cam/camera_info"],
        ["left", "depth"],
        ("~/left/camera_info", "~/depth/camera_info"),
        "/cam/camera_info",
    ),
    (
        ["~/left/image_raw:=~/right/image_raw"],
        ["left", "right"],
        ("~/left/image_raw", "~/right/image_raw"),
        "/oak/right/image_raw",
    ),
    (
        ["~/right/camera_info:=~/disparity"],
        ["right", "disparity"],
        ("~/right/camera_info", "~/disparity"),
        "/oak/disparity",
    ),
    (
        ["~/device/status:=/diagnostics"],
        ["left", "meta_d2h"],
        ("/diagnostics", "~/device/status"),
        "/diagnostics",
    ),
    (
        ["~/depth/image_raw:=/tf_static"],
        ["depth"],
        ("/tf_static", "~/depth/image_raw"),
        "/tf_static",
    ),
]


@pytest.mark.parametrize("case", COLLISIONS, ids=lambda case: " and ".join(case[2]))
def test_topics_that_would_share_a_name_are_refused_by_name(case: Any, make_node: MakeNode) -> None:
    rules, streams, names, shared = case
    node = make_node(*rules)
    before = {publisher.topic_name for publisher in node.publishers}
    with pytest.raises(ConfigError) as caught:
        publishers_of(node, streams)
    assert f"{names[0]} and {names[1]} would both be {shared}: " in str(caught.value)
    assert {publisher.topic_name for publisher in node.publishers} == before


def test_collision_ends_the_node_before_it_announces_anything(start_node: StartNode) -> None:
    rules = ["-r", "~/left/image_raw:=/cam/image", "-r", "~/right/image_raw:=/cam/image"]
    node = start_node(QUIET, "--ros-args", *rules)
    assert node.wait() == CONFIGURATION
    errors = [line for line in node.output.splitlines() if "[ERROR]" in line]
    assert len(errors) == 1, node.output
    assert "~/left/image_raw and ~/right/image_raw would both be /cam/image" in errors[0]
    assert "connected" not in node.output
    assert "Traceback" not in node.output


def test_rules_that_exchange_two_names_exchange_the_topics(
    make_node: MakeNode, start_node: StartNode, listener: Listener
) -> None:
    rules = ["~/left/image_raw:=~/right/image_raw", "~/right/image_raw:=~/left/image_raw"]
    publishers = publishers_of(make_node(*rules), ["left", "right"])
    left, right = publishers.publisher("left/image_raw"), publishers.publisher("right/image_raw")
    assert left is not None
    assert right is not None
    assert (left.topic_name, right.topic_name) == ("/oak/right/image_raw", "/oak/left/image_raw")
    publishers.destroy()
    start_node(QUIET, "--ros-args", *(word for rule in rules for word in ("-r", rule)))
    for message_type, name in ((Image, "image_raw"), (CameraInfo, INFO)):
        message = listener.first(message_type, f"left/{name}")
        assert message.header.frame_id == "oak_right_camera_optical_frame"


QOS = [
    (
        QoSProfile(
            depth=1,
            durability=DurabilityPolicy.TRANSIENT_LOCAL,
            reliability=ReliabilityPolicy.BEST_EFFORT,
        ),
        "its QoS policy durability does not match: change the subscriber\n",
    ),
    (
        QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE),
        "change the subscriber, or set qos_overrides./oak/left/image_raw.publisher.reliability of",
    ),
]


def test_advice_for_a_subscriber_that_receives_nothing_can_be_followed(
    start_node: StartNode, listener: Listener
) -> None:
    override = {"qos_overrides./oak/left/image_raw.publisher.reliability": "best_effort"}
    node = start_node({**QUIET, **override})
    for profile, advice in QOS:
        listener.node.create_subscription(Image, "/oak/left/image_raw", lambda _: None, profile)
        wait_until(lambda advice=advice: advice in node.output, lambda: f"advice in {node.output}")


def test_remapped_topics_keep_their_camera_info_and_their_qos_name(
    start_node: StartNode, listener: Listener
) -> None:
    rules = ["-r", "~/left/image_raw:=/eye/image_raw", "-r", "~/left/camera_info:=/eye/camera_info"]
    override = {"qos_overrides./eye/image_raw.publisher.reliability": "best_effort"}
    node = start_node({**QUIET, **override}, "--ros-args", *rules)
    listener.subscribe(CameraInfo, "/eye/camera_info")
    listener.wait_for("/eye/camera_info")
    assert listener.offered("/eye/image_raw").reliability == ReliabilityPolicy.BEST_EFFORT
    assert listener.offered("/eye/camera_info").reliability == ReliabilityPolicy.RELIABLE
    assert node.stop() == 0


# -- quality of service

ALL: dict[str, Any] = {
    "ai.blob_file": "any.blob",
    "ai.blob_file2": "two.blob",
    "ai.calc_dist_to_bb": True,
    "publish.depth_float": True,
}
EVERY_TOPIC = sorted(
    {
        name
        for row in STREAMS.values()
        for topic in row.topics
        for name in (topic.name, topic.camera_info)
        if name and topic.codec != "jpeg"
    }
)


#: remap rules, streams, further options, topics of images and camera_info
MOVES: list[tuple[list[str], list[str], set[str]]] = [
    (["~/left/image_raw:=/eye/image"], ["left"], {"/eye/image", "/eye/camera_info"}),
    (["/oak/left/image_raw:=/image"], ["left"], {"/image", "/camera_info"}),
    (
        ["~/left/image_raw:=/eye/image", "~/left/camera_info:=/model"],
        ["left"],
        {"/eye/image", "/model"},
    ),
    (["~/left/camera_info:=/model"], ["left"], {"/oak/left/image_raw", "/model"}),
    (  # raw and rectified share a camera_info until one of them moves
        ["~/left/image_rect:=/eye/image"],
        ["left", "rectified_left"],
        {"/oak/left/image_raw", "/oak/left/camera_info", "/eye/image", "/eye/camera_info"},
    ),
    (
        ["~/left/image_raw:=/eye/raw", "~/left/image_rect:=/eye/rect"],
        ["left", "rectified_left"],
        {"/eye/raw", "/eye/rect", "/eye/camera_info"},
    ),
    (  # both cannot be /eyes/camera_info
        ["~/left/image_raw:=/eyes/left", "~/right/image_raw:=/eyes/right"],
        ["left", "right"],
        {"/eyes/left", "/eyes/right", "/oak/left/camera_info", "/oak/right/camera_info"},
    ),
    (
        ["~/left/image_raw:=~/right/image_raw", "~/right/image_raw:=~/left/image_raw"],
        ["left", "right"],
        {f"/oak/{side}/{name}" for side in ("left", "right") for name in ("image_raw", INFO)},
    ),
    (
        ["~/rgb/image_raw:=/eye/image"],
        ["video"],
        {"/eye/image/ffmpeg", "/eye/camera_info", "/oak/rgb/video", "/oak/rgb/camera_info"},
    ),
    (
        ["~/rgb/still/image_raw:=/eye/image"],
        ["jpegout"],
        {"/eye/image/compressed", "/eye/camera_info"},
    ),
    (
        ["~/rgb/still/image_raw/compressed:=/jpeg/compressed"],
        ["jpegout"],
        {"/jpeg/compressed", "/camera_info"},
    ),
]


@pytest.mark.parametrize("case", MOVES, ids=lambda case: " ".join(case[0]))
def test_camera_info_and_transports_move_with_their_image(case: Any, make_node: MakeNode) -> None:
    rules, streams, expected = case
    node = make_node(*rules)
    before = {publisher.topic_name for publisher in node.publishers}
    publishers = publishers_of(node, streams)
    made = {publisher.topic_name for publisher in node.publishers} - before
    compressed = {name for name in made if name.rpartition("/")[0] in made}
    assert made - compressed == expected
    assert len(compressed) == len(publishers.compressed)
    publishers.destroy()


@pytest.mark.complaint(18)
def test_quality_of_service_of_every_topic_can_be_set(make_node: MakeNode) -> None:
    wanted = {"history": "keep_last", "depth": 17, "reliability": "best_effort"}
    overrides = [
        Parameter(f"qos_overrides./oak/{topic}.publisher.{policy}", value=value)
        for topic in EVERY_TOPIC
        for policy, value in wanted.items()
    ]
    node = make_node(parameter_overrides=overrides)
    publishers = publishers_of(node, list(STREAMS), **ALL)
    made = {row.topic_name.removeprefix("/oak/"): row.qos_profile for row in node.publishers}
    for topic in EVERY_TOPIC:
        assert made[topic].depth == 17, topic
        assert made[topic].reliability == ReliabilityPolicy.BEST_EFFORT, topic
    publishers.destroy()


#: invalid QoS override
NONSENSE = [
    ("depth", "deep"),
    ("depth", -1),
    ("depth", 10**12),
    ("depth", 1.5),
    ("history", "all"),
    ("reliability", 5),
]


@pytest.mark.parametrize(("policy", "value"), NONSENSE)
@pytest.mark.complaint(15)
def test_bad_qos_override_names_its_topic_and_leaves_no_publisher(
    policy: str, value: Any, make_node: MakeNode
) -> None:
    name = f"qos_overrides./oak/right/image_raw.publisher.{policy}"
    node = make_node(parameter_overrides=[Parameter(name, value=value)])
    before = {publisher.topic_name for publisher in node.publishers}
    with pytest.raises(ConfigError, match=r"^qos_overrides of ~/right/image_raw: .+") as caught:
        publishers_of(node, ["left", "right"])
    assert "\n" not in str(caught.value)
    assert {publisher.topic_name for publisher in node.publishers} == before


# -- nodes of one name


@pytest.mark.complaint(13)
def test_both_nodes_of_one_name_warn_and_list_the_shared_topics(
    start_node: StartNode,
) -> None:
    first = start_node(QUIET)
    first.wait_for_output("streaming")
    assert "another node" not in first.output
    second = start_node({**QUIET, "stream_list": ["left"]})
    for node in (first, second):
        node.wait_for_output("there is another node called /oak")
        (line,) = [row for row in node.output.splitlines() if "another node" in row]
        assert "[WARN]" in line
        assert "/oak/left/camera_info" in line
        assert "__node:=" in line
    assert second.stop() == 0
    first.wait_for_output("/oak is the only node of this name again")
    assert first.stop() == 0


def test_nodes_of_one_name_in_two_namespaces_do_not_conflict(start_node: StartNode) -> None:
    nodes = [start_node(QUIET, "--ros-args", "-r", f"__ns:=/{name}") for name in ("one", "two")]
    for node in nodes:
        node.wait_for_output("streaming")
    for name in ("one", "two"):
        listener = Listener(f"{name}/oak")
        listener.first(Image, "left/image_raw")
        listener.close()
    for node in nodes:
        assert node.stop() == 0
        assert "another node" not in node.output


def test_lasting_name_conflict_is_in_the_diagnostics(
    make_node: MakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(name_conflicts, "_FORGOTTEN_S", 0.0)
    check = name_conflicts.NameConflicts(make_node()).check
    assert check() == ""
    twin = make_node()
    health = Health("oak", validate({}))

    def found() -> str:
        health.name_conflict = check()
        return health.name_conflict

    wait_until(found, lambda: "the conflict")
    rows = {row.name: row for row in health.diagnostics(Time(), 0, {}).status}
    assert rows["oak: name"].level == DiagnosticStatus.WARN
    assert rows["oak: name"].message.startswith("there is another node called /oak")
    twin.destroy_node()
    wait_until(lambda: not found(), lambda: "the graph to drop the killed node")
    assert "oak: name" not in {row.name for row in health.diagnostics(Time(), 0, {}).status}


def test_empty_stream_list_ends_the_node_with_the_list_of_streams(start_node: StartNode) -> None:
    node = start_node({**QUIET, "stream_list": [""]})
    assert node.wait() == CONFIGURATION
    assert "stream_list is empty, must name at least one of meta_d2h, color, left" in node.output


# -- compressed topics


@pytest.mark.complaint(20)
def test_encoded_video_has_its_camera_info_beside_it(
    start_node: StartNode, listener: Listener
) -> None:
    video = {"stream_list": ["video"], "video_config.profile": "mjpeg", "camera.rgb.fps": 10.0}
    node = start_node({**QUIET, **video})
    listener.subscribe(CompressedImage, "rgb/image_raw/compressed")
    listener.subscribe(CameraInfo, "rgb/camera_info")
    listener.wait_for("rgb/image_raw/compressed", "rgb/camera_info", count=5)
    images = {str(row.header): row for row in listener.messages("rgb/image_raw/compressed")}
    infos = {str(row.header): row for row in listener.messages("rgb/camera_info")}
    both = images.keys() & infos.keys()
    assert both
    for header in both:
        assert images[header].format == "bgr8; jpeg compressed bgr8"
        assert (infos[header].width, infos[header].height) == (1920, 1080)
    # No raw topic beside it: the encoded stream of the device is passed on.
    assert {name for name in listener.topics() if name.startswith("rgb/")} == {
        "rgb/image_raw/compressed",
        "rgb/camera_info",
    }
    assert node.stop() == 0
