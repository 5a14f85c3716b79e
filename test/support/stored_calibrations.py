"""Settings and image sizes with which the tests read the EEPROM of the virtual board."""

from __future__ import annotations

from depthai_ros import config

DEFAULTS = config.defaults()
NOMINAL = DEFAULTS.replace({"calibration.nominal": True})
BOARD = config.validate(
    {
        "board_config.name": "BW1098OBC",
        "board_config.revision": "R0M0E0",
        "board_config.left_fov_deg": 71.86,
        "board_config.rgb_fov_deg": 68.7938,
        "board_config.left_to_right_distance_cm": 7.5,
        "board_config.left_to_rgb_distance_cm": 3.75,
    }
)
SIZES = [(1280, 800), (1280, 720), (640, 400)]
