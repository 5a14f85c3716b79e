"""The EEPROM of a virtual device; data written by hosts lasts until the process ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..cameras import CALIBRATION_FLOATS, EEPROM_FIELDS, ROTATIONS_LAYOUT, calibration_fields
from .scenes.eeprom import eeprom_document

#: Key of the newest layout -> key in `board` of a configuration.
_BOARD = {
    "left_fov_deg": "left_fov_deg",
    "rgb_fov_deg": "rgb_fov_deg",
    "left_to_right_distance_m": "left_to_right_distance_m",
    "left_to_rgb_distance_m": "left_to_rgb_distance_m",
    "swap_left_and_right_cameras": "swap-left-and-right-cameras",
    "stereo_center_crop": "stereo_center_crop",
    "board_name": "name",
    "board_rev": "revision",
}
_BLANK = -1


class Eeprom:
    """The stored calibration; `document` is the `eeprom` object of `config_d2h`."""

    def __init__(self, version: int, *, lens: bool = False) -> None:
        self.document: dict[str, Any] = eeprom_document(version, lens=lens)

    def apply(self, config: Mapping[str, Any]) -> list[str]:
        """Clear or write the EEPROM as the configuration requests; returns log lines."""
        board = config.get("board")
        if not isinstance(board, dict):
            return []
        logs = []
        if board.get("clear-eeprom"):
            self.document = eeprom_document(_BLANK)
            logs.append("EEPROM cleared")
        if board.get("store-to-eeprom"):
            stored = self._store(board, config.get("_board"))
            logs.append("EEPROM write OK" if stored else "EEPROM write FAILED")
        return logs

    def _store(self, board: Mapping[str, Any], calibration: Any) -> bool:
        floats = calibration.get("calib_data") if isinstance(calibration, dict) else None
        if not isinstance(floats, list) or len(floats) != CALIBRATION_FLOATS:
            return False
        if not set(_BOARD.values()) <= set(board):
            return False
        document: dict[str, Any] = {"version": ROTATIONS_LAYOUT}
        document |= {key: board[source] for key, source in _BOARD.items()}
        fields = calibration_fields(floats)
        document |= {key: fields[name] for key, name in EEPROM_FIELDS.items()}
        self.document = document
        return True
