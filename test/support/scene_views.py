"""Views for the scenes of the virtual device in tests."""

from __future__ import annotations

from typing import Any

from depthai_ros.virtual.scenes.eeprom import eeprom_document
from depthai_ros.virtual.scenes.scene import SyntheticScene
from depthai_ros.virtual.scenes.source import IDEAL, Realism, SceneView


def view(**changes: Any) -> SceneView:
    """The default view with changes."""
    settings: dict[str, Any] = {
        "mono_size": (1280, 720),
        "rgb_size": (1920, 1080),
        "preview_size": (300, 300),
        "keep_aspect_ratio": True,
        "nn_camera": "rgb",
        "mirror_rectified": True,
        "center_crop": True,
    }
    return SceneView(**{**settings, **changes})


def room(realism: Realism = IDEAL) -> SyntheticScene:
    """The scene "synthetic"."""
    return SyntheticScene(eeprom_document(5, lens=realism.lens), realism)
