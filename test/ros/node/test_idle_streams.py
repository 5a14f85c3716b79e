"""A stream without subscribers costs nothing on the host, and can be stopped on the device."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from loops import Running
from nodes import Listener, StartNode, wait_until
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image
from stereo_msgs.msg import DisparityImage

from depthai_ros import config
from depthai_ros.messages import builders, images
from depthai_ros.msg import DeviceStatus, TrackletArray

pytestmark = pytest.mark.distribution("events of publishers when a subscriber comes or goes")

MODELS = "package://depthai_ros/config/models"
NETWORK = {
    "ai.blob_file": f"{MODELS}/virtual_ssd.blob",
    "ai.blob_file_config": f"{MODELS}/mobilenet_ssd.json",
}
SMALL: dict[str, Any] = {
    "camera.mono.resolution_h": 400,
    "camera.mono.fps": 10.0,
    "camera.rgb.fps": 10.0,
}

# -- in this process, where conversions can be counted

#: The kernels that convert, encode or mirror images.
EVERYTHING = ["left", "rectified_right", "depth", "disparity", "disparity_color"]
EVERYTHING += ["previewout", "color", "metaout", "object_tracker"]


class Counted:
    """The tables of conversions and of builders, each call counted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: Counter[str] = Counter()
        for key, convert in images.CONVERSIONS.items():
            monkeypatch.setitem(images.CONVERSIONS, key, self._counted(str(key), convert))
        for name, builder in builders.BUILDERS.items():
            if isinstance(builder, builders.Builder):
                counted = builders.Builder(builder.message_type, self._counted(name, builder.build))
                monkeypatch.setitem(builders.BUILDERS, name, counted)

    def _counted(self, name: str, function: Any) -> Any:
        def call(*arguments: Any) -> Any:
            self.calls[name] += 1
            return function(*arguments)

        return call


@pytest.fixture
def node() -> Iterator[Node]:
    node = rclpy.create_node("thinning")
    yield node
    node.destroy_node()


