"""The synthetic scene against a ray caster, its own calibration and OpenCV's stereo matching."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scene_views import view

from depthai_ros.errors import ConfigError
from depthai_ros.virtual.scenes.eeprom import eeprom_document
from depthai_ros.virtual.scenes.room import (
    BACK_Z_M,
    BOARDS,
    CEILING_Y_M,
    FLOOR_Y_M,
    THINGS,
    WALL_X_M,
)
from depthai_ros.virtual.scenes.scene import SyntheticScene
from depthai_ros.virtual.scenes.source import make_source

MONO_SIZES = [(1280, 720), (1280, 800), (640, 400)]
RGB_SIZES = [(1920, 1080), (3840, 2160), (4056, 3040)]
STREAMS = ["left", "right", "rectified_left", "rectified_right", "disparity", "color", "previewout"]
BASELINE_M, FOV_DEG, RGB_FOV_DEG = 0.075, 71.86, 68.7938
BOTTLE = 5
CHAIR = 9


@pytest.fixture(scope="module")
def room() -> SyntheticScene:
    scene = make_source("synthetic", eeprom_document(5))
    assert isinstance(scene, SyntheticScene)
    return scene


def shown(scene: SyntheticScene, **changes: Any) -> SyntheticScene:
    scene.configure(view(**changes))
    return scene


def intrinsics(key: str, size: tuple[int, int], *, center_crop: bool = True) -> Any:
    """Intrinsics at other resolutions by the host's rule, independent of the code under test."""
    matrix = np.array(eeprom_document(5)[key]).reshape(3, 3)
    if size[1] == 400:
        matrix[:2] /= 2
    if size[1] == 720 and center_crop:
        matrix[1, 2] -= 40
    return matrix


def rgb_intrinsics(size: tuple[int, int]) -> Any:
    focal = size[0] / 2 / math.tan(math.radians(RGB_FOV_DEG / 2))
    return np.array([[focal, 0, (size[0] - 1) / 2], [0, focal, (size[1] - 1) / 2], [0, 0, 1]])


def cast_rays(
    matrix: Any, size: tuple[int, int], camera_x_m: float, time_s: float
) -> tuple[NDArray[np.float64], NDArray[np.int_]]:
    """Depth and index of the thing (-1 = room) for every pixel of a camera at (x, 0, 0)."""
    u, v = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    return cast(matrix, u, v, camera_x_m, time_s)


def cast(
    matrix: Any, u: NDArray[Any], v: NDArray[Any], camera_x_m: float, time_s: float
) -> tuple[NDArray[np.float64], NDArray[np.int_]]:
    """The same for given pixels."""
    x, y = (u - matrix[0, 2]) / matrix[0, 0], (v - matrix[1, 2]) / matrix[1, 1]
    with np.errstate(divide="ignore"):
        depth = np.minimum(BACK_Z_M, np.where(y > 0, FLOOR_Y_M / y, CEILING_Y_M / y))
        walls = (np.where(x > 0, WALL_X_M, -WALL_X_M) - camera_x_m) / x
        depth = np.minimum(depth, walls)
    for board in BOARDS:
        origin, right, down = board.edges()
        normal = np.cross(right, down)
        z = normal @ (origin - [camera_x_m, 0, 0]) / (normal[0] * x + normal[1] * y + normal[2])
        across = (x * z + camera_x_m - origin[0]) / right[0]
        below = (y * z - origin[1]) / down[1]
        hit = (across >= 0) & (across <= 1) & (below >= 0) & (below <= 1) & (z < depth)
        depth = np.where(hit, z, depth)
    thing_of = np.full(depth.shape, -1)
    for number, thing in enumerate(THINGS):
        width, height, length = thing.size_m
        mx, my, mz = thing.front_at(time_s)
        with np.errstate(divide="ignore"):
            xs = np.stack([mx - width / 2 - camera_x_m, mx + width / 2 - camera_x_m] / x[..., None])
            ys = np.stack([my - height, my] / y[..., None])
        near = np.maximum(np.maximum(xs.min(-1), ys.min(-1)), mz)
        far = np.minimum(np.minimum(xs.max(-1), ys.max(-1)), mz + length)
        hit = (near <= far) & (near < depth)
        depth, thing_of = np.where(hit, near, depth), np.where(hit, number, thing_of)
    return depth, thing_of


def edges(image: NDArray[Any]) -> NDArray[np.bool_]:
    """Pixels beside one of another value."""
    values = image.astype(np.float32)
    kernel = np.ones((3, 3), np.uint8)
    return np.asarray(cv2.dilate(values, kernel) != cv2.erode(values, kernel))


