"""What the cameras of a device are, for both ends of the wire."""

from __future__ import annotations

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
