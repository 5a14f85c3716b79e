"""Another reader finds in a recording (mcap) of every topic the messages that were sent.

The node publishes `virtual:pattern` on every stream, with a network, from start to end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from bags import Bag, Recorder, definition, frames_in
from lifecycle_msgs.msg import Transition
from nodes import Listener, NodeProcess
from numpy.typing import NDArray
from patterns import COLOR, EVERY_STREAM, FORMULAS, depth
from public_names import stored_names
from std_srvs.srv import Trigger

from depthai_ros.config import validate
from depthai_ros.config.settings import worker_outputs
from depthai_ros.streams import COMPRESSED_TOPICS, STREAMS, WORKER_OUTPUTS

pytestmark = pytest.mark.distribution("message definitions in a recording")

NODE = "/oak"
#: Output of the network -> parameters of the node.
NETWORKS: dict[str, dict[str, Any]] = {
    "detections": {**EVERY_STREAM, "autostart": False},
    "tensors": {
        "device.id": "virtual:pattern",
        "autostart": False,
        "stream_list": ["previewout", "metaout", "video", "meta_d2h"],
        "ai.blob_file": "package://depthai_ros/config/models/virtual_age_gender.blob",
        "camera.rgb.fps": 5.0,
    },
}
#: Topics of every node, on which messages come only after events.
OF_EVERY_NODE = {"/rosout", "/parameter_events", f"{NODE}/transition_event"}
MAY_BE_SILENT = {"/parameter_events"}
#: Messages without a frame_id.
#: Of messages without a header; that of a MarkerArray is in its markers.
WITHOUT_A_FRAME = {"/diagnostics", f"{NODE}/device/status"}
MARKERS = f"{NODE}/nn/markers"
ENOUGH, KEEP = 2, 5


def expected_topics(parameters: Mapping[str, Any], network: str) -> set[str]:
    """The topics of the stream tables for these parameters and their network."""
    codec = "jpeg" if parameters.get("video_config.profile") == "mjpeg" else "video"
    rows = [STREAMS[name] for name in parameters["stream_list"]]
    rows += [WORKER_OUTPUTS[name] for name in worker_outputs(validate(parameters))]
    topics = [
        topic
        for row in rows
        for topic in row.topics
        if (not topic.option or parameters.get(topic.option))
        and topic.network in ("", network)
        and topic.codec in ("", codec)
    ]
    names = {name for topic in topics for name in (topic.name, topic.camera_info) if name}
    names |= {topic.name for image, topic in COMPRESSED_TOPICS.items() if image in names}
    return {f"{NODE}/{name}" for name in names} | {"/tf_static", "/diagnostics"} | OF_EVERY_NODE


def recorded(folder: Path, parameters: Mapping[str, Any], topics: set[str]) -> Bag:
    """A recording that ends after two messages of every topic, one of each latched topic."""
    node, caller = NodeProcess(folder, parameters), Listener()
    recorder = Recorder(folder, NODE, KEEP)
    latched = {
        f"{NODE}/{name}"
        for row in STREAMS.values()
        for topic in row.topics
        if topic.latched
        for name in (topic.name, topic.camera_info)
    }
    least = {
        topic: 1 if topic in latched | OF_EVERY_NODE | {"/tf_static"} else ENOUGH
        for topic in topics - MAY_BE_SILENT
    }
    try:
        recorder.record_until(lambda: recorder.counts["/diagnostics"], "the node")
        for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
            assert caller.change_state(transition)
        if "jpegout" in parameters["stream_list"]:
            recorder.record_until(
                lambda: f"{NODE}/rgb/still/image_raw/compressed" in recorder.types, ""
            )
            assert caller.call(Trigger, "capture_still", Trigger.Request()).success
        recorder.record_until(
            lambda: all(recorder.counts[topic] >= count for topic, count in least.items()),
            f"each of {', '.join(sorted(least))}",
        )
        assert node.stop() == 0
    finally:
        recorder.close()
        caller.close()
        node.kill()
        print(node.output)
    return Bag(folder)


@pytest.fixture(scope="module")
def bags(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Bag]]:
    pytest.importorskip("av")  # with which the virtual device encodes video
    folders = {network: tmp_path_factory.mktemp("bag") for network in NETWORKS}
    yield {
        network: recorded(folder, NETWORKS[network], expected_topics(NETWORKS[network], network))
        for network, folder in folders.items()
    }
    for folder in folders.values():
        (folder / "recording.mcap").unlink()


@pytest.fixture
def bag(bags: dict[str, Bag]) -> Bag:
    return bags["detections"]


def test_every_topic_is_public_with_its_type(bags: dict[str, Bag]) -> None:
    found = {
        f"topic {name.replace(NODE, '~')}: {kind}"
        for bag in bags.values()
        for name, kind in bag.types.items()
        if name not in OF_EVERY_NODE
    }
    listed = {" ".join(name.split(" ")[:3]) for name in stored_names()}
    assert found == {name for name in listed if name.startswith("topic ")}


@pytest.mark.parametrize("network", NETWORKS)
def test_every_topic_is_in_the_recording(network: str, bags: dict[str, Bag]) -> None:
    assert set(bags[network].types) == expected_topics(NETWORKS[network], network)
    silent = {topic for topic in bags[network].types if not bags[network].read[topic]}
    assert silent <= MAY_BE_SILENT


def test_recordings_together_hold_every_topic_there_is(bags: dict[str, Bag]) -> None:
    known = {topic.name for row in STREAMS.values() for topic in row.topics}
    found = {topic.removeprefix(f"{NODE}/") for bag in bags.values() for topic in bag.types}
    assert known <= found


def same(read: Any, published: Any, where: str) -> None:
    """Both decoders found the same, field by field."""
    if hasattr(published, "get_fields_and_field_types"):
        for name in published.get_fields_and_field_types():
            same(getattr(read, name), getattr(published, name), f"{where}.{name}")
    elif isinstance(published, list):
        for number, (one, other) in enumerate(zip(read, published, strict=True)):
            same(one, other, f"{where}[{number}]")
    elif isinstance(published, bytes):  # one element of type byte
        assert read == published[0], where
    else:
        np.testing.assert_array_equal(read, published, err_msg=where)


@pytest.mark.parametrize("network", NETWORKS)
def test_another_reader_finds_in_every_message_what_was_published(
    network: str, bags: dict[str, Bag]
) -> None:
    for topic, messages in bags[network].read.items():
        for read, published in zip(messages, bags[network].published[topic], strict=True):
            same(read, published, topic)


def image_pixels(message: Any) -> NDArray[Any]:
    """The pixels of an Image, decoded from its own fields only."""
    dtype = {"mono8": "u1", "bgr8": "u1", "16UC1": "<u2", "32FC1": "<f4"}[message.encoding]
    assert message.is_bigendian == 0
    rows = message.data.reshape(message.height, message.step)
    shape = (message.height, message.width, -1)
    return np.ascontiguousarray(rows).view(dtype).reshape(shape).squeeze()


@pytest.mark.parametrize(
    ("topic", "size", "formula"),
    [*FORMULAS, ("depth/image_raw", (640, 400), depth)],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_recorded_image_has_the_pixels_of_the_device(
    topic: str, size: tuple[int, int], formula: Any, bag: Bag
) -> None:
    for message in bag.read[f"{NODE}/{topic}"]:
        pixels = image_pixels(message)
        assert pixels.shape[:2] == size[::-1]
        np.testing.assert_array_equal(pixels, formula(pixels))


@pytest.mark.complaint(19)
def test_recorded_depth_in_metres_is_the_depth_in_millimetres(bag: Bag) -> None:
    in_mm = {
        stamp(message): image_pixels(message) for message in bag.read[f"{NODE}/depth/image_raw"]
    }
    compared = 0
    for message in bag.read[f"{NODE}/depth/image"]:
        if stamp(message) in in_mm:
            depth_mm = in_mm[stamp(message)].astype(np.float32)
            expected = np.where(depth_mm > 0, depth_mm / 1000, np.nan)
            np.testing.assert_allclose(image_pixels(message), expected, rtol=1e-6)
            compared += 1
    assert compared


def stamp(message: Any) -> tuple[int, int]:
    return message.header.stamp.sec, message.header.stamp.nanosec


@pytest.mark.complaint(20)
def test_recorded_motion_jpeg_is_complete_images_with_their_camera_info(bag: Bag) -> None:
    infos = {(stamp(info), info.header.frame_id) for info in bag.read[f"{NODE}/rgb/camera_info"]}
    matched = 0
    for message in bag.read[f"{NODE}/rgb/image_raw/compressed"]:
        decoded = cv2.imdecode(message.data, cv2.IMREAD_COLOR)
        assert decoded is not None
        assert decoded.shape == (COLOR[1], COLOR[0], 3)
        matched += (stamp(message), message.header.frame_id) in infos
    assert matched


# -- frames


def named_frames(bag: Bag) -> dict[str, set[str]]:
    """Frame -> topics that name it."""
    frames: dict[str, set[str]] = {}
    for topic, messages in bag.read.items():
        for message in messages:
            for frame in frames_in(message):
                frames.setdefault(frame, set()).add(topic)
    return frames


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.complaint(10)
def test_every_frame_of_the_recording_is_reachable_from_the_base_frame(
    network: str, bags: dict[str, Bag]
) -> None:
    bag = bags[network]
    parents = {
        row.child_frame_id: row.header.frame_id
        for message in bag.read["/tf_static"]
        for row in message.transforms
    }
    named = named_frames(bag)
    assert named.pop("") - {MARKERS} == WITHOUT_A_FRAME
    assert len(named) > 3  # the optical frames and their parents
    for frame, topics in named.items():
        up, seen = frame, set()
        while up != "oak":
            assert up in parents, f"{frame}, named on {sorted(topics)}, ends at {up}"
            assert up not in seen, f"{frame} hangs in a circle"
            seen.add(up)
            up = parents[up]


@pytest.mark.complaint(10)
def test_urdf_of_the_camera_holds_every_frame_of_the_recording(bag: Bag) -> None:
    xacro = pytest.importorskip("xacro", reason="xacro is not installed")
    root = Path(__file__).resolve().parents[3]
    board = str(root / "config" / "boards" / "oak-d.yaml")
    words = {"name": "oak", "parent": "base_link", "board": board}
    urdf = xacro.process_file(str(root / "urdf" / "camera.urdf.xacro"), mappings=words)
    links = {link.getAttribute("name") for link in urdf.getElementsByTagName("link")}
    parents = {
        joint.getElementsByTagName("child")[0].getAttribute("link"):
        joint.getElementsByTagName("parent")[0].getAttribute("link")
        for joint in urdf.getElementsByTagName("joint")
    }  # fmt: skip
    for frame in named_frames(bag).keys() - {""}:
        assert frame in links
        up = frame
        while up != "base_link":
            up = parents[up]


# -- the recorder itself


def test_definition_of_a_message_holds_all_that_it_is_made_of() -> None:
    text = definition("depthai_ros/msg/TrackletArray")
    parts = {line.removeprefix("MSG: ") for line in text.splitlines() if line.startswith("MSG: ")}
    assert parts == {
        "std_msgs/Header", "builtin_interfaces/Time", "depthai_ros/Tracklet", "geometry_msgs/Point",
        "vision_msgs/BoundingBox2D", "vision_msgs/Pose2D", "vision_msgs/Point2D",
    }  # fmt: skip
