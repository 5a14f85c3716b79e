"""Computes camera models and poses from the EEPROM of a device or from a calibration file.

Unknown values stay zero, unless the user sets `calibration.nominal`. Both rectified cameras have
the right intrinsics M2, and the device rectifies without removing distortion.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from ..cameras import (
    CALIBRATION_FIELDS,
    EEPROM_FIELDS,
    INTRINSICS_LAYOUT,
    MONO_FULL_SIZE,
    RGB_4K_SIZE,
    RGB_CALIBRATED_SIZE,
    RGB_FULL_SIZE,
    ROTATIONS_LAYOUT,
)
from ..config.settings import Settings
from ..errors import ConfigError
from . import camera_model, gen1_file, plausibility, stereo_model
from .board import BoardGeometry, board_geometry, stored_layout
from .camera_model import CameraModel, Matrix
from .poses import camera_poses, optical_pose
from .stereo_model import StereoModel, UnusableError

Source = Literal["eeprom", "file", "nominal", "none"]

#: EEPROM key -> name here, by layout.
_EEPROM_KEYS: dict[int, dict[str, str]] = {
    INTRINSICS_LAYOUT: {
        "calib_H1_L": "H1",
        "calib_H2_R": "H2",
        **{key: name for key, name in EEPROM_FIELDS.items() if name in ("M1", "M2", "R", "T")},
    },
    ROTATIONS_LAYOUT: EEPROM_FIELDS,
}
_HOMOGRAPHY_SHAPE = (3, 3)
#: Largest relative difference of the baselines from T and from the board entry.
_BASELINE_TOLERANCE = 0.1
#: Largest angle between the rectified cameras without a warning.
_ANGLE_TOLERANCE_DEG = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """The calibration of all cameras of one device."""

    source: Source
    version: int  # layout of the EEPROM or file, -1 = nothing stored
    geometry: BoardGeometry
    stereo: StereoModel | None
    rgb: tuple[Matrix, Matrix] | None  # intrinsics for 1920x1080, distortion (14,)
    stored_homographies: tuple[Matrix | None, Matrix | None]  # layouts up to 4
    nominal_rgb: bool
    warnings: tuple[str, ...]
    rgb_problem: str  # why `rgb` is None, "" = it is not
    models: Mapping[str, CameraModel] = field(default_factory=dict)  # set by the user, by camera
    rgb_pose: Matrix | None = None  # from a file: maps points from rectified right to rgb; 4x4, m

    @property
    def board(self) -> str:
        """Name and revision of the board."""
        return f"{self.geometry.name} {self.geometry.revision}".strip()

    @property
    def baseline_m(self) -> float:
        """Distance of the mono cameras: from the calibration, else from the board."""
        return self.stereo.baseline_m if self.stereo else self.geometry.baseline_m

    @property
    def rgb_warning(self) -> str:
        """A sentence if the rgb camera is not calibrated, with the reason, else ""."""
        if not self.rgb_problem or "rgb" in self.models:
            return ""
        if self.nominal_rgb:
            return (
                f"calibration.nominal: the rgb camera is not calibrated ({self.rgb_problem}), its "
                f"model is computed from {self.geometry.rgb_fov_deg:g} degrees"
            )
        return f"the rgb camera is not calibrated: {self.rgb_problem}"

    @property
    def is_rgb_refused(self) -> bool:
        """True if numbers are stored for the rgb camera, but not used."""
        return bool(self.rgb_warning) and self.rgb_problem != plausibility.NOT_STORED

    # -- camera models

    def camera(self, name: str, size: tuple[int, int]) -> CameraModel:
        """Model of the camera "left", "right" or "rgb" for one of its image sizes (width, height).

        A model from set_camera_info takes precedence for its own image size.
        """
        model = self.models.get(name)
        if model is not None and (model.width, model.height) == size:
            return model
        return self._rgb(size) if name == "rgb" else self._mono(name, size)

    def _mono(self, name: str, size: tuple[int, int]) -> CameraModel:
        if self.stereo is None:
            return camera_model.uncalibrated(size)
        stereo, (m1, m2) = self.stereo, self._adapted(self.stereo, size)
        k, coefficients, r, tx = {
            "left": (m1, stereo.d1, stereo.r1, 0.0),
            "right": (m2, stereo.d2, stereo.r2, -m2[0, 0] * stereo.baseline_m),
        }[name]
        model, d = camera_model.reduce_distortion(coefficients)
        return CameraModel(*size, k, d, model, r, camera_model.projection(m2, tx))

    def _adapted(self, stereo: StereoModel, size: tuple[int, int]) -> tuple[Matrix, Matrix]:
        return stereo.intrinsics(size, center_crop=self.geometry.center_crop)

    def _rgb(self, size: tuple[int, int]) -> CameraModel:
        if self.rgb is None:
            if not self.nominal_rgb:
                return camera_model.uncalibrated(size)
            k = camera_model.pinhole(size, self.geometry.rgb_fov_deg)
            return camera_model.single_camera(size, k, np.zeros(14))
        full = camera_model.single_camera(RGB_CALIBRATED_SIZE, *self.rgb)
        if size != RGB_FULL_SIZE:
            return full.resized(*size)
        margin_x, margin_y = np.subtract(RGB_FULL_SIZE, RGB_4K_SIZE) // 2
        return full.resized(*RGB_4K_SIZE).window(-int(margin_x), -int(margin_y), *size)

    def rectified(self, size: tuple[int, int]) -> CameraModel:
        """Model of depth and disparity: the rectified right camera without distortion and Tx."""
        if self.stereo is None:
            return camera_model.uncalibrated(size)
        _, m2 = self._adapted(self.stereo, size)
        return camera_model.single_camera(size, m2, np.zeros(14))

    def preview(
        self,
        nn_camera: str,
        camera_size: tuple[int, int],
        preview_size: tuple[int, int],
        keep_aspect: bool,
    ) -> CameraModel:
        """Model of the network's input: `preview_size` pixels made from an image of `camera_size`.

        `nn_camera` is rgb, left, right, rectified_left or rectified_right. With `keep_aspect` the
        input is a centred crop, else the whole image, stretched.
        """
        rectified = nn_camera.startswith("rectified_")
        whole = self.rectified(camera_size) if rectified else self.camera(nn_camera, camera_size)
        if keep_aspect:
            (width, height), (new_width, new_height) = camera_size, preview_size
            crop_width = min(width, height * new_width // new_height)
            crop_height = min(height, width * new_height // new_width)
            x0, y0 = (width - crop_width) // 2, (height - crop_height) // 2
            whole = whole.window(x0, y0, crop_width, crop_height)
        return whole.resized(*preview_size)

    # -- values for Gen1 programs

    def intrinsics(self, size: tuple[int, int]) -> tuple[Matrix, Matrix] | None:
        """Intrinsics of left and right for this image size, None = not calibrated."""
        return self._adapted(self.stereo, size) if self.stereo else None

    def homographies(self, size: tuple[int, int]) -> tuple[Matrix | None, Matrix | None]:
        """Homographies raw -> rectified of left and right; layouts up to 4: the stored ones."""
        if self.stereo is None or self.version <= INTRINSICS_LAYOUT:
            return self.stored_homographies
        m1, m2 = self._adapted(self.stereo, size)
        left = m2 @ self.stereo.r1 @ np.linalg.inv(m1)
        right = m2 @ self.stereo.r2 @ np.linalg.inv(m2)
        return left, right

    def with_models(self, models: Mapping[str, CameraModel]) -> Calibration:
        """A copy with other models from set_camera_info."""
        return replace(self, models=dict(models))

    # -- poses

    def poses(self) -> dict[str, Matrix]:
        """Pose of each camera frame (body axes) in the base frame.

        The base lies half-way between left and right. The frames have the orientation of the
        rectified cameras, to which depth, image_rect and P belong.

        Shape   4x4 for "left", "right" and "rgb"
        Units   metres
        """
        parallel = np.eye(3), np.array([-self.baseline_m, 0.0, 0.0])
        left_to_right = self.stereo.left_to_right if self.stereo else parallel
        return camera_poses(left_to_right, self.geometry.left_to_rgb_m, self.rgb_pose)

    def rgb_from_depth(self) -> Matrix | None:
        """Maps points from the rectified right camera to the rgb camera; None = not known.

        Shape   4x4, optical axes
        Units   metres
        """
        if self.rgb_pose is not None or not self.nominal_rgb:
            return self.rgb_pose
        poses = self.poses()
        depth, rgb = (optical_pose(poses[camera]) for camera in ("right", "rgb"))
        return np.asarray(np.linalg.inv(rgb) @ depth)


# -- sources


def load(document: Mapping[str, Any], settings: Settings) -> Calibration:
    """The calibration to use: from the EEPROM, unless a file replaces or completes it.

    `document` is the `eeprom` object of the device.
    Raises  ConfigError if a file is needed and unreadable, or contradicts the board
    """
    calibration = _stored(document, settings)
    path = settings["calibration.rgb_pose_file"]
    return _with_rgb_pose(calibration, path, settings) if path else calibration


def _stored(document: Mapping[str, Any], settings: Settings) -> Calibration:
    path = settings["depth.calibration_file"]
    replaces = settings["board_config.override_eeprom"] or settings["board_config.store_to_eeprom"]
    if path and replaces:
        return from_file(path, settings, document)
    stored = from_eeprom(document, settings)
    if not path:
        return stored
    if stored.source != "eeprom":
        return from_file(path, settings, document)
    found = _rgb_of_file(path, stored)
    use = "not used" if found.rgb is None else "used for the rgb camera only"
    warning = (
        f"depth.calibration_file is {use}: the EEPROM holds a calibration, with which the device "
        f"computes depth; board_config.override_eeprom replaces it by {path}"
    )
    return replace(found, warnings=(warning, *stored.warnings))


def _rgb_of_file(path: str, stored: Calibration) -> Calibration:
    """Add the rgb camera of a file to the calibration of an EEPROM, which has none."""
    try:
        fields = gen1_file.read(path).fields()
        for name, numbers in fields.items():
            stereo_model.check_numbers(name, numbers)
    except (ConfigError, UnusableError):
        return stored
    return replace(stored, **_rgb_camera(fields, stored.geometry))


def _rgb_camera(fields: Mapping[str, Matrix], board: BoardGeometry) -> dict[str, Any]:
    """The fields `rgb` and `rgb_problem`."""
    problem = plausibility.rgb_problem(fields, RGB_CALIBRATED_SIZE, board.rgb_fov_deg)
    return {"rgb": None if problem else (fields["M3"], fields["d3"]), "rgb_problem": problem}


def _with_rgb_pose(calibration: Calibration, path: str, settings: Settings) -> Calibration:
    """Add the pose in a file. Raises ConfigError."""
    from . import rgb_pose_file  # it needs YAML, which Gen1 programs do without

    pose = rgb_pose_file.read(path)
    matrix = rgb_pose_file.from_rectified_right(pose, calibration.stereo, path)
    board_m = calibration.geometry.left_to_rgb_m, calibration.baseline_m
    warnings = rgb_pose_file.check(path, matrix, *board_m)
    placed = replace(calibration, rgb_pose=matrix)
    if settings["tf.source"] == "urdf":
        from_board = calibration.poses()["rgb"]
        warnings += rgb_pose_file.urdf_warnings(path, placed.poses()["rgb"], from_board)
    return replace(placed, warnings=(*calibration.warnings, *warnings))


def from_eeprom(document: Mapping[str, Any], settings: Settings) -> Calibration:
    """Calibration from the `eeprom` object of a device.

    Raises  ConfigError if the stored baseline contradicts the board's
    """
    version = stored_layout(document)
    board = board_geometry(document, settings)
    try:
        fields = _eeprom_fields(document, version)
        stereo = _BUILDERS[version](fields) if version in _BUILDERS else None
    except UnusableError as cause:
        problem = f"the EEPROM's calibration (layout {version}) is not used: {cause}"
        return _finish("none", version, board, {}, None, settings, [problem])
    problems = [] if stereo else [_TOO_OLD.get(version, _TOO_OLD_TEXT.format(version))]
    source: Source = "eeprom" if stereo else "none"
    return _finish(source, version, board, fields, stereo, settings, problems)


_TOO_OLD = {-1: "the EEPROM is blank: the cameras are not calibrated"}
_TOO_OLD_TEXT = "the EEPROM has layout {}, which holds no camera model: calibrate again"
_BUILDERS = {
    INTRINSICS_LAYOUT: stereo_model.from_homographies,
    ROTATIONS_LAYOUT: stereo_model.from_rotations,
}


def _eeprom_fields(document: Mapping[str, Any], version: int) -> dict[str, Matrix]:
    """Arrays of the layout; homographies are inverted to raw -> rectified."""
    fields = {
        name: _array(document, key, CALIBRATION_FIELDS.get(name, _HOMOGRAPHY_SHAPE))
        for key, name in _EEPROM_KEYS.get(version, {}).items()
    }
    for name in {"H1", "H2"} & set(fields):
        fields[name] = stereo_model.inverse(name, fields[name])
    if 1 <= version < INTRINSICS_LAYOUT and "calib_old_H" in document:
        fields["H2"] = _array(document, "calib_old_H", _HOMOGRAPHY_SHAPE)
    return fields


def _array(document: Mapping[str, Any], key: str, shape: tuple[int, ...]) -> Matrix:
    expected = math.prod(shape)
    if key not in document:
        raise UnusableError(f"{key} is missing")
    try:
        values = np.asarray(document[key], np.float64).reshape(-1)
    except (TypeError, ValueError, OverflowError):
        values = np.empty(0)
    if not isinstance(document[key], list) or values.size == 0:
        raise UnusableError(f"{key} is not a list of numbers")
    if values.size != expected:
        raise UnusableError(f"{key} has {values.size} numbers, must have {expected}")
    stereo_model.check_numbers(key, values)
    return values.reshape(shape)


def from_file(
    path: str, settings: Settings, document: Mapping[str, Any] | None = None
) -> Calibration:
    """Calibration from a file; the board's geometry comes from the EEPROM, else the settings.

    Raises  ConfigError if the file is unreadable or contradicts the board
    """
    content = gen1_file.read(path)
    board = board_geometry(document or {}, settings, content.center_crop)
    fields = content.fields()
    try:
        for name, numbers in fields.items():
            stereo_model.check_numbers(name, numbers)
        stereo = None if content.is_old else stereo_model.from_rotations(fields)
    except UnusableError as cause:
        raise ConfigError(f"{path}: not a calibration: {cause}") from None
    if stereo is None:
        problem = f"{path} holds one homography and no camera model: calibrate again"
        return _finish("none", 3, board, {"H2": fields["H"]}, None, settings, [problem])
    return _finish("file", ROTATIONS_LAYOUT, board, fields, stereo, settings, [])


def _finish(
    source: Source,
    version: int,
    board: BoardGeometry,
    fields: Mapping[str, Matrix],
    stereo: StereoModel | None,
    settings: Settings,
    problems: list[str],
) -> Calibration:
    """Check the stereo model against the board; add nominal models with `calibration.nominal`."""
    if stereo:
        _check_baseline(stereo, board)
        problems += _doubts(stereo, board)
    nominal = settings["calibration.nominal"]
    if stereo is None and nominal:
        stereo, source = stereo_model.nominal(board.fov_deg, board.baseline_m), "nominal"
        problems.append(
            f"calibration.nominal: the mono camera models are not calibrated, but computed from "
            f"{board.fov_deg:g} degrees and {board.baseline_m:g} m"
        )
    return Calibration(
        source=source,
        version=version,
        geometry=board,
        stereo=stereo,
        stored_homographies=(fields.get("H1"), fields.get("H2")),
        nominal_rgb=nominal,
        warnings=tuple(problems),
        **_rgb_camera(fields, board),
    )


def _check_baseline(stereo: StereoModel, board: BoardGeometry) -> None:
    """Check the baseline, to detect a wrong unit or sign. A board entry of 0 is not compared.

    Raises  ConfigError
    """
    found_m = -float(stereo.left_to_right[1][0])
    expected_m = board.baseline_m
    if expected_m != 0 and abs(found_m - expected_m) > _BASELINE_TOLERANCE * abs(expected_m):
        raise ConfigError(
            f"calibration: right camera is {found_m:g} m right of the left one, the board entry "
            f"says {expected_m:g} m; they may differ by {100 * _BASELINE_TOLERANCE:g} %. Correct "
            "board_config.left_to_right_distance_cm, or use board_config.override_eeprom"
        )


def _doubts(stereo: StereoModel, board: BoardGeometry) -> list[str]:
    doubts = []
    for name, k in (("left", stereo.m1), ("right", stereo.m2)):
        width = MONO_FULL_SIZE[0]
        if problem := plausibility.fov_problem(k, width, "left_fov_deg", board.fov_deg):
            doubts.append(f"the matrix of the {name} camera {problem}")
    for name, coefficients in (("left", stereo.d1), ("right", stereo.d2)):
        if camera_model.has_thin_prism(coefficients):
            doubts.append(f"thin-prism distortion of the {name} camera is ignored")
    angle_deg = stereo_model.angle_deg(stereo.left_to_right[0])
    if angle_deg > _ANGLE_TOLERANCE_DEG:
        doubts.append(f"the rectified cameras are rotated by {angle_deg:.1f} degrees, expected 0")
    return doubts