@pytest.mark.parametrize(
    ("size", "time_s"),
    [((1280, 720), 6.3), ((1280, 800), 2.0), *(((640, 400), t) for t in (0.0, 6.3, 11.1, 17.7))],
)
def test_disparity_is_focal_length_times_baseline_over_depth(
    room: SyntheticScene, size: tuple[int, int], time_s: float
) -> None:
    disparity = shown(room, mono_size=size).paint("disparity", time_s, 0)
    matrix = intrinsics("calib_M2_R", size)
    depth, thing_of = cast_rays(matrix, size, 0.0, time_s)
    expected = np.clip(matrix[0, 0] * BASELINE_M / depth, 0, 95)
    wrong = np.abs(disparity - expected) > 0.5 + 1e-6
    assert not np.any(wrong & ~edges(thing_of) & ~edges(depth > 5)), "away from silhouettes: exact"
    assert wrong.mean() < 0.002
    assert len(np.unique(thing_of)) >= 6


@pytest.mark.parametrize(
    ("size", "focal_px"), [((1280, 720), 883.15), ((1280, 800), 883.15), ((640, 400), 441.58)]
)
def test_bottle_has_the_disparity_of_its_distance(
    room: SyntheticScene, size: tuple[int, int], focal_px: float
) -> None:
    disparity = shown(room, mono_size=size, nn_camera="right").paint("disparity", 3.0, 0)
    bottle = next(thing for thing in room.objects(3.0, 0) if thing.label == BOTTLE)
    x, y, z = bottle.position_m
    column, row = room.camera("rectified_right").project(np.array([[x, y, z]]))[0]
    assert disparity[round(row), round(column)] == round(focal_px * 0.075 / z)


def projected(key: str, rotation: str, x_m: float, points: Any, size: tuple[int, int]) -> Any:
    """Raw pixels of world points by the matrices of the EEPROM alone."""
    r = np.array(eeprom_document(5)[rotation]).reshape(3, 3)
    rays = (points - [x_m, 0, 0]) @ r @ intrinsics(key, size).T  # r turns raw axes to rectified
    return rays[:, :2] / rays[:, 2:]


@pytest.mark.parametrize("size", MONO_SIZES)
@pytest.mark.parametrize(
    ("stream", "key", "rotation", "x_m"),
    [
        ("left", "calib_M1_L", "calib_R1_L", -BASELINE_M),
        ("right", "calib_M2_R", "calib_R2_R", 0.0),
    ],
)
def test_chessboard_corners_agree_with_the_calibration(
    room: SyntheticScene, size: tuple[int, int], stream: str, key: str, rotation: str, x_m: float
) -> None:
    expected = projected(key, rotation, x_m, room.landmarks(), size)
    # At 640x400 a square is seven pixels wide, which limits the corner detection.
    reach, limit_px = (4, 0.1) if size[0] == 1280 else (3, 0.15)
    for time_s in (0.0, 9.1):
        image = shown(room, mono_size=size).paint(stream, time_s, 0)
        guess = (expected + np.array([0.8, -0.7])).astype(np.float32)
        stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 50, 1e-4)
        found = cv2.cornerSubPix(image, guess, (reach, reach), (-1, -1), stop)
        errors = np.linalg.norm(found.reshape(-1, 2) - expected, axis=1)
        assert errors.max() < limit_px
        assert errors.mean() < limit_px / 2


def test_landmarks_are_never_hidden(room: SyntheticScene) -> None:
    matrix = intrinsics("calib_M2_R", (1280, 800))
    for time_s in np.arange(0, 300, 2.3):
        for x_m in (-BASELINE_M, 0.0):
            rays = (room.landmarks() - [x_m, 0, 0]) @ matrix.T
            u, v = (rays[:, :2] / rays[:, 2:]).T
            assert u.min() > 15
            assert u.max() < 1264
            assert v.min() > 15
            assert v.max() < 720
            for shift in (-12, 12):  # their neighbourhood is not hidden either
                _, thing_of = cast(matrix, u + shift, v, x_m, float(time_s))
                assert (thing_of == -1).all(), time_s


