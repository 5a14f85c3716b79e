"""Whatever calibration a device stores, it is refused, or every message made with it is usable."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np
import pytest
from contexts import PREVIEW_SIZE, STAMP_NS, build_message, make_picture
from hypothesis import given, settings
from hypothesis import strategies as st
from usable import assert_usable

from depthai_ros.calibration.calibration import load
from depthai_ros.calibration.poses import frame_ids
from depthai_ros.config import NetworkConfig, mono_size, rgb_size, validate
from depthai_ros.errors import ConfigError
from depthai_ros.messages.builders import camera_info, static_transforms
from depthai_ros.messages.context import make_context
from depthai_ros.messages.diagnostics import Health
from depthai_ros.virtual.scenes.eeprom import eeprom_document
from depthai_ros.wire_formats import DETECTION, FrameSizes, encode_detections

_EXAMPLES = int(os.environ.get("EXAMPLES", "60"))
DETECTIONS = encode_detections(np.array([(1, 0.5, 0.1, 0.1, 0.9, 0.9, 0.1, 0.1, 2.0)], DETECTION))

_NUMBERS = st.sampled_from(
    [math.nan, math.inf, -math.inf, 0.0, 1e-320, 1e-20, 1e-9, -1.0, 1.0, 179.9999, 1e20, 1e308]
)
_LAYOUTS = (4, 5)


def _changed(layout: int, draws: list[tuple[int, int, Any]]) -> dict[str, Any]:
    """An EEPROM with other numbers in a few places, each chosen by two indices."""
    document = eeprom_document(layout)
    keys = [key for key, value in document.items() if isinstance(value, (float, list))]
    for field, place, value in draws:
        key = keys[field % len(keys)]
        if isinstance(document[key], list):
            numbers = document[key] = list(document[key])
            numbers[place % len(numbers)] = value
        else:
            document[key] = value
    return document


def test_every_field_is_tried() -> None:
    keys = {key for key, value in eeprom_document(5).items() if isinstance(value, (float, list))}
    assert {"left_fov_deg", "left_to_right_distance_m"} < keys
    assert any("M1" in key for key in keys)


@settings(
    max_examples=_EXAMPLES, deadline=None, database=None, derandomize="EXAMPLES" not in os.environ
)
@given(
    layout=st.sampled_from(_LAYOUTS),
    draws=st.lists(
        st.tuples(st.integers(0, 40), st.integers(0, 13), _NUMBERS), min_size=1, max_size=3
    ),
    values=st.sampled_from([{}, {"calibration.nominal": True}]),
)
def test_messages_of_any_stored_calibration_are_usable(
    layout: int, draws: list[tuple[int, int, Any]], values: dict[str, Any]
) -> None:
    assert_messages_are_usable(_changed(layout, draws), values)


@pytest.mark.parametrize("layout", _LAYOUTS)
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("left_fov_deg", 1e-320),
        ("left_fov_deg", 1e-9),
        ("left_fov_deg", 180.0),
        ("rgb_fov_deg", 1e-320),
        ("left_to_right_distance_m", 1e308),
        ("left_to_right_distance_m", -1e308),
        pytest.param("left_to_right_distance_m", 10**400, id="400 digits"),
        ("left_to_rgb_distance_m", 1e308),
    ],
)
def test_impossible_geometry_of_a_board_is_not_used(layout: int, field: str, value: Any) -> None:
    document = {**eeprom_document(layout), field: value}
    for nominal in (False, True):
        assert_messages_are_usable(document, {"calibration.nominal": nominal})


def assert_messages_are_usable(document: dict[str, Any], values: dict[str, Any]) -> None:
    """The document is refused with ConfigError, or everything made with it is usable."""
    chosen = validate(values)
    try:
        calibration = load(document, chosen)
    except ConfigError:
        return
    width, height = PREVIEW_SIZE
    sizes = FrameSizes(mono_size(chosen), rgb_size(chosen), (3, height, width))
    network = NetworkConfig("detection", labels=("a", "b"), confidence_threshold=0.25)
    frames = frame_ids("oak")
    context = make_context(
        chosen, calibration, network, sizes, frames, Health("oak", chosen), "/labels"
    )
    for model in context.cameras.values():
        assert_usable(camera_info(model, "frame", STAMP_NS))
    assert_usable(static_transforms(frames, calibration.poses(), "", STAMP_NS))
    for topic in ("nn/detections", "nn/spatial_detections"):
        assert_usable(build_message(context, topic, make_picture(context, "metaout", DETECTIONS)))
    pixels = np.full(sizes.shape("mono8"), 5, np.uint8)
    assert_usable(build_message(context, "disparity", make_picture(context, "disparity", pixels)))
