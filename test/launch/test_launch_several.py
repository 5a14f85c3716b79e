"""Several cameras: in one list, included in one file, mounted on one robot."""

from __future__ import annotations

from pathlib import Path

import pytest
from launches import ROOT, SHARE, Observer, StandIns, StartLaunch

MEASURED_S = 8.0
CHEAP = ("camera.mono.fps:=5", "camera.mono.resolution_h:=400")


@pytest.mark.complaint(13)
def test_two_cameras_share_no_topic_frame_or_device(
    start_launch: StartLaunch, stand_ins: StandIns, observer: Observer
) -> None:
    from sensor_msgs.msg import Image
    from tf2_msgs.msg import TFMessage

    from depthai_ros.msg import DeviceStatus

    stand_ins.install("tf2_ros")
    words = ("stream_list:=left,depth,meta_d2h", "tf_source:=calibration", *CHEAP)
    launched = start_launch("multi_camera.launch.py", *words, "pointcloud.enable:=true")
    nodes = ("/front_side/front", "/rear_side/rear")
    transforms = observer.collect(TFMessage, "/tf_static", latched=True)
    images = {node: observer.first(Image, f"{node}/left/image_raw") for node in nodes}
    depths = {node: observer.first(Image, f"{node}/depth/image_raw") for node in nodes}
    status = {
        node: observer.first(DeviceStatus, f"{node}/device/status", latched=True) for node in nodes
    }
    observer.wait_until(lambda: len(transforms) >= 2, "the frames of both")
    first, second = ({each.child_frame_id for each in message.transforms} for message in transforms)
    assert not first & second
    for node in nodes:
        for image in (images[node], depths[node]):
            assert image.header.frame_id in first | second
            assert image.header.frame_id.startswith(node.rpartition("/")[2])
    shared = observer.topics(nodes[0]) & observer.topics(nodes[1])
    assert shared == {"/tf_static", "/diagnostics"}
    assert len({status[node].mx_id for node in nodes}) == 2
    stamps_ns = {**observer.stamps_ns(nodes[0]), **observer.stamps_ns(nodes[1])}
    rated = {
        topic: row for topic, row in stamps_ns.items() if "/left/" in topic or "/depth/" in topic
    }
    observer.wait_until(
        lambda: all(row and row[-1] - row[0] > MEASURED_S * 1e9 for row in rated.values()),
        f"{MEASURED_S} s of each topic",
    )
    rates = {topic: (len(row) - 1) / (row[-1] - row[0]) * 1e9 for topic, row in rated.items()}
    assert len(rates) == 12
    assert min(rates.values()) >= 0.95 * 5.0, rates
    assert launched.stop() == 0


@pytest.mark.parametrize(
    ("cameras", "message"),
    [
        ("[{name: a, device: virtual}, {name: a, device: virtual}]", "share the node name /a"),
        (
            "[{name: a, namespace: x, device: virtual}, {name: a, namespace: y, device: virtual}]",
            "share the frames of a",
        ),
        ("[{name: a, device: 'usb:1.3'}, {name: b, device: 'usb:1.3'}]", "the device usb:1.3"),
        ("[{name: a, device: virtual}, {name: b}]", "/b has no device"),
        ("[{nam: a}]", "nam is not an argument, the nearest is name"),
        ("[]", "it must contain 'cameras:'"),
    ],
)
@pytest.mark.complaint(13)
def test_collision_is_refused_before_any_process_starts(
    start_launch: StartLaunch, tmp_path: Path, cameras: str, message: str
) -> None:
    path = tmp_path / "cameras.yaml"
    path.write_text(f"cameras: {cameras}\n")
    launched = start_launch("multi_camera.launch.py", f"cameras:={path}")
    assert launched.wait() != 0
    assert message in launched.output
    assert "process started" not in launched.output


INCLUDING = """
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, GroupAction, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import PushRosNamespace

def camera(namespace, **arguments):
    source = PythonLaunchDescriptionSource({file!r})
    included = IncludeLaunchDescription(source, launch_arguments=list(arguments.items()))
    return GroupAction([PushRosNamespace(namespace), included], scoped=True)

def generate_launch_description():
    cheap = {{"camera.mono.fps": "5", "tf_source": "calibration", "device": "virtual"}}
    return LaunchDescription([
        DeclareLaunchArgument("speed", default_value="1"),
        PushRosNamespace("robot"),
        camera("one", name="left_eye", stream_list="left", **{{"camera.mono.resolution_h": "400"}},
               **cheap),
        camera("two", name="right_eye", stream_list="right", **cheap),
    ])
"""


def test_camera_is_included_twice_under_namespaces(
    start_launch: StartLaunch, observer: Observer, tmp_path: Path
) -> None:
    from sensor_msgs.msg import Image

    path = tmp_path / "camera.launch.py"  # has the name of ours, and another argument
    path.write_text(INCLUDING.format(file=str(SHARE / "launch" / "camera.launch.py")))
    start_launch(str(path), "speed:=2")
    nodes = {"/robot/one/left_eye": "left", "/robot/two/right_eye": "right"}
    for node, camera in nodes.items():
        image = observer.first(Image, f"{node}/{camera}/image_raw")
        assert image.header.frame_id.startswith(node.rpartition("/")[2])
    key = "camera.mono.resolution_h"
    assert [observer.parameters(node, key) for node in nodes] == [[400], [720]]


def test_example_of_the_document_runs(
    start_launch: StartLaunch, observer: Observer, tmp_path: Path
) -> None:
    text = (ROOT / "docs" / "compose.md").read_text(encoding="utf-8")
    program = text.partition("```python\n")[2].partition("```")[0]
    path = tmp_path / "robot.launch.py"
    path.write_text(program.replace("usb:1.3", "virtual").replace("usb:1.4", "virtual:pattern"))
    start_launch(str(path))
    devices = [observer.parameters(f"/robot/{name}", "device.id") for name in ("front", "rear")]
    assert devices == [["virtual"], ["virtual:pattern"]]


def test_robot_publishes_the_frames_of_its_camera(
    start_launch: StartLaunch, stand_ins: StandIns, observer: Observer
) -> None:
    pytest.importorskip("xacro")
    stand_ins.install("robot_state_publisher")
    file = "camera_as_part_of_a_robot.launch.py"
    start_launch(file, "namespace:=robot", "device:=virtual", "stream_list:=meta_d2h")
    (call,) = stand_ins.wait_for("robot_state_publisher")
    assert "__ns:=/robot" in call["words"]
    for frame in ("base_link", "oak_left_camera_optical_frame"):
        assert frame in call["files"][0]
    assert observer.parameters("/robot/oak", "tf.source") == ["urdf"]
    assert "/tf_static" not in observer.topics("/robot/oak")
    assert len(stand_ins.calls("robot_state_publisher")) == 1