@pytest.mark.parametrize("size", [(1280, 720), (640, 400)])
def test_homographies_of_the_eeprom_rectify_the_raw_images(
    room: SyntheticScene, size: tuple[int, int]
) -> None:
    shown(room, mono_size=size, mirror_rectified=False)
    m1, m2 = intrinsics("calib_M1_L", size), intrinsics("calib_M2_R", size)
    for stream, m, key in (("left", m1, "calib_R1_L"), ("right", m2, "calib_R2_R")):
        rotation = np.array(eeprom_document(5)[key]).reshape(3, 3)
        raw = room.paint(stream, 4.0, 0)
        rectified = cv2.warpPerspective(raw, m2 @ rotation @ np.linalg.inv(m), size)
        inner = np.s_[40:-40, 40:-40]
        expected = room.paint(f"rectified_{stream}", 4.0, 0)[inner].astype(float)
        assert np.corrcoef(rectified[inner].ravel(), expected.ravel())[0, 1] > 0.97
        shifted = np.roll(rectified, 1, axis=1)[inner]
        assert np.corrcoef(shifted.ravel(), expected.ravel())[0, 1] < 0.95


@pytest.mark.parametrize("time_s", [0.0, 3.3, 8.0])
def test_stereo_matching_of_the_images_agrees_with_the_disparity(
    room: SyntheticScene, time_s: float
) -> None:
    shown(room, mirror_rectified=True)
    left, right, disparity = (
        room.paint(stream, time_s, 0)
        for stream in ("rectified_left", "rectified_right", "disparity")
    )
    # The images are mirrored: the right one is the matcher's left one.
    matcher = cv2.StereoSGBM.create(0, 96, 5, 200, 800, 1, 0, 10, 100, 2)
    matched = matcher.compute(right, left)[:, ::-1] / 16.0
    reliable = matched > 0
    assert reliable.mean() > 0.75
    agreeing = np.abs(matched - disparity)[reliable] <= 1.0
    assert agreeing.mean() > 0.95


def test_mirror_setting_flips_rectified_images_or_disparity(room: SyntheticScene) -> None:
    images = {}
    for mirror in (True, False):
        shown(room, mirror_rectified=mirror)
        for stream in ("left", "rectified_left", "rectified_right", "disparity"):
            images[stream, mirror] = room.paint(stream, 1.0, 0).copy()
    np.testing.assert_array_equal(images["left", True], images["left", False])
    for stream in ("rectified_left", "rectified_right", "disparity"):
        np.testing.assert_array_equal(images[stream, True], images[stream, False][:, ::-1])
    upright = images["rectified_left", False]
    assert np.corrcoef(upright.ravel(), images["left", True].ravel())[0, 1] > 0.05
    # The bottle is right of the middle: upright disparity is larger there.
    disparity = images["disparity", True][300:600]
    assert disparity[:, 640:].mean() > disparity[:, :640].mean()


def test_same_time_gives_same_pixels(room: SyntheticScene) -> None:
    shown(room)
    first = {stream: room.paint(stream, 1.25, 30).copy() for stream in STREAMS}
    for stream in STREAMS:
        assert not np.array_equal(room.paint(stream, 1.9, 31), first[stream]), stream
    for stream in reversed(STREAMS):
        np.testing.assert_array_equal(room.paint(stream, 1.25, 30), first[stream])
    other = make_source("synthetic", eeprom_document(5))
    other.configure(view())
    for stream in STREAMS:
        np.testing.assert_array_equal(other.paint(stream, 1.25, 30), first[stream])


@pytest.mark.parametrize("mono", MONO_SIZES)
def test_mono_images_have_the_configured_size(room: SyntheticScene, mono: tuple[int, int]) -> None:
    shown(room, mono_size=mono)
    for stream in ("left", "right", "rectified_left", "rectified_right", "disparity"):
        image = room.paint(stream, 0.0, 0)
        assert image.shape == mono[::-1]
        assert image.dtype == np.uint8
        assert image.flags.c_contiguous
    assert room.paint("disparity", 0.0, 0).max() <= 95


