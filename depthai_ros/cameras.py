"""What the cameras of a device are, for both ends of the wire."""

from __future__ import annotations

#: Height of a picture -> its width, px; what is not binned shows the mono sensor's full width.
#: Source: docs/wire_format.md#cameras
MONO_WIDTHS = {400: 640, 720: 1280, 800: 1280}
RGB_WIDTHS = {1080: 1920, 2160: 3840, 3040: 4056}
#: Size of the full mono picture, which calibrations belong to.
MONO_FULL_SIZE = (MONO_WIDTHS[max(MONO_WIDTHS)], max(MONO_WIDTHS))
#: Height of the mono picture -> its scale, and how many lines of the full one are cut away.
MONO_WINDOWS = {
    lines: (width / MONO_FULL_SIZE[0], MONO_FULL_SIZE[1] * width // MONO_FULL_SIZE[0] - lines)
    for lines, width in MONO_WIDTHS.items()
}
#: ai.camera_input -> the cameras that feed the network, in turn, and what their pictures are.
NN_CAMERAS = {
    "rgb": {"rgb": "rgb"},
    "left": {"left": "left"},
    "right": {"right": "right"},
    "left_right": {"left": "left", "right": "right"},
    "rectified_left": {"left": "rectified_left"},
    "rectified_right": {"right": "rectified_right"},
    "rectified_left_right": {"left": "rectified_left", "right": "rectified_right"},
}
