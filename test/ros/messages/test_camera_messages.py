"""Camera models, frames and the device's status in the units and axes of ROS."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from contexts import (
    SMALL,
    STAMP_NS,
    build_message,
    make_calibration,
    make_picture,
    make_test_context,
)
from numpy.typing import NDArray

from depthai_ros.calibration.poses import frame_ids
from depthai_ros.config import validate
from depthai_ros.messages.builders import camera_info, static_transforms


@pytest.mark.complaint(8)
def test_camera_info_uses_ros_units() -> None:
    context = make_test_context()
    left, right, depth = (
        camera_info(context.cameras[f"{name}/camera_info", camera], "frame", STAMP_NS)
        for name, camera in (("left", "left"), ("right", "right"), ("depth", "right"))
    )
    assert (left.width, left.height) == (640, 400)
    assert left.p[3] == 0.0
    assert right.p[3] == pytest.approx(-right.p[0] * 0.075)
    assert depth.p[3] == 0.0
    assert (left.p[0], left.p[5], left.p[6]) == (right.p[0], right.p[5], right.p[6])
    assert list(depth.k) == [*depth.p[:3], *depth.p[4:7], *depth.p[8:11]]
    assert list(depth.d) == [0.0] * 5
    assert list(depth.r) == np.eye(3).ravel().tolist()
    assert left.distortion_model == "plumb_bob"
    assert left.header.frame_id == "frame"


@pytest.mark.complaint(8)
def test_camera_info_without_calibration_is_zero() -> None:
    context = make_test_context(eeprom=-1)
    for (topic, _), model in context.cameras.items():
        info = camera_info(model, "frame", STAMP_NS)
        assert not any([*info.k, *info.p, *info.d, *info.r]), topic
        assert info.width > 0


def matrix(transform: Any) -> NDArray[np.float64]:
    q, t = transform.rotation, transform.translation
    x, y, z, w = q.x, q.y, q.z, q.w
    pose = np.eye(4)
    pose[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    pose[:3, 3] = t.x, t.y, t.z
    return pose


def frame_tree(parent: str = "") -> dict[str, tuple[str, NDArray[np.float64]]]:
    poses = make_calibration(validate(SMALL)).poses()
    message = static_transforms(frame_ids("oak"), poses, parent, STAMP_NS)
    return {
        row.child_frame_id: (row.header.frame_id, matrix(row.transform))
        for row in message.transforms
    }


def base_pose(frame: str) -> NDArray[np.float64]:
    tree = frame_tree()
    pose = np.eye(4)
    while frame != "oak":
        frame, step = tree[frame]
        pose = step @ pose
    return pose


@pytest.mark.parametrize(("camera", "y_m"), [("left", 0.0375), ("right", -0.0375), ("rgb", 0.0)])
def test_point_straight_ahead_of_each_camera_is_in_front_of_the_base(
    camera: str, y_m: float
) -> None:
    pose = base_pose(f"oak_{camera}_camera_optical_frame")
    for optical, body in (
        ((0, 0, 1), (1, y_m, 0)),
        ((1, 0, 0), (0, y_m - 1, 0)),
        ((0, 1, 0), (0, y_m, -1)),
    ):
        np.testing.assert_allclose((pose @ [*optical, 1])[:3], body, atol=1e-6)


@pytest.mark.complaint(11)
def test_optical_frame_is_the_child_of_its_body_frame_rotated_by_rep_103() -> None:
    poses = make_calibration(validate(SMALL)).poses()
    message = static_transforms(frame_ids("oak"), poses, "", STAMP_NS)
    rotations = {row.child_frame_id: row.transform.rotation for row in message.transforms}
    turn = rotations["oak_left_camera_optical_frame"]
    assert (turn.x, turn.y, turn.z, turn.w) == pytest.approx((-0.5, 0.5, -0.5, 0.5))


def test_base_frame_is_the_child_of_the_parent_frame_if_set() -> None:
    assert "oak" not in frame_tree()
    parent, pose = frame_tree("gripper")["oak"]
    assert parent == "gripper"
    np.testing.assert_allclose(pose, np.eye(4), atol=1e-12)


def test_every_frame_of_the_table_is_in_the_tree() -> None:
    assert set(frame_tree()) == set(frame_ids("oak").values()) - {"oak"}


def test_device_status_carries_temperatures_and_every_listed_stream() -> None:
    context = make_test_context({"stream_list": ["left", "depth", "disparity", "meta_d2h"]})
    content = b'{"sensors": {"temperature": {"css": 41.5, "mss": 42, "upa0": 43, "upa1": 44.5}}}\0'
    message = build_message(context, "device/status", make_picture(context, "meta_d2h", content))
    assert (message.css_c, message.mss_c, message.upa0_c, message.upa1_c) == (41.5, 42, 43, 44.5)
    assert message.stream_names == ["meta_d2h", "left", "disparity", "depth"]
    assert list(message.expected_fps) == [0.0, 30.0, 30.0, 30.0]
