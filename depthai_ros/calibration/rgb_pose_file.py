"""Reads the measured pose of the rgb camera: a camchain of Kalibr, or a transform of ROS as YAML.

Both formats, and the direction of each: docs/depth.md#calibrating-the-rgb-camera
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..bounded import is_number, shown
from ..config.yaml_files import read_yaml
from ..errors import ConfigError
from .camera_model import Matrix, rotation_error
from .poses import OPTICAL_TO_BODY, inverted, rigid
from .stereo_model import StereoModel, angle_deg

_LARGEST_FILE_BYTES = 100_000
_LARGEST_NUMBER = 1e6
#: Word in a topic or a frame name -> camera.
_CAMERA_WORDS = {"left": "left", "right": "right", "rgb": "rgb", "color": "rgb"}
_RECTIFIED_WORDS = {"rect", "rectified"}
#: Last words of frame names that have body axes (REP 103), unless "optical" is another word.
_BODY_WORDS = ("frame", "link")
_KALIBR_CAMERA = re.compile("cam([0-9]{1,3})")
#: Largest deviation of a rotation from an orthogonal matrix: numbers rounded to three digits.
_ROTATION_TOLERANCE = 5e-3
#: Limits of the distance between right and rgb: beyond them the unit is wrong.
_MIN_DISTANCE_M, _MAX_DISTANCE_M = 0.001, 1.0
#: Largest factor between the distance and that of the board; units differ by at least 25.
_DISTANCE_FACTOR = 10.0
_UNITS = {"centimetres": 0.01, "millimetres": 0.001, "inches": 0.0254}
#: Cameras of one board look in the same direction.
_MAX_ANGLE_DEG = 45.0
#: Least and relative difference to the board entry that is reported.
_POSITION_TOLERANCE_M, _POSITION_TOLERANCE = 0.01, 0.5
#: Least differences from the URDF that are reported.
_URDF_TOLERANCE_M, _URDF_TOLERANCE_DEG = 0.001, 0.1


class MeasuredPose(NamedTuple):
    """`matrix` maps points from `camera`, "left" or "right", to rgb: 4x4, optical axes, metres.

    `rectified`: the axes of `camera` are those of its rectified image.
    """

    matrix: Matrix
    camera: str
    rectified: bool


class _Name(NamedTuple):
    """The camera that a topic or frame name means, None = not one of ours."""

    camera: str | None
    words: tuple[str, ...]

    @classmethod
    def read(cls, text: str) -> _Name:
        words = tuple(filter(None, re.split(r"[^0-9A-Za-z]+", text.lower())))
        cameras = {_CAMERA_WORDS[word] for word in words if word in _CAMERA_WORDS}
        return cls(cameras.pop() if len(cameras) == 1 else None, words)

    @property
    def has_body_axes(self) -> bool:
        return "optical" not in self.words and self.words[-1] in _BODY_WORDS

    @property
    def is_frame(self) -> bool:
        return "optical" in self.words or self.has_body_axes


# -- formats


def read(path: str) -> MeasuredPose:
    """The pose in a file.

    Raises  ConfigError that names the file, what it holds, and what it has to hold
    """
    document = read_yaml(path, max_bytes=_LARGEST_FILE_BYTES)
    try:
        if not isinstance(document, dict):
            raise ConfigError(f"it is {shown(document)}, must be a mapping")
        is_kalibr = any(_KALIBR_CAMERA.fullmatch(str(key)) for key in document)
        return _from_kalibr(document) if is_kalibr else _from_ros(document)
    except ConfigError as cause:
        raise ConfigError(f"{path}: no pose of the rgb camera: {cause}") from None


def _from_kalibr(document: Mapping[Any, Any]) -> MeasuredPose:
    """T_cn_cnm1 of camera n maps points from camera n - 1 to camera n. Raises ConfigError."""
    numbers = (_KALIBR_CAMERA.fullmatch(str(key)) for key in document)
    keys = [f"cam{number}" for number in sorted(int(found[1]) for found in numbers if found)]
    if keys != [f"cam{number}" for number in range(len(keys))]:
        raise ConfigError(f"it has {', '.join(keys)}, must have cam0, cam1 and so on without gaps")
    cameras = [_mapping(document.get(key), key) for key in keys]
    topics = [camera.get("rostopic") for camera in cameras]
    names = [_Name.read(topic if isinstance(topic, str) else "") for topic in topics]
    found = ", ".join(f"{key} {shown(topic)}" for key, topic in zip(keys, topics, strict=True))
    rgb = _only(names, "rgb", found)
    is_right = any(name.camera == "right" for name in names)
    start = _only(names, "right" if is_right else "left", found)
    low, high = min(start, rgb), max(start, rgb)
    chain = np.eye(4)
    for at in range(low + 1, high + 1):
        key = f"{keys[at]}.T_cn_cnm1"
        chain = _transform(cameras[at].get("T_cn_cnm1"), key) @ chain
    matrix = chain if start < rgb else inverted(chain)
    is_rectified = not _RECTIFIED_WORDS.isdisjoint(names[start].words)
    return MeasuredPose(matrix, str(names[start].camera), is_rectified)


def _only(names: list[_Name], camera: str, found: str) -> int:
    """The number of the only camera of this name. Raises ConfigError."""
    numbers = [number for number, name in enumerate(names) if name.camera == camera]
    if len(numbers) == 1:
        return numbers[0]
    what = "the rgb camera" if camera == "rgb" else "the right (or left) camera"
    count = f"{len(numbers)} of them are" if numbers else "none of them is"
    raise ConfigError(
        f"its cameras are {found}; {count} {what}. The rostopic of each must have one of the words "
        "left, right and rgb, as in /oak/rgb/image_raw: correct the rostopic in the file"
    )


def _from_ros(document: Mapping[Any, Any]) -> MeasuredPose:
    """The pose of `child_frame_id` in `frame_id`, as in TransformStamped. Raises ConfigError."""
    for key, what in _FOREIGN_FILES.items():
        if key in document:
            raise ConfigError(f"it has {key} and is {what}")
    header = document.get("header", document)
    frame_id = _mapping(header, "header").get("frame_id")
    ends = {"frame_id": frame_id, "child_frame_id": document.get("child_frame_id")}
    names = [_Name.read(name if isinstance(name, str) else "") for name in ends.values()]
    cameras = [name.camera for name in names]
    if "rgb" not in cameras or not {"left", "right"} & set(cameras):
        found = ", ".join(f"{key} {shown(name)}" for key, name in ends.items())
        raise ConfigError(
            f"it has {found}; one must be rgb and the other right (or left), or frames with these "
            "words in their names. Or it must be a camchain of Kalibr, with cam0 and cam1"
        )
    parent_axes, child_axes = (_axes(name) for name in names)
    child_in_parent = inverted(parent_axes) @ _given_transform(document) @ child_axes
    is_rgb_parent = cameras[0] == "rgb"
    other = names[1] if is_rgb_parent else names[0]
    rectified = document.get("rectified", other.is_frame)
    if not isinstance(rectified, bool):
        raise ConfigError(f"rectified is {shown(rectified)}, must be true or false")
    matrix = child_in_parent if is_rgb_parent else inverted(child_in_parent)
    return MeasuredPose(matrix, str(other.camera), rectified)


#: A key that neither format has -> the files that have it.
_FOREIGN_FILES = {
    "camera_matrix": "a camera_info file, which rgb.camera_info_url takes",
    "M1": "a stereo calibration of OpenCV: write its R and T as 'matrix', with frame_id and "
    "child_frame_id",
    "transforms": "a list of transforms: write the one between right and rgb into the file",
    "/**": "a parameter file",
}


def _axes(name: _Name) -> Matrix:
    """Optical axes -> the axes of a frame."""
    return rigid(OPTICAL_TO_BODY if name.has_body_axes else np.eye(3), np.zeros(3))


def _given_transform(document: Mapping[Any, Any]) -> Matrix:
    if "matrix" in document:
        return _transform(document["matrix"], "matrix")
    if "transform" not in document and "translation" not in document:
        raise ConfigError("it has neither transform (translation and rotation) nor matrix")
    parts = _mapping(document.get("transform", document), "transform")
    translation = _vector(parts.get("translation"), "translation", "xyz")
    quaternion = _vector(parts.get("rotation"), "rotation", "xyzw")
    length = float(np.linalg.norm(quaternion))
    if abs(length - 1) > _ROTATION_TOLERANCE:
        raise ConfigError(f"rotation has the length {length:g}, a quaternion x y z w has 1")
    return rigid(_rotation_of(quaternion / length), translation)


def _rotation_of(quaternion: Matrix) -> Matrix:
    x, y, z, w = quaternion
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


# -- values


def _mapping(value: Any, what: str) -> Mapping[Any, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{what} is {shown(value)}, must be a mapping")
    return value


def _numbers(values: Iterable[Any], what: str) -> Matrix:
    found = list(values)
    for value in found:
        if not is_number(value, -_LARGEST_NUMBER, _LARGEST_NUMBER):
            raise ConfigError(f"{what} has {shown(value)}, must be finite numbers")
    return np.array(found, np.float64)


def _vector(value: Any, what: str, names: str) -> Matrix:
    """A mapping with these names, or a list in their order."""
    if isinstance(value, dict) and set(value) == set(names):
        value = [value[name] for name in names]
    if not isinstance(value, list) or len(value) != len(names):
        raise ConfigError(f"{what} is {shown(value)}, must be {' '.join(names)}")
    return _numbers(value, what)


def _transform(value: Any, what: str) -> Matrix:
    """A 4x4 or 3x4 matrix: rows, one list, or rows, cols and data. Raises ConfigError."""
    if isinstance(value, dict):
        value = value.get("data")
    rows = value if isinstance(value, list) else []
    is_nested = all(isinstance(row, list) and len(row) == 4 for row in rows)
    flat = [number for row in rows for number in row] if is_nested else rows
    if len(flat) not in (12, 16):
        raise ConfigError(f"{what} is {shown(value)}, must be a 4x4 or 3x4 matrix")
    matrix = _numbers(flat, what).reshape(-1, 4)
    if len(matrix) == 4 and not np.array_equal(matrix[3], [0, 0, 0, 1]):
        raise ConfigError(f"{what} has the last row {matrix[3].tolist()}, must be 0 0 0 1")
    rotation = matrix[:3, :3]
    deviation = rotation_error(rotation)
    if deviation > _ROTATION_TOLERANCE:
        raise ConfigError(f"{what} is no rotation: its axes deviate by {deviation:.2g} from square")
    if np.linalg.det(rotation) < 0:
        raise ConfigError(f"{what} is mirrored: its determinant is -1, that of a rotation is 1")
    u, _, vt = np.linalg.svd(rotation)
    return rigid(u @ vt, matrix[:3, 3])


# -- the pose on the board


def from_rectified_right(pose: MeasuredPose, stereo: StereoModel | None, path: str) -> Matrix:
    """Maps points from the rectified right camera to rgb: 4x4, optical axes, metres.

    Raises  ConfigError if the pose is that to the left camera and the pair is not calibrated
    """
    if pose.camera == "left" and stereo is None:
        raise ConfigError(
            f"{path} has the pose to the left camera, and the mono cameras are not calibrated: the "
            "pose to the right camera is needed"
        )
    if stereo is None:
        return pose.matrix
    if pose.rectified:
        pair = rigid(*stereo.left_to_right)
        return pose.matrix @ (np.eye(4) if pose.camera == "right" else inverted(pair))
    pair = rigid(stereo.rotation, stereo.translation_m)
    raw = pose.matrix @ (np.eye(4) if pose.camera == "right" else inverted(pair))
    return raw @ rigid(stereo.r2.T, np.zeros(3))


def check(path: str, matrix: Matrix, left_to_rgb_m: float, baseline_m: float) -> tuple[str, ...]:
    """Compare a pose with the board entry, in which a distance of 0 is unknown; returns warnings.

    `matrix` maps points from the rectified right camera to rgb.
    Raises  ConfigError for a wrong unit, direction or axes
    """
    position = inverted(matrix)[:3, 3]
    distance_m, angle = float(np.linalg.norm(position)), angle_deg(matrix[:3, :3])
    board_m = left_to_rgb_m - baseline_m if left_to_rgb_m else 0.0
    start = f"{path}: the rgb camera lies {distance_m:.4g} m from the right one"
    if problem := _distance_problem(distance_m, abs(board_m)):
        raise ConfigError(f"{start}, {problem}")
    if angle > _MAX_ANGLE_DEG:
        raise ConfigError(
            f"{path}: the rgb camera is turned by {angle:.0f} degrees to the right one, at most "
            f"{_MAX_ANGLE_DEG:g} are possible: optical axes are x right, y down, z forward"
        )
    expected = np.array([board_m, 0.0, 0.0])
    limit_m = max(_POSITION_TOLERANCE_M, _POSITION_TOLERANCE * abs(board_m))
    if not board_m or np.linalg.norm(position - expected) <= limit_m:
        return ()
    where = f"at {_millimetres(position)} mm (right, down, forward) of the right one"
    board = f"the board entry says {_millimetres(expected)}"
    for other, remedy in _MISTAKES.items():
        if np.linalg.norm(remedy(matrix) - expected) <= limit_m:
            raise ConfigError(f"{path}: the rgb camera lies {where}, {board}: {other}")
    warning = (
        f"{path}: the rgb camera lies {where}, {board}. The file is used; if it is right, correct "
        "board_config.left_to_rgb_distance_cm"
    )
    return (warning,)


#: Sentence about a mistake -> the position of the rgb camera without it.
_MISTAKES: dict[str, Callable[[Matrix], Matrix]] = {
    "the direction is wrong. The pose has to be that of child_frame_id in frame_id; in a camchain "
    "T_cn_cnm1 maps points from the camera before": lambda matrix: matrix[:3, 3],
    "the axes are those of body frames. Name the frames so, as in oak_rgb_camera_frame": (
        lambda matrix: OPTICAL_TO_BODY.T @ inverted(matrix)[:3, 3]
    ),
}


def _distance_problem(distance_m: float, board_m: float) -> str:
    """Why a distance cannot be true, or ""; `board_m` is 0 if it is not known."""
    low, high = _MIN_DISTANCE_M, _MAX_DISTANCE_M
    if board_m >= _POSITION_TOLERANCE_M:
        low, high = max(low, board_m / _DISTANCE_FACTOR), min(high, board_m * _DISTANCE_FACTOR)
    if low <= distance_m <= high:
        return ""
    expected = f"{board_m:.4g} m by the board entry" if board_m else f"{low:g} to {high:g} m"
    fitting = {
        unit: abs(math.log(distance_m * factor / (board_m or 0.05)))
        for unit, factor in _UNITS.items()
        if distance_m > high
    }
    unit = min(fitting, key=lambda name: fitting[name], default="")
    remedy = f"the numbers look like {unit}, must be metres" if unit else "it must be in metres"
    return f"expected {expected}: {remedy}; or correct board_config.left_to_rgb_distance_cm"


def urdf_warnings(path: str, placed: Matrix, on_board: Matrix) -> tuple[str, ...]:
    """A warning if the pose of the rgb camera (4x4, m) differs from that in the URDF."""
    between = inverted(on_board) @ placed
    distance_m, angle = float(np.linalg.norm(between[:3, 3])), angle_deg(between[:3, :3])
    if distance_m <= _URDF_TOLERANCE_M and angle <= _URDF_TOLERANCE_DEG:
        return ()
    warning = (
        f"tf.source is urdf: the rgb frame of the URDF, which has the values of the board, is "
        f"{1000 * distance_m:.1f} mm and {angle:.2f} degrees from the pose in {path}, which points "
        "and depth_registered use. With tf.source calibration the frames follow the file"
    )
    return (warning,)


def _millimetres(position: Matrix) -> str:
    return " ".join(f"{1000 * number:.0f}" for number in position + 0.0)