@pytest.mark.parametrize("rgb", RGB_SIZES)
def test_color_has_the_configured_size_and_scale(
    room: SyntheticScene, rgb: tuple[int, int]
) -> None:
    shown(room, rgb_size=rgb)
    color = room.paint("color", 0.0, 0)
    assert color.shape == (rgb[1] * 3 // 2, rgb[0])
    assert color.flags.c_contiguous
    bgr = room.paint("color_bgr", 0.0, 0)
    assert bgr.shape == (rgb[1], rgb[0], 3)
    # The red cap of the bottle is at its projection by a pinhole half-way between the cameras.
    bottle = next(thing for thing in THINGS if thing.label == BOTTLE)
    x, y, z = bottle.front_at(0.0)
    cap = np.array([x + BASELINE_M / 2, y - bottle.size_m[1] * 0.955, z])
    column, row, _ = (rgb_intrinsics(rgb) @ cap / z).round().astype(int)
    blue, green, red = bgr[row - 3 : row + 4, column - 3 : column + 4].reshape(-1, 3).mean(axis=0)
    assert red > 120
    assert red > 2 * max(blue, green)


@pytest.mark.parametrize("center_crop", [True, False])
def test_720_lines_are_a_crop_of_800(room: SyntheticScene, center_crop: bool) -> None:
    whole = shown(room, mono_size=(1280, 800)).paint("disparity", 0.0, 0).copy()
    cut = shown(room, mono_size=(1280, 720), center_crop=center_crop).paint("disparity", 0.0, 0)
    first = 40 if center_crop else 0
    np.testing.assert_array_equal(cut, whole[first : first + 720])


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize(
    ("camera", "size"),
    [
        ("rgb", (300, 300)),
        ("rgb", (416, 234)),
        ("rgb", (200, 400)),
        ("right", (300, 300)),
        ("rectified_left", (416, 234)),
        ("left", (300, 300)),
    ],
)
def test_preview_is_the_camera_image_cropped_or_distorted(
    room: SyntheticScene, camera: str, size: tuple[int, int], keep: bool
) -> None:
    shown(room, nn_camera=camera, preview_size=size, keep_aspect_ratio=keep)
    preview = room.paint("previewout", 3.0, 0)
    assert preview.shape == (3, size[1], size[0])
    stream = "color_bgr" if camera == "rgb" else camera
    image = room.paint(stream, 3.0, 0)
    height, width = image.shape[:2]
    if keep:
        cut = min(width, height * size[0] / size[1]), min(height, width * size[1] / size[0])
        x, y = round((width - cut[0]) / 2), round((height - cut[1]) / 2)
        image = image[y : height - y, x : width - x]
    expected = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    planes = expected.transpose(2, 0, 1) if expected.ndim == 3 else np.stack([expected] * 3)
    blurred = [cv2.blur(a.astype(np.float32), (3, 3)) for p in (preview, planes) for a in p]
    for plane in range(3):
        assert np.corrcoef(blurred[plane].ravel(), blurred[plane + 3].ravel())[0, 1] > 0.97


OBJECT_VIEWS = [
    {},
    {"keep_aspect_ratio": False, "preview_size": (416, 234)},
    {"nn_camera": "rectified_right", "mirror_rectified": False},
    {"nn_camera": "rectified_right", "mirror_rectified": True, "keep_aspect_ratio": False},
]


@pytest.mark.parametrize("changes", OBJECT_VIEWS)
@pytest.mark.parametrize("time_s", [0.0, 4.4, 12.8, 25.0])
def test_boxes_enclose_the_pixels_of_their_things(
    room: SyntheticScene, changes: dict[str, Any], time_s: float
) -> None:
    objects = shown(room, **changes).objects(time_s, 0)
    camera = room.camera("preview")
    mirrored = changes.get("mirror_rectified", False)
    matrix = camera.projection[:, :3].copy()
    x_m = -0.0375 if "nn_camera" not in changes else 0.0
    if mirrored:
        matrix[0] = (camera.size[0] - 1) * matrix[2] - matrix[0]
    _, thing_of = cast_rays(matrix, camera.size, x_m, time_s)
    thing_of = thing_of[:, ::-1] if mirrored else thing_of
    by_position = {tuple(np.round(thing.position_m, 9)): thing for thing in objects}
    reported = 0
    for number, thing in enumerate(THINGS):
        front = thing.front_at(time_s) - [0, thing.size_m[1] / 2, 0]
        found = by_position.get(tuple(np.round(front, 9)))
        rows, columns = np.nonzero(thing_of == number)
        if found is None:
            continue
        reported += 1
        assert found.label == thing.label
        x0, y0, x1, y1 = np.array(found.box) * [*camera.size, *camera.size]
        assert x0 - 1 <= columns.min() + 0.5
        assert columns.max() + 0.5 <= x1 + 1
        assert y0 - 1 <= rows.min() + 0.5
        assert rows.max() + 0.5 <= y1 + 1
        if found.confidence > 0.979:  # fully visible: the box is tight
            pixels = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            np.testing.assert_allclose([x0, y0, x1, y1], pixels, atol=1.01)
        column, row = camera.project(front[None])[0] + 0.5
        inside = 0 <= column <= camera.size[0] and 0 <= row <= camera.size[1]
        assert not inside or (x0 <= column <= x1 and y0 <= row <= y1)
    assert reported == len(objects) >= 2


def test_a_person_leaves_the_image_and_the_bottle_is_always_in_it(room: SyntheticScene) -> None:
    shown(room)
    people = set()
    for time_s in np.arange(0, 120, 0.5):
        objects = room.objects(float(time_s), 0)
        people.add(sum(thing.label == 15 for thing in objects))
        (bottle,) = (thing for thing in objects if thing.label == BOTTLE)
        assert 0.05 < bottle.box[0] < bottle.box[2] < 0.95
        assert 0.05 < bottle.box[1] < bottle.box[3] < 0.95
        assert all(0 <= edge <= 1 for thing in objects for edge in thing.box)
        assert all(0.5 < thing.confidence < 1 for thing in objects)
    assert people >= {1, 2}, "one person leaves the image and comes back"


def position_of(room: SyntheticScene, label: int, **changes: Any) -> tuple[float, float, float]:
    objects = shown(room, **changes).objects(3.0, 0)
    return next(thing.position_m for thing in objects if thing.label == label)


def test_distance_beyond_the_limit_is_not_measured(room: SyntheticScene) -> None:
    whole = position_of(room, CHAIR)
    assert position_of(room, CHAIR, depth_limit_m=whole[2] + 0.01) == whole
    assert position_of(room, CHAIR, depth_limit_m=whole[2] - 0.01) == (0, 0, 0)
    assert position_of(room, BOTTLE, depth_limit_m=whole[2] - 0.01) == position_of(room, BOTTLE)


def test_padding_factor_is_the_part_of_the_box_that_is_measured(room: SyntheticScene) -> None:
    middle, half, all_of_it = (
        position_of(room, CHAIR, padding_factor=factor) for factor in (0.0, 0.5, 1.0)
    )
    assert middle == half, "the front of the chair fills the middle of its box"
    assert all_of_it[2] > half[2] + 0.001, "its box also has the side and the wall"
    np.testing.assert_allclose(np.divide(all_of_it, half), all_of_it[2] / half[2])


def test_mostly_hidden_things_are_not_reported(room: SyntheticScene) -> None:
    shown(room, keep_aspect_ratio=False)
    matrix, size = rgb_intrinsics((192, 108)), (192, 108)
    checked = 0
    for time_s in np.arange(0, 40, 1.0):
        _, thing_of = cast_rays(matrix, size, -0.0375, float(time_s))
        reported = {thing.position_m[2] for thing in room.objects(float(time_s), 0)}
        for number, thing in enumerate(THINGS):
            z = thing.front_at(float(time_s))[2]
            whole = thing.size_m[0] * thing.size_m[1] * (matrix[0, 0] / z) ** 2
            share = np.count_nonzero(thing_of == number) / whole
            if share < 0.3:
                assert float(z) not in reported, (thing.figure, time_s)
                checked += 1
            if share > 0.9:
                assert float(z) in reported, (thing.figure, time_s)
    assert checked > 10


def test_boxes_never_intersect() -> None:
    for time_s in np.arange(0, 300, 0.83):
        spans = []
        for thing in THINGS:
            x, y, z = thing.front_at(float(time_s))
            width, height, depth = thing.size_m
            spans.append(((x - width / 2, x + width / 2), (y - height, y), (z, z + depth)))
        for i, one in enumerate(spans):
            for other in spans[i + 1 :]:
                assert any(
                    a[1] <= b[0] + 1e-9 or b[1] <= a[0] + 1e-9
                    for a, b in zip(one, other, strict=True)
                ), time_s


def test_images_use_the_calibration_of_the_eeprom() -> None:
    document = eeprom_document(5)
    document["left_to_right_distance_m"] = 0.15
    wide, usual = make_source("synthetic", document), make_source("synthetic", eeprom_document(4))
    for source in (wide, usual):
        source.configure(view())
    ratio = wide.paint("disparity", 0.0, 0) / usual.paint("disparity", 0.0, 0).astype(float)
    assert np.median(ratio) == pytest.approx(2.0, abs=0.1)
    assert usual.paint("disparity", 0.0, 0).max() == 63, "the table's front"
    assert wide.paint("disparity", 0.0, 0).max() == 95, "not 126: limit of the search"


def test_unknown_stream_and_missing_view_are_refused(room: SyntheticScene) -> None:
    with pytest.raises(ConfigError, match="no scene paints stream 'metaout'"):
        shown(room).paint("metaout", 0.0, 0)
    with pytest.raises(ConfigError, match=r"configure\(\) must come before"):
        make_source("synthetic", eeprom_document(5)).paint("left", 0.0, 0)


@pytest.mark.parametrize(
    "text", ["", "Synthetic", "synthetic=x", "images", "images=", "webcam=0", "plane"]
)
def test_unknown_scene_is_refused_with_the_allowed_ones(text: str) -> None:
    with pytest.raises(
        ConfigError, match="synthetic, pattern, images=DIR, video=FILE, plane=METRES"
    ):
        make_source(text, eeprom_document(5))
