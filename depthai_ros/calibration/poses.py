"""Names and poses of the frames of the cameras, in optical axes and in the body axes of tf."""

from __future__ import annotations

import numpy as np

from ..wire_formats import CAMERAS
from .camera_model import Matrix

#: Optical axes (x right, y down, z forward) -> body axes (x forward, y left, z up); REP 103.
OPTICAL_TO_BODY = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])


def frame_ids(prefix: str) -> dict[str, str]:
    """Every frame_id of this driver: "base", each camera's optical frame, and its body frame."""
    frames = {"base": prefix}
    for camera in CAMERAS:
        frames[camera] = f"{prefix}_{camera}_camera_optical_frame"
        frames[f"{camera}_body"] = f"{prefix}_{camera}_camera_frame"
    return frames


def rigid(rotation: Matrix, translation: Matrix) -> Matrix:
    """The 4x4 matrix of a rotation and a translation."""
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation, translation
    return matrix


def inverted(matrix: Matrix) -> Matrix:
    """The inverse of the 4x4 matrix of a rotation and a translation."""
    rotation = matrix[:3, :3].T
    return rigid(rotation, -rotation @ matrix[:3, 3])


def optical_pose(body_pose: Matrix) -> Matrix:
    """Pose of a camera's optical frame, given the pose of its body frame.

    Shape   (4, 4) -> (4, 4); both map points into the base frame
    Units   m
    """
    turned = body_pose.copy()
    turned[:3, :3] = body_pose[:3, :3] @ OPTICAL_TO_BODY
    return turned


def camera_poses(
    left_to_right: tuple[Matrix, Matrix], left_to_rgb_m: float, rgb_from_right: Matrix | None
) -> dict[str, Matrix]:
    """Pose of each camera frame (body axes) in the base frame, half-way between left and right.

    `left_to_right` are rotation and translation between the rectified cameras. Without
    `rgb_from_right`, which maps points from the rectified right camera to rgb, the rgb camera looks
    as the left one does, and lies `left_to_rgb_m` from it towards the right one.

    Shape   4x4 for "left", "right" and "rgb"
    Units   metres
    """
    rotation, translation_m = left_to_right
    right_in_left = -rotation.T @ translation_m
    left = -right_in_left / 2
    right = rigid(rotation.T, left + right_in_left)
    if rgb_from_right is None:
        length_m = float(np.linalg.norm(right_in_left))
        across = right_in_left / length_m if length_m > 0 else np.array([1.0, 0.0, 0.0])
        rgb = rigid(np.eye(3), left + across * left_to_rgb_m)
    else:
        rgb = right @ inverted(rgb_from_right)
    poses = {"left": rigid(np.eye(3), left), "right": right, "rgb": rgb}
    return {camera: _body_pose(pose) for camera, pose in poses.items()}


def _body_pose(pose: Matrix) -> Matrix:
    """Convert a pose from optical to body axes."""
    rotation, position = pose[:3, :3], pose[:3, 3]
    return rigid(OPTICAL_TO_BODY @ rotation @ OPTICAL_TO_BODY.T, OPTICAL_TO_BODY @ position)
