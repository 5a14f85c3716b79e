"""Results, transforms, reports and topics of a node, also odd ones, become what the page shows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import Quaternion, Transform, TransformStamped, Vector3
from rcl_interfaces.msg import Log
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import (
    BoundingBox2D,
    BoundingBox3D,
    Detection2D,
    Detection2DArray,
    Detection3D,
    Detection3DArray,
    LabelInfo,
    ObjectHypothesis,
    ObjectHypothesisWithPose,
    VisionClass,
)

from depthai_ros.errors import DecodeError
from depthai_ros.msg import DeviceStatus
from depthai_ros.view.ros_images import read
from depthai_ros.view.ros_scene import boxes, camera_view, class_names, frame_poses, transforms
from depthai_ros.view.ros_source import StandingFeeds
from depthai_ros.view.ros_state import (
    NO_REPORT,
    after_silence,
    log_line,
    state_of_diagnostics,
    state_of_status,
)
from depthai_ros.view.ros_topics import (
    COMPRESSED_IMAGE,
    IMAGE,
    TopicFeed,
    camera_info_of,
    frustum_images,
    image_topics,
)

HEADER = Header(stamp=Time(sec=7, nanosec=5), frame_id="eye")


# -- boxes


def results(name: str, score: float) -> list[ObjectHypothesisWithPose]:
    return [ObjectHypothesisWithPose(hypothesis=ObjectHypothesis(class_id=name, score=score))]


def flat(*rows: tuple[str, float, float, str], sec: int = 7) -> Detection2DArray:
    """Boxes of 20x10 px around x, 50."""
    found = []
    for name, score, x, track in rows:
        box = BoundingBox2D(size_x=20.0, size_y=10.0)
        box.center.position.x, box.center.position.y = x, 50.0
        found.append(Detection2D(results=results(name, score), bbox=box, id=track))
    return Detection2DArray(header=Header(stamp=Time(sec=sec), frame_id="rgb"), detections=found)


def spatial(*rows: tuple[str, float, float]) -> Detection3DArray:
    """Boxes at x, 2, 3 m."""
    found = []
    for name, score, x in rows:
        box = BoundingBox3D(size=Vector3(x=0.5, y=1.0, z=0.5))
        at = box.center.position
        at.x, at.y, at.z = x, 2.0, 3.0
        found.append(Detection3D(results=results(name, score), bbox=box))
    return Detection3DArray(header=Header(stamp=Time(sec=7), frame_id="eye"), detections=found)


def test_boxes_have_positions_and_track_ids_of_their_objects() -> None:
    seen = flat(("cat", 0.5, 100.0, ""), ("1", 0.75, 200.0, ""), ("cat", 0.5, 300.0, ""))
    placed = spatial(("cat", 0.5, 1.0), ("cat", 0.5, 4.0))
    tracked = flat(("cat", 0.4, 304.0, "12"), ("dog", 0.4, 200.0, "13"))
    found = boxes(seen, placed, tracked, {"1": "bird"})
    assert [row.label for row in found] == ["cat", "bird", "cat"]
    assert [row.center_m for row in found] == [(1.0, 2.0, 3.0), None, (4.0, 2.0, 3.0)]
    assert [row.track_id for row in found] == ["", "", "12"]
    assert found[0].image == (90.0, 45.0, 20.0, 10.0)
    assert (found[0].frame_id, found[1].frame_id) == ("eye", "")
    assert found[0].size_m == (0.5, 1.0, 0.5)


def test_boxes_of_fewer_results_arrive() -> None:
    assert boxes(None, None, None) == ()
    (alone,) = boxes(None, None, flat(("cat", 0.4, 5.0, "3")))
    assert (alone.track_id, alone.label) == ("3", "cat")
    (placed,) = boxes(None, spatial(("cat", 0.5, 1.0)), None)
    assert (placed.center_m, placed.image) == ((1.0, 2.0, 3.0), None)
    (old,) = boxes(flat(("cat", 0.4, 5.0, "")), None, flat(("cat", 0.4, 5.0, "3"), sec=9))
    assert old.track_id == ""  # the tracklet is of another frame


def test_boxes_that_cannot_be_are_without_place_and_bounded() -> None:
    nan = math.nan
    (found,) = boxes(flat(("a\n\x1b[1m" * 50, nan, nan, "")), None, None)
    assert (found.image, found.score) == (None, 0.0)
    assert len(found.label) <= 40
    assert "\n" not in found.label
    (found,) = boxes(None, spatial(("cat", 0.5, 1e30)), None)
    assert (found.center_m, found.size_m) == (None, (0.0, 0.0, 0.0))
    assert len(boxes(flat(*[("cat", 0.5, 1.0, "")] * 300), None, None)) == 100
    tiny, tracked = flat(("cat", 0.5, 0.0, "")), flat(("cat", 0.5, 0.0, "3"))
    for box in (tiny.detections[0].bbox, tracked.detections[0].bbox):
        box.size_x = box.size_y = 1e-200
        box.center.position.y = 0.0
    assert boxes(tiny, None, tracked)[0].track_id == ""  # their areas are 0 as floats
    assert boxes(Detection2DArray(detections=[Detection2D()]), None, None)[0].label == ""


def test_class_names_come_from_label_info() -> None:
    info = LabelInfo(class_map=[VisionClass(class_id=3, class_name="cow\n")])
    assert class_names(info) == {"3": "cow\\n"}


# -- cameras and frames


def test_camera_sees_what_its_model_says() -> None:
    info = CameraInfo(header=HEADER, width=1280, height=720)
    info.k[4] = 360.0
    view = camera_view("left", "left/image_raw", info)
    assert view is not None
    assert view.frame_id == "eye"
    assert view.fov_y_rad == pytest.approx(math.pi / 2)
    info.p[5] = 360.0 * math.sqrt(3)  # what is shown is rectified
    view = camera_view("left", "left/image_raw", info)
    assert view is not None
    assert view.fov_y_rad == pytest.approx(math.pi / 3)
    info.p[5] = info.k[4] = math.nan
    view = camera_view("left", "left/image_raw", info)
    assert view is not None
    assert 0.1 < view.fov_y_rad < 2
    assert camera_view("left", "left/image_raw", CameraInfo(width=5)) is None


def moved(
    parent: str, child: str, x: float = 1.0, w: float = 1.0, z: float = 0.0
) -> TransformStamped:
    turn = Quaternion(x=0.0, y=0.0, z=z, w=w)
    transform = Transform(translation=Vector3(x=x, y=0.0, z=0.0), rotation=turn)
    return TransformStamped(
        header=Header(frame_id=parent), child_frame_id=child, transform=transform
    )


def tree(*rows: TransformStamped) -> dict[str, Any]:
    return transforms(TFMessage(transforms=list(rows)))


def test_frames_are_placed_in_the_root_of_the_cameras() -> None:
    half = math.sqrt(0.5)
    known = tree(
        moved("base", "arm", w=half, z=half),  # a quarter turn to the left
        moved("arm", "eye"),
        moved("elsewhere", "a"),
        moved("elsewhere", "b"),
        moved("elsewhere", "c"),
    )
    found = frame_poses(known, ["eye"])
    assert [(row.name, row.parent) for row in found] == [
        ("base", ""),
        ("arm", "base"),
        ("eye", "arm"),
    ]
    np.testing.assert_allclose(found[2].pose[:3, 3], [1, 1, 0], atol=1e-12)
    np.testing.assert_allclose(found[1].pose[:2, :2], [[0, -1], [1, 0]], atol=1e-12)
    assert frame_poses(known, [])[0].name == "elsewhere"
    assert frame_poses({}, ["eye"]) == ()
    assert frame_poses(known, ["base"])[0].name == "base"


def test_frames_that_cannot_be_are_left_out() -> None:
    known = tree(
        moved("a", "b", x=math.nan),
        moved("a", "b", x=1e9),
        moved("a", "b", w=0.0),
        moved("a", "b", w=math.inf),
        moved("", "b"),
        moved("a", ""),
        moved("a", "a"),
    )
    assert known == {}
    circle = tree(moved("a", "b"), moved("b", "a"), moved("base", "eye"))
    assert [row.name for row in frame_poses(circle, ["eye", "a"])] == ["base", "eye"]
    long = tree(*(moved(f"f{n}", f"f{n + 1}") for n in range(200)))
    assert len(frame_poses(long, ["f3"])) <= 65


# -- state and log


def status(part: str, level: bytes = b"\0", text: str = "fine", **values: str) -> DiagnosticStatus:
    pairs = [KeyValue(key=key, value=value) for key, value in values.items()]
    return DiagnosticStatus(name=part, level=level, message=text, values=pairs)


def test_state_is_that_of_the_node_with_its_worst_part() -> None:
    rows = [
        status("other: device", b"\2", state="error"),
        status("oak: device", state="streaming", usb_speed="SUPER", last_error="it was lost"),
        status("oak: temperature", css_c="41.5", mss_c="nan", upa0_c="hot"),
        status("oak: usb link", measured_mb_s="12.34", capacity_mb_s="370"),
        status(
            "oak: stream left", b"\1", "10 fps", fps="10", fps_expected="30", latency_ms_mean="4",
            bytes_per_s="2e6", lost_link="3", **{"lost_worker.points": "4", "lost_x": "many"},
        ),
    ]  # fmt: skip
    found = state_of_diagnostics(DiagnosticArray(status=rows), "oak")
    assert found is not None
    assert (found.device, found.level, found.text) == ("streaming", "warn", "stream left: 10 fps")
    assert (found.link, found.last_error) == ("SUPER, 12.3 of 370 MB/s", "it was lost")
    assert found.temperatures_c == {"css": 41.5}
    (stream,) = found.streams
    assert (stream.name, stream.fps, stream.expected_fps, stream.mb_s) == ("left", 10, 30, 2.0)
    lost = {stage: count for stage, count in stream.lost.items() if count}
    assert lost == {"link": 3, "worker.points": 4}
    assert state_of_diagnostics(DiagnosticArray(status=rows[:1]), "oak") is None
    stale = [status("oak: temperature", b"\3"), status("oak: device", text="streaming")]
    begun = state_of_diagnostics(DiagnosticArray(status=stale), "oak")
    assert begun is not None
    assert (begun.level, begun.text) == ("ok", "streaming")
    odd = state_of_diagnostics(DiagnosticArray(status=[status("oak: device", b"\x09")]), "oak")
    assert odd is not None
    assert odd.level == "error"


def test_state_until_the_first_diagnostics_is_that_of_the_device_status() -> None:
    message = DeviceStatus(
        state=3, usb_speed="super\n", css_c=41.5, mss_c=math.nan, stream_names=["left", "depth"],
        fps=[9.5], expected_fps=[10.0], latency_ms=[4.0],
    )  # fmt: skip
    found = state_of_status(message)
    assert (found.device, found.level, found.link) == ("recovering", "warn", "super\\n")
    assert "reconnecting" in found.text
    assert found.temperatures_c == {"css": 41.5, "upa0": 0.0, "upa1": 0.0}
    assert [(row.name, row.fps, row.expected_fps) for row in found.streams] == [("left", 9.5, 10.0)]
    assert state_of_status(DeviceStatus(state=99)).level == "error"


def test_silent_node_is_stale() -> None:
    assert after_silence(NO_REPORT, "/oak", 5.0) is NO_REPORT
    assert after_silence(NO_REPORT, "/oak", 100.0, 60.0) is NO_REPORT
    found = after_silence(NO_REPORT, "/oak", 9.0, 1.0)
    assert (found.level, found.text) == ("stale", "/oak has reported nothing for 9 s")


def test_diagnostics_are_those_of_the_node_and_its_device() -> None:
    feeds = StandingFeeds("/robot1/oak")

    def hear(name: str, mx_id: str) -> None:
        row = DiagnosticStatus(name=f"{name}: device", message=f"{name} {mx_id}", hardware_id=mx_id)
        feeds.diagnostics.arrive(bytes(serialize_message(DiagnosticArray(status=[row]))))

    def heard() -> str:
        state = feeds.diagnostics.newest()
        return state.text if state is not None else ""

    hear("front_oak", "A")
    assert feeds.diagnostics.arrived_s == 0.0
    hear("oak", "A")
    assert heard() == "oak A"
    feeds.status.arrive(bytes(serialize_message(DeviceStatus(mx_id="B"))))
    hear("oak", "A")  # of /robot2/oak
    assert heard() == "oak A"  # what came before the serial number was known
    hear("oak", "B")
    hear("oak", "A")
    assert heard() == "oak B"
    feeds.forget()
    assert (heard(), feeds.diagnostics.arrived_s, feeds.status.newest()) == ("", 0.0, None)
    hear("oak", "A")
    assert heard() == "oak A"


def test_log_lines_are_those_of_the_node() -> None:
    def line(name: str, text: str = "hello\nthere") -> str:
        return log_line(Log(name=name, level=30, msg=text, stamp=Time(sec=1)), "robot.oak")

    assert line("robot.oak").endswith("WARN: hello\\nthere")
    assert line("robot.oak.worker").endswith("hello\\nthere")
    assert line("robot.oak2") == line("oak") == ""
    assert len(line("robot.oak", "x" * 100_000)) < 600


# -- which topics


def test_images_are_taken_compressed_where_the_node_offers_that() -> None:
    announced = {
        "/oak/left/image_raw": IMAGE,
        "/oak/left/image_raw/compressed": COMPRESSED_IMAGE,
        "/oak/depth/image_raw": IMAGE,
        "/oak/depth/image_raw/compressed": COMPRESSED_IMAGE,
        "/oak/depth/image_raw/compressedDepth": COMPRESSED_IMAGE,
        "/oak/rgb/still/image_raw/compressed": COMPRESSED_IMAGE,
        "/oak/right/image_raw": IMAGE,
        "/oak/disparity/image_raw": IMAGE,
        "/elsewhere/rgb/image": IMAGE,
        "/oak/left/camera_info": "sensor_msgs/msg/CameraInfo",
        "/oak/points": "sensor_msgs/msg/PointCloud2",
    }
    found = image_topics(announced, "/oak")
    taken = {name: row.topic.removeprefix("/oak/") for name, row in found.items()}
    assert taken == {
        "left/image_raw": "left/image_raw/compressed",
        "right/image_raw": "right/image_raw",
        "disparity/image_raw": "disparity/image_raw",
        "depth/image_raw": "depth/image_raw/compressedDepth",
        "rgb/still/image_raw": "rgb/still/image_raw/compressed",
        "/elsewhere/rgb/image": "/elsewhere/rgb/image",
    }
    choices = {name: (row.choice.camera, row.choice.unit) for name, row in found.items()}
    assert choices["depth/image_raw"] == ("right", "m")
    assert choices["disparity/image_raw"] == ("right", "px")
    assert choices["/elsewhere/rgb/image"] == ("rgb", "")
    assert frustum_images(found) == {
        "left": "left/image_raw",
        "right": "right/image_raw",
        "rgb": "rgb/still/image_raw",
    }
    assert camera_info_of("left/image_raw", "/oak", announced) == "/oak/left/camera_info"
    assert camera_info_of("/elsewhere/rgb/image", "/oak", announced) == ""


# -- feeds


def test_feed_decodes_each_message_once_and_only_when_asked() -> None:
    decoded: list[bytes] = []

    def decode(raw: bytes) -> bytes:
        decoded.append(raw)
        return raw

    feed = TopicFeed[bytes](decode, kept=2)
    assert feed.newest() is None
    for raw in (b"1", b"2", b"3"):
        feed.arrive(raw)
    assert decoded == []
    assert feed.newest() == feed.newest() == b"3"
    assert decoded == [b"3"]
    assert feed.all() == [b"2", b"3"]
    assert feed.take() == [b"2", b"3"]
    assert feed.all() == []
    assert decoded == [b"3", b"2"]


def test_feed_keeps_the_last_good_message_and_says_what_is_wrong() -> None:
    def decode(raw: bytes) -> bytes:
        if raw == b"bad":
            raise DecodeError("bad bytes")
        return raw

    feed = TopicFeed[bytes](decode, wants=lambda raw: raw != b"other")
    for raw in (b"good", b"other"):
        feed.arrive(raw)
    assert feed.newest() == b"good"
    feed.arrive(b"bad")
    assert (feed.newest(), feed.failure) == (b"good", "bad bytes")
    feed.arrive(b"new")
    assert (feed.newest(), feed.failure) == (b"new", "")


@pytest.mark.parametrize(("fps", "limit", "share"), [(30, 10, 1 / 3), (30, 20, 2 / 3), (10, 15, 1)])
def test_feed_drops_what_is_faster_than_wanted(
    fps: float, limit: float, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 100.0
    monkeypatch.setattr("depthai_ros.view.ros_topics.time.monotonic", lambda: now_s)
    jitter = np.random.default_rng(0).uniform(-0.004, 0.004, 300)
    feed = TopicFeed[bytes](bytes, kept=1000)
    feed.max_fps = limit
    for number in range(300):
        now_s = 100.0 + number / fps + float(jitter[number])
        feed.arrive(b"")
    assert len(feed.all()) == pytest.approx(300 * share, rel=0.05)


def test_bytes_that_are_no_message_are_an_error() -> None:
    for raw in (b"", b"\0\1\0\0", b"\xff" * 40):
        with pytest.raises(DecodeError, match="are no DiagnosticArray"):
            read(raw, DiagnosticArray)
