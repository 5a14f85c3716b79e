"""Properties of a device's cameras, for both ends of the wire."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

#: Height of an image -> its width, px; an image without binning has the mono sensor's full width.
#: Source: docs/wire_format.md#cameras
MONO_WIDTHS = {400: 640, 720: 1280, 800: 1280}
RGB_WIDTHS = {1080: 1920, 2160: 3840, 3040: 4056}
#: Size of the full mono image, to which calibrations belong.
MONO_FULL_SIZE = (MONO_WIDTHS[max(MONO_WIDTHS)], max(MONO_WIDTHS))
#: Image size to which intrinsics of the rgb camera belong.
RGB_CALIBRATED_SIZE = (RGB_WIDTHS[1080], 1080)
#: The 2160-line mode uses the middle of the sensor pixels of the 3040-line mode.
RGB_FULL_SIZE, RGB_4K_SIZE = (RGB_WIDTHS[3040], 3040), (RGB_WIDTHS[2160], 2160)
#: Height of a mono image -> its scale, and the number of lines cut away from the full image.
MONO_WINDOWS = {
    lines: (width / MONO_FULL_SIZE[0], MONO_FULL_SIZE[1] * width // MONO_FULL_SIZE[0] - lines)
    for lines, width in MONO_WIDTHS.items()
}
#: ai.camera_input -> the cameras that feed the network, in turn, and the content of their images.
NN_CAMERAS = {
    "rgb": {"rgb": "rgb"},
    "left": {"left": "left"},
    "right": {"right": "right"},
    "left_right": {"left": "left", "right": "right"},
    "rectified_left": {"left": "rectified_left"},
    "rectified_right": {"right": "rectified_right"},
    "rectified_left_right": {"left": "rectified_left", "right": "rectified_right"},
}
#: Numbers of the camera controls. Source: docs/wire_format.md#commands
CONTROLS = {
    "START_STREAM": 0,
    "STOP_STREAM": 1,
    "REQUEST_STILL": 2,
    "MOVE_LENS": 3,
    "FOCUS_TRIGGER": 4,
    "AE_MANUAL": 5,
    "AE_AUTO": 6,
    "SET_AWB_MODE": 7,
    "SCENE_MODES": 8,
    "ANTIBANDING_MODES": 9,
    "EXPOSURE_COMPENSATION": 10,
    "AE_LOCK": 12,
    "AE_TARGET_FPS_RANGE": 13,
    "AWB_LOCK": 15,
    "CAPTURE_INTENT": 16,
    "CONTROL_MODE": 17,
    "FRAME_DURATION": 20,
    "SENSITIVITY": 22,
    "EFFECT_MODE": 23,
    "AF_MODE": 25,
    "NOISE_REDUCTION_STRENGTH": 26,
    "SATURATION": 27,
    "BRIGHTNESS": 30,
    "STREAM_FORMAT": 32,
    "CAM_RESOLUTION": 33,
    "SHARPNESS": 34,
    "CUSTOM_USECASE": 39,
    "CUSTOM_CAPT_MODE": 40,
    "CUSTOM_EXP_BRACKETS": 41,
    "CUSTOM_CAPTURE": 42,
    "CONTRAST": 43,
    "AE_REGION": 44,
    "AF_REGION": 46,
    "LUMA_DENOISE": 47,
    "CHROMA_DENOISE": 48,
}
#: Focus modes in order of their numbers. Source: docs/wire_format.md#commands
FOCUS_MODES = ("auto", "macro", "continuous_video", "continuous_picture", "edof")
#: Encoder settings in order of the numbers that Gen1 accepts for them.
RATE_CONTROL_MODES = ("cbr", "vbr")
VIDEO_PROFILES = ("h264_baseline", "h264_main", "h264_high", "h265_main", "mjpeg")

#: Layouts of the EEPROM: the first with intrinsics of both cameras, the first with rectifying
#: rotations, which is the newest. Source: docs/wire_format.md#calibration
INTRINSICS_LAYOUT, ROTATIONS_LAYOUT = 4, 5
#: Contents of a calibration in order, float32. Source: docs/wire_format.md#calibration
#: Rectification left and right, intrinsics left and right (for the full image), rotation and
#: translation (cm) left -> right, the same of rgb, distortion left, right and rgb.
CALIBRATION_FIELDS: dict[str, tuple[int, ...]] = {
    "R1": (3, 3),
    "R2": (3, 3),
    "M1": (3, 3),
    "M2": (3, 3),
    "R": (3, 3),
    "T": (3,),
    "M3": (3, 3),
    "R_rgb": (3, 3),
    "T_rgb": (3,),
    "d1": (14,),
    "d2": (14,),
    "d3": (14,),
}
CALIBRATION_FLOATS = sum(map(math.prod, CALIBRATION_FIELDS.values()))
CALIBRATION_BYTES = 4 * CALIBRATION_FLOATS
#: EEPROM key of the newest layout -> its field.
EEPROM_FIELDS = {
    "calib_R1_L": "R1",
    "calib_R2_R": "R2",
    "calib_M1_L": "M1",
    "calib_M2_R": "M2",
    "calib_R": "R",
    "calib_T": "T",
    "calib_d1_L": "d1",
    "calib_d2_R": "d2",
}


def calibration_fields(
    floats: Sequence[float], shapes: Mapping[str, tuple[int, ...]] = CALIBRATION_FIELDS
) -> dict[str, Sequence[float]]:
    """The numbers of each field, row by row."""
    found, start = {}, 0
    for name, shape in shapes.items():
        found[name] = floats[start : start + math.prod(shape)]
        start += math.prod(shape)
    return found
