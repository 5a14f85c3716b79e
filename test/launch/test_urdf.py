"""The URDF matches the calibration and the node: frames, their names, their poses."""

from __future__ import annotations

import math
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from numpy.typing import NDArray

from depthai_ros.calibration.calibration import from_eeprom
from depthai_ros.calibration.poses import frame_ids, optical_pose
from depthai_ros.config import validate
from depthai_ros.config.parameter_files import parameters_in

xacro = pytest.importorskip("xacro", reason="xacro is not installed")

ROOT = Path(__file__).resolve().parents[2]
BOARDS = sorted((ROOT / "config" / "boards").glob("*.yaml"))
BASE = "oak"


def rotation(roll: float, pitch: float, yaw: float) -> NDArray[np.float64]:
    """Rotation about fixed axes, the convention of URDF."""
    turn = np.eye(3)
    for axis, angle in enumerate((roll, pitch, yaw)):
        first, second = (axis + 1) % 3, (axis + 2) % 3
        one = np.eye(3)
        one[first, first] = one[second, second] = math.cos(angle)
        one[second, first] = math.sin(angle)
        one[first, second] = -math.sin(angle)
        turn = one @ turn
    return turn


def poses(urdf: str, root: str) -> dict[str, NDArray[np.float64]]:
    """Pose of each link in the root link, computed like robot_state_publisher."""
    found = {root: np.eye(4)}
    joints = ET.fromstring(urdf).findall("joint")
    while joints:
        for joint in joints:
            assert joint.get("type") == "fixed"
            parent, child = joint.find("parent"), joint.find("child")
            assert parent is not None
            assert child is not None
            if parent.get("link") in found:
                origin = joint.find("origin")
                here = np.eye(4)
                if origin is not None:
                    xyz, rpy = origin.get("xyz", "0 0 0"), origin.get("rpy", "0 0 0")
                    here[:3, :3] = rotation(*map(float, rpy.split()))
                    here[:3, 3] = list(map(float, xyz.split()))
                found[str(child.get("link"))] = found[str(parent.get("link"))] @ here
                joints.remove(joint)
                break
        else:
            raise AssertionError(f"{[joint.get('name') for joint in joints]} have no parent")
    return found


def described(**words: str) -> str:
    path = ROOT / "urdf" / "camera.urdf.xacro"
    return str(xacro.process_file(str(path), mappings=words).toxml())


@pytest.mark.parametrize("board", BOARDS, ids=lambda path: path.stem)
def test_urdf_has_the_nominal_poses_of_the_board(board: Path) -> None:
    found = poses(described(name=BASE, parent="mast", board=str(board)), "mast")
    nominal = from_eeprom({}, validate(parameters_in(board, f"/{BASE}"))).poses()
    frames = frame_ids(BASE)
    for camera, body in nominal.items():
        np.testing.assert_allclose(found[frames[f"{camera}_body"]], body, atol=1e-9)
        np.testing.assert_allclose(found[frames[camera]], optical_pose(body), atol=1e-9)
    assert set(found) == {*frames.values(), "mast", f"{BASE}_model_origin"}


def test_board_is_found_by_its_name() -> None:
    by_name = poses(described(model="BW1097"), "oak_parent_frame")
    by_path = poses(described(board=str(BOARDS[0].parent / "bw1097.yaml")), "oak_parent_frame")
    assert by_name.keys() == by_path.keys()
    left = by_name["oak_left_camera_frame"]
    np.testing.assert_array_equal(left, by_path["oak_left_camera_frame"])
    assert left[1, 3] == pytest.approx(0.045)


def test_oak_d_has_the_dimensions_of_its_drawing() -> None:
    found = poses(described(), "oak_parent_frame")
    to_left = np.linalg.inv(found["oak_left_camera_optical_frame"])
    right_in_left = to_left @ found["oak_right_camera_optical_frame"]
    np.testing.assert_allclose(right_in_left[:3, 3], (0.075, 0, 0), atol=1e-12)
    ahead = found["oak_rgb_camera_optical_frame"] @ (0, 0, 1, 1)
    np.testing.assert_allclose(ahead[:3], (1, 0, 0), atol=1e-12)


def test_camera_is_mounted_at_the_given_pose() -> None:
    found = poses(described(parent="mast", xyz="0.1 0.2 0.3", rpy="0 0 1.5"), "mast")
    np.testing.assert_allclose(found["oak"][:3, 3], (0.1, 0.2, 0.3))
    np.testing.assert_allclose(found["oak"][:3, :3], rotation(0, 0, 1.5))


def test_two_cameras_on_one_robot_share_no_link_or_joint(tmp_path: Path) -> None:
    macro = ROOT / "urdf" / "depthai_camera.urdf.xacro"
    cameras = "".join(
        f'<xacro:depthai_camera name="{name}" parent="base_link" model="{model}">'
        f'<origin xyz="{x} 0 0"/></xacro:depthai_camera>'
        for name, model, x in (("front", "OAK-D", 0.2), ("rear", "BW1092", -0.2))
    )
    path = tmp_path / "robot.urdf.xacro"
    path.write_text(
        '<robot name="robot" xmlns:xacro="http://www.ros.org/wiki/xacro"><link name="base_link"/>'
        f'<xacro:include filename="{macro}"/>{cameras}</robot>'
    )
    urdf = xacro.process_file(str(path)).toxml()
    document = ET.fromstring(urdf)
    for kind in ("link", "joint"):
        names = [each.get("name") for each in document.findall(kind)]
        assert len(names) == len(set(names))
    found = poses(urdf, "base_link")
    assert found["front_left_camera_frame"][1, 3] == pytest.approx(0.0375)
    assert found["rear_left_camera_frame"][1, 3] == pytest.approx(0.02)


def test_frames_do_not_depend_on_the_properties_of_the_robot(tmp_path: Path) -> None:
    names = ("pi", "file", "geometry", "baseline", "rgb_y", "housing", "board", "camera", "y")
    properties = "".join(f'<xacro:property name="{name}" value="3.1"/>' for name in names)
    path = tmp_path / "robot.urdf.xacro"
    macro = ROOT / "urdf" / "depthai_camera.urdf.xacro"
    path.write_text(
        '<robot name="robot" xmlns:xacro="http://www.ros.org/wiki/xacro"><link name="base_link"/>'
        f'{properties}<xacro:include filename="{macro}"/>'
        '<xacro:depthai_camera name="oak" parent="base_link"><origin/></xacro:depthai_camera>'
        "</robot>"
    )
    found = poses(xacro.process_file(str(path)).toxml(), "base_link")
    expected = poses(described(), "oak_parent_frame")
    for frame in frame_ids("oak").values():
        np.testing.assert_allclose(found[frame], expected[frame], atol=1e-12)


def test_example_robot_contains_the_camera() -> None:
    pytest.importorskip("ament_index_python")
    path = ROOT / "urdf" / "example_robot.urdf.xacro"
    found = poses(xacro.process_file(str(path)).toxml(), "base_link")
    assert set(frame_ids("oak").values()) < set(found)
