"""The page's source over a device without ROS, with the virtual device."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from device_views import SIZE, SMALL, lines_with, pixels, until
from scene_views import room, view

from depthai_ros import _core
from depthai_ros.errors import ConfigError
from depthai_ros.messages.derived import DEPTH
from depthai_ros.view.device_source import DeviceSource
from depthai_ros.view.source import BOXES, CLOUD
from depthai_ros.virtual.scenes.eeprom import BASELINE_M, MONO_FOV_DEG, eeprom_document
from depthai_ros.virtual.scenes.source import make_source
from depthai_ros.wire_formats import depth_scale, disparity_to_depth_table

IMAGES = {
    "rgb/image_raw",
    "left/image_raw",
    "right/image_raw",
    "left/image_rect",
    "right/image_rect",
    "depth/image_raw",
    "disparity/image_raw",
    "depth_registered/image_raw",
    "rgb/image_rect_color",
    "rgb/preview/image_raw",
    "rgb/still/image_raw/compressed",
}


@pytest.fixture(scope="module")
def wall() -> Iterator[DeviceSource]:
    """A wall that stands still: every image is always the same."""
    source = DeviceSource("virtual:plane=2", values=SMALL)
    source.want(frozenset(IMAGES), {})
    yield source
    source.close()


@pytest.fixture(scope="module")
def truth() -> Any:
    scene = make_source("plane=2", eeprom_document(5))
    scene.configure(view(mono_size=SIZE, mirror_rectified=False))
    return scene


@pytest.fixture(scope="module")
def room_source() -> Iterator[DeviceSource]:
    source = DeviceSource("virtual", values={**SMALL, "points.decimation": 2})
    source.want(frozenset({CLOUD, BOXES}), {CLOUD: 5.0})
    yield source
    source.close()


# -- images


def test_every_image_of_a_device_can_be_chosen(wall: DeviceSource) -> None:
    pixels(wall, "left/image_raw")
    found = {choice.name: choice for choice in wall.images()}
    assert found.keys() == IMAGES
    units = {name: choice.unit for name, choice in found.items() if choice.unit}
    assert units == {
        "depth/image_raw": "m",
        "depth_registered/image_raw": "m",
        "disparity/image_raw": "px",
    }
    cameras = {name: choice.camera for name, choice in found.items()}
    assert cameras["rgb/preview/image_raw"] == cameras["depth_registered/image_raw"] == "rgb"
    assert cameras["depth/image_raw"] == "right"


@pytest.mark.parametrize(
    ("name", "stream"),
    [
        ("left/image_raw", "left"),
        ("right/image_raw", "right"),
        ("left/image_rect", "rectified_left"),
        ("right/image_rect", "rectified_right"),
    ],
)
def test_mono_images_are_those_that_the_scene_shows(
    wall: DeviceSource, truth: Any, name: str, stream: str
) -> None:
    assert np.array_equal(pixels(wall, name), truth.paint(stream, 0.0, 0))


def test_colour_images_are_those_that_the_scene_shows(wall: DeviceSource, truth: Any) -> None:
    expected = np.empty((1080, 1920, 3), np.uint8)
    _core.bgr_from_i420(source=truth.paint("color", 0.0, 0), destination=expected)
    assert np.array_equal(pixels(wall, "rgb/image_raw"), expected)
    planes = truth.paint("previewout", 0.0, 0)
    assert np.array_equal(pixels(wall, "rgb/preview/image_raw"), planes.transpose(1, 2, 0))
    assert pixels(wall, "rgb/image_rect_color").shape == expected.shape


def test_depth_and_disparity_are_measured_and_unknown_pixels_are_nan(
    wall: DeviceSource, truth: Any
) -> None:
    disparity = truth.paint("disparity", 0.0, 0)[:, ::-1]  # mirrored, as `truth` is configured
    found_m, found_px = pixels(wall, "depth/image_raw"), pixels(wall, "disparity/image_raw")
    assert found_m.dtype == found_px.dtype == np.float32
    table_m = disparity_to_depth_table(SIZE[0], MONO_FOV_DEG, BASELINE_M) / 1000.0
    expected_m = np.where(disparity > 0, table_m[disparity], np.nan)
    assert np.allclose(found_m, expected_m, equal_nan=True)
    expected_px = np.where(disparity > 0, disparity, np.nan)
    assert np.allclose(found_px, expected_px, equal_nan=True)
    registered = pixels(wall, "depth_registered/image_raw")
    assert np.nanmedian(registered) == pytest.approx(np.nanmedian(found_m), abs=0.05)


def test_images_that_nobody_wants_are_not_converted(wall: DeviceSource) -> None:
    first = until(lambda: wall.image("left/image_raw"), "left", wall)
    try:
        wall.want(frozenset({"right/image_raw"}), {})
        assert wall.image("left/image_raw") is None
        assert wall.cloud() is None
        assert wall.boxes() == ()
        assert wall.image("nothing/of/this/name") is None
        until(lambda: wall.image("right/image_raw"), "right", wall)
    finally:
        wall.want(frozenset(IMAGES), {})
    later = until(lambda: wall.image("left/image_raw"), "left", wall)
    assert later.stamp_ns > first.stamp_ns


def test_images_are_made_once_and_at_most_at_the_rate_that_is_wanted(wall: DeviceSource) -> None:
    wall.want(frozenset(IMAGES), {"left/image_raw": 0.001})
    try:
        first = until(lambda: wall.image("left/image_raw"), "left", wall)
        right = until(lambda: wall.image("right/image_raw"), "right", wall)
        made: dict[int, Any] = {}

        def is_later() -> bool:
            found = wall.image("right/image_raw")
            assert found is not None
            assert made.setdefault(found.stamp_ns, found) is found
            return found.stamp_ns > right.stamp_ns + 3 * 10**8

        until(is_later, "later frames", wall)
        assert wall.image("left/image_raw") is first
    finally:
        wall.want(frozenset(IMAGES), {})


def test_a_still_image_comes_on_request_as_its_own_jpeg(wall: DeviceSource) -> None:
    until(lambda: wall.state().device == "streaming", "the device", wall)
    for _ in range(2):
        assert "arrived: rgb/still" in wall.act("capture_still")
    image = wall.image("rgb/still/image_raw/compressed")
    assert image is not None
    assert image.data[:2] == b"\xff\xd8"


# -- where it is


def test_frames_and_cameras_are_those_of_the_calibration(wall: DeviceSource) -> None:
    cameras = {row.camera: row for row in until(wall.cameras, "the cameras", wall)}
    assert cameras.keys() == {"rgb", "left", "right"}
    assert cameras["left"].image == "left/image_rect"
    assert (cameras["left"].width, cameras["left"].height) == SIZE
    focal_px = SIZE[0] / 2 / np.tan(np.radians(MONO_FOV_DEG) / 2)
    expected_rad = 2 * np.arctan(SIZE[1] / 2 / focal_px)
    assert cameras["left"].fov_y_rad == pytest.approx(expected_rad, rel=0.01)
    frames = {row.name: row for row in wall.frames()}
    left, right = (frames[cameras[name].frame_id].pose for name in ("left", "right"))
    assert np.linalg.norm(left[:3, 3] - right[:3, 3]) == pytest.approx(BASELINE_M, abs=1e-3)
    assert np.allclose(left[:3, 2], [1, 0, 0], atol=0.05)  # it looks ahead
    assert frames[cameras["left"].frame_id].parent in frames
    assert wall.robot() == ""


def test_a_cloud_lies_on_the_walls_and_boxes_of_the_room(room_source: DeviceSource) -> None:
    cloud = until(room_source.cloud, "a cloud", room_source)
    scene = room()
    scene.configure(view(mono_size=SIZE))
    true_m = scene.true_depth(0.0)
    camera = scene.camera("rectified_right")
    place = np.rint(camera.project(cloud.points.astype(np.float64))).astype(int)
    expected_m = true_m[place[:, 1], place[:, 0]]
    scale = float(depth_scale(SIZE[0], MONO_FOV_DEG, BASELINE_M))
    wrong = np.abs(cloud.points[:, 2] - expected_m) > 1.5 * expected_m**2 / scale
    assert 20_000 < len(cloud.points) <= SIZE[0] * SIZE[1] // 4
    assert wrong.mean() < 0.15  # two boxes move
    assert cloud.frame_id == "oak_right_camera_optical_frame"
    assert cloud.colors.shape == cloud.points.shape


def test_a_cloud_has_the_colours_of_the_rgb_camera(room_source: DeviceSource) -> None:
    def coloured() -> Any:
        cloud = room_source.cloud()
        return cloud if cloud and (np.ptp(cloud.colors, axis=1) > 20).mean() > 0.1 else None

    cloud = until(coloured, "colours", room_source)
    floor = cloud.colors[cloud.points[:, 1] > 0.75].mean(axis=0)  # brown
    assert floor[0] > floor[1] > floor[2]
    assert floor[0] - floor[2] > 20
    assert not (cloud.colors == 0).all(axis=1).any(), "grey where the rgb camera sees nothing"


def test_boxes_have_label_place_and_the_id_of_the_tracker(room_source: DeviceSource) -> None:
    def found() -> Any:
        rows = {row.label: row for row in room_source.boxes()}
        return rows if "chair" in rows and rows["chair"].track_id else None

    chair = until(found, "a tracked chair", room_source)["chair"]
    assert chair.score > 0.5
    assert chair.center_m is not None
    assert 2.0 < chair.center_m[2] < 4.0
    assert chair.size_m[1] == pytest.approx(0.92, abs=0.05)
    assert chair.image is not None
    x, y, width, height = chair.image
    assert 0 <= x < x + width <= 300
    assert 0 <= y < y + height <= 300


# -- how it is, and what can be changed


def test_the_state_has_device_streams_and_temperatures(room_source: DeviceSource) -> None:
    until(lambda: room_source.state().temperatures_c, "a report", room_source)
    state = room_source.state()
    assert (state.node, state.device, state.last_error) == ("", "streaming", "")
    assert set(state.temperatures_c) == {"css", "mss", "upa0", "upa1"}
    rows = {row.name: row for row in state.streams}
    assert {"left", "depth", "color", "metaout"} <= rows.keys()
    assert rows["left"].expected_fps == 15.0
    until(lambda: room_source.state().streams[2].fps > 5, "a rate", room_source)
    assert rows["left"].lost.keys() == {"device", "link", "loop"}
    assert rows["depth"].mb_s > 0


def test_every_option_that_a_running_device_takes_is_a_control(room_source: DeviceSource) -> None:
    controls = {row.key: row for row in room_source.controls()}
    exposure = controls["camera.left.exposure_us"]
    assert (exposure.low, exposure.high, exposure.unit, exposure.value) == (0, 1_000_000, "us", 0)
    assert exposure.group == "left camera"
    assert "auto" in controls["camera.rgb.white_balance"].choices
    assert {"depth.disparity_confidence", "filters.preset"} <= controls.keys()
    assert not {"publish.points.max_fps", "camera.rgb.fps"} & controls.keys()
    assert all(row.meaning for row in controls.values())


def test_a_control_reaches_the_device_and_a_refusal_has_its_reason(
    room_source: DeviceSource,
) -> None:
    until(lambda: room_source.state().device == "streaming", "the device", room_source)
    assert room_source.set("camera.left.exposure_us", 8000.0) == ""  # as browsers write it
    assert room_source.set("camera.rgb.white_balance", "cloudy") == ""
    values = {row.key: row.value for row in room_source.controls()}
    assert values["camera.left.exposure_us"] == 8000
    assert "between 0 and 1000000" in room_source.set("camera.left.exposure_us", 10_000_000)
    assert "at most 33333" in room_source.set("camera.left.exposure_us", 900_000)
    assert "must be" in room_source.set("camera.left.exposure_us", "dark")
    assert "cannot change" in room_source.set("camera.rgb.fps", 10.0)
    assert "device.firmware cannot" in room_source.set("device.firmware", "x")
    assert room_source.set("depth.disparity_confidence", 100) == ""
    assert "no command restores" in room_source.set("depth.disparity_confidence", -1)
    values = {row.key: row.value for row in room_source.controls()}
    assert (values["camera.left.exposure_us"], values["depth.disparity_confidence"]) == (8000, 100)
    assert room_source.act("autofocus_trigger") == "the camera focuses once"
    assert "no action" in room_source.act("explode")

    def heard(text: str) -> bool:
        return any(line.partition("device: ")[2].startswith(text) for line in room_source.log())

    for command in ("camera control 3A 5 1 8000", "camera control 3A 7 0 6", "capture command 2"):
        until(lambda: heard(command), command, room_source)  # noqa: B023, called at once


def test_filters_on_depth_change_what_the_page_shows(room_source: DeviceSource) -> None:
    room_source.want(frozenset({CLOUD, "depth/image_raw"}), {})
    try:
        until(lambda: np.nanmax(pixels(room_source, "depth/image_raw")) > 4.0, "far pixels")
        assert room_source.set("filters.threshold.max_m", 3.0) == ""
        assert room_source.set("filters.threshold.enable", True) == ""
        until(lambda: np.nanmax(pixels(room_source, "depth/image_raw")) <= 3.0, "near pixels")
        until(lambda: room_source.cloud().points[:, 2].max() <= 3.0, "near points")  # type: ignore[union-attr]
        assert room_source.set("filters.preset", "navigation") == ""  # has decimation 2
        until(lambda: pixels(room_source, "depth/image_raw").shape == (200, 320), "small depth")
        until(lambda: 0 < len(room_source.cloud().points) <= 16_000, "a small cloud")  # type: ignore[union-attr]
        assert room_source.set("filters.preset", "none") == ""
        until(lambda: pixels(room_source, "depth/image_raw").shape == (400, 640), "its own size")
        assert room_source.set("camera.rgb.awb_lock", True) == ""
        rows = room_source.state().streams
        assert sum(row.fps for row in rows) > 0
    finally:
        room_source.set("filters.threshold.enable", False)
        room_source.want(frozenset({CLOUD, BOXES}), {})


def test_one_packet_is_filtered_again_for_another_size(room_source: DeviceSource) -> None:
    room_source.want(frozenset({CLOUD}), {})
    run, shapes = room_source._run, []
    try:
        packet = until(lambda: run.newest(DEPTH), "a packet", room_source)
        for preset in ("manipulation", "navigation"):
            assert room_source.set("filters.preset", preset) == ""
            assert run.started is not None
            assert room_source._make_cloud(packet, run.started) is not None
            depth = room_source._depth(packet, run.started)
            shapes.append(depth.converted("16UC1").array.shape)
    finally:
        room_source.set("filters.preset", "none")
        room_source.want(frozenset({CLOUD, BOXES}), {})
    assert shapes == [(400, 640), (200, 320)]


def test_what_cannot_be_made_is_said_and_the_last_one_stays(room_source: DeviceSource) -> None:
    until(room_source.cloud, "a cloud", room_source)
    shown, text = room_source._made[CLOUD][2], "depth has the shape (1, 1)"

    def refuse(_packet: Any, _started: Any) -> Any:
        raise ConfigError(text)

    def is_said() -> bool:
        assert room_source._latest(CLOUD, DEPTH, refuse) is shown
        return bool(lines_with(room_source, f"points: {text}"))

    until(is_said, "the line", room_source)