@pytest.mark.complaint(6)
def test_nothing_is_converted_or_built_without_a_subscriber(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counted(monkeypatch)
    running = Running(node, {**SMALL, "stream_list": EVERYTHING, **NETWORK})
    running.wait_for_packets(5)
    assert counted.calls == {}

    subscription = node.create_subscription(
        Image, "~/left/image_raw", lambda raw: None, 1, raw=True
    )
    wait_until(lambda: counted.calls["image"] >= 3, lambda: f"left images: {counted.calls}")
    assert set(counted.calls) == {"image", "('mono8', 'mono8')"}
    node.destroy_subscription(subscription)
    running.close()


def test_stream_that_is_switched_off_is_neither_converted_nor_sent(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counted(monkeypatch)
    values = {"stream_list": ["left", "rectified_left", "depth"], "stream.left.publish": False}
    running = Running(node, {**SMALL, **values})
    arrived: Counter[str] = Counter()

    def publish_only(stream: str) -> None:
        on = {f"stream.{name}.publish": name == stream for name in ("left", "rectified_left")}
        running.publishers.change(config.validate({**SMALL, **values, **on}))

    for topic, message_type in (
        ("left/image_raw", Image),
        ("left/image_rect", Image),
        ("left/camera_info", CameraInfo),
    ):

        def count(_: bytes, name: str = topic) -> None:
            arrived[name] += 1

        node.create_subscription(message_type, f"~/{topic}", count, 10, raw=True)

    def has(*topics: str) -> bool:
        rclpy.spin_once(node, timeout_sec=0.1)
        return all(arrived[topic] >= 3 for topic in topics)

    # Both images of the camera share the camera_info: it follows the one that is published.
    wait_until(lambda: has("left/image_rect", "left/camera_info"), lambda: f"{arrived}")
    assert arrived["left/image_raw"] == 0
    assert "('mono8', 'mono8')" in counted.calls
    publish_only("left")
    arrived.clear()
    wait_until(lambda: has("left/image_raw", "left/camera_info"), lambda: f"{arrived}")
    publish_only("")
    running.wait_for_packets(2)
    counted.calls.clear()
    running.wait_for_packets(5)
    assert counted.calls == {}
    running.close()


# -- in a node, with a device that stops streams


HOLDING: dict[str, Any] = {
    **SMALL,
    "device.id": "virtual:pattern",
    "publish.idle_hold_s": 0.5,
    "diagnostics.period_s": 0.2,
}
STOPPED = "stopped: no subscribers"


def stream_status(listener: Listener, stream: str) -> DiagnosticStatus | None:
    rows = listener.messages("/diagnostics")[-1].status if listener.raw("/diagnostics") else []
    return next((row for row in rows if row.name == f"oak: stream {stream}"), None)


def wait_until_only(listener: Listener, *going: str, of: list[str]) -> None:
    """Wait until the device sends these streams and no others."""

    def is_so() -> bool:
        for stream in of:
            status = stream_status(listener, stream)
            if status is None:
                return False
            rate = next(float(row.value) for row in status.values if row.key == "bytes_per_s")
            if (stream in going) != (rate > 0) or (stream in going) != (status.message != STOPPED):
                return False
        return True

    listener.wait_until(is_so, f"only {going} to go on")


@pytest.mark.complaint(6)
def test_device_stops_streams_without_subscribers_and_resumes_them(
    start_node: StartNode, listener: Listener
) -> None:
    streams = ["left", "right", "depth", "disparity", "color"]
    node = start_node({**HOLDING, "stream_list": [*streams, "meta_d2h"]})
    listener.subscribe(DiagnosticArray, "/diagnostics")
    listener.subscribe(DeviceStatus, "device/status", latched=True)
    wait_until_only(listener, "left", of=streams)  # one continues: the device must not restart

    listener.subscribe(DisparityImage, "disparity")
    listener.wait_for("disparity", count=3)
    wait_until_only(listener, "depth", "disparity", of=streams)  # disparity is made from depth
    depth = stream_status(listener, "disparity")
    assert depth is not None
    assert depth.level == DiagnosticStatus.OK
    drops = {row.key: row.value for row in depth.values}["drops_total"]
    assert drops == "0"  # frames that were not sent are not lost
    status = listener.messages("device/status")[-1]
    rates = dict(zip(status.stream_names, status.expected_fps, strict=True))
    assert (rates["color"], rates["depth"]) == (0.0, 10.0)

    listener.unsubscribe("disparity")
    listener.subscribe(CameraInfo, "rgb/camera_info")  # without its image
    listener.wait_for("rgb/camera_info", count=3)
    wait_until_only(listener, "color", of=streams)
    assert node.stop() == 0
    assert "[ERROR]" not in node.output
    assert "Traceback" not in node.output


def test_tracker_keeps_the_detections_that_its_positions_come_from(
    start_node: StartNode, listener: Listener
) -> None:
    streams = ["previewout", "metaout", "object_tracker", "left"]
    node = start_node({**HOLDING, **NETWORK, "stream_list": streams, "ai.calc_dist_to_bb": True})
    listener.subscribe(DiagnosticArray, "/diagnostics")
    wait_until_only(listener, "left", of=streams)
    listener.subscribe(TrackletArray, "tracklets")
    wait_until_only(listener, "metaout", "object_tracker", of=streams)
    listener.forget()
    listener.wait_for("tracklets", count=2)
    (person,) = listener.messages("tracklets")[-1].tracklets
    assert person.has_position
    assert node.stop() == 0


def test_switched_off_stream_is_stopped_and_reported(
    start_node: StartNode, listener: Listener
) -> None:
    streams = ["left", "right"]
    node = start_node({**HOLDING, "stream_list": streams, "stream.right.publish": False})
    listener.subscribe(DiagnosticArray, "/diagnostics")
    listener.subscribe(Image, "right/image_raw")
    listener.subscribe(Image, "left/image_raw")
    listener.wait_for("left/image_raw", count=3)
    listener.wait_until(
        lambda: (row := stream_status(listener, "right")) is not None and STOPPED in row.message,
        "right to stop",
    )
    right = stream_status(listener, "right")
    assert right is not None
    assert right.message == f"{STOPPED}, not published: stream.right.publish is false"
    assert listener.raw("right/image_raw") == []
    assert node.stop() == 0


def test_nothing_stops_by_default(start_node: StartNode, listener: Listener) -> None:
    streams = ["left", "right"]
    parameters = {key: HOLDING[key] for key in HOLDING if key != "publish.idle_hold_s"}
    node = start_node({**parameters, "stream_list": streams})
    listener.subscribe(DiagnosticArray, "/diagnostics")
    listener.wait_for("/diagnostics", count=15)
    wait_until_only(listener, *streams, of=streams)
    messages = [row.message for array in listener.messages("/diagnostics") for row in array.status]
    assert STOPPED not in messages
    assert node.stop() == 0
