"""Replayed images: pairs of the synthetic scene, and recorded ones if they are installed."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scene_views import view

from depthai_ros.errors import ConfigError
from depthai_ros.virtual.scenes.eeprom import eeprom_document
from depthai_ros.virtual.scenes.replay import ImageReplay, VideoReplay
from depthai_ros.virtual.scenes.source import SCENES, make_source

BLANK = eeprom_document(-1)
STREAMS = ["left", "right", "rectified_left", "rectified_right", "disparity", "color", "previewout"]
SAMPLES = Path("/usr/share/doc/opencv-doc/examples/data")
needs_samples = pytest.mark.skipif(
    not SAMPLES.is_dir(), reason=f"the images of Debian's opencv-doc are not in {SAMPLES}"
)
needs_hog = pytest.mark.skipif(
    not hasattr(cv2, "HOGDescriptor"), reason=f"OpenCV {cv2.__version__} has no HOG detector"
)


def images(path: Path | str, **changes: Any) -> ImageReplay:
    source = make_source(f"images={path}", BLANK)
    assert isinstance(source, ImageReplay)
    source.configure(view(**changes))
    return source


def textured(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return (
        np.asarray(cv2.GaussianBlur(noise, (0, 0), 1.5) * 2.0 - 127, np.float32)
        .clip(0, 255)
        .astype(np.uint8)
    )


@pytest.fixture(scope="module")
def scene_pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, NDArray[np.uint8]]:
    """Folder with a rectified pair of the synthetic scene, and the true disparity."""
    scene = make_source("synthetic", eeprom_document(5))
    scene.configure(view(mirror_rectified=False))
    folder = tmp_path_factory.mktemp("pair")
    for side in ("left", "right"):
        cv2.imwrite(str(folder / f"{side}01.png"), scene.paint(f"rectified_{side}", 2.0, 0))
    scene.configure(view())
    return folder, scene.paint("disparity", 2.0, 0).copy()


def test_disparity_of_a_pair_agrees_with_the_true_one(
    scene_pair: tuple[Path, NDArray[np.uint8]],
) -> None:
    folder, truth = scene_pair
    disparity = images(folder).paint("disparity", 0.0, 0)
    found = disparity > 0
    assert found.mean() > 0.85
    assert (np.abs(disparity.astype(int) - truth)[found] <= 1).mean() > 0.97
    assert (np.abs(disparity.astype(int)[:, ::-1] - truth)[found] <= 1).mean() < 0.7


def test_mirror_setting_flips_rectified_images_or_disparity_of_a_replay(
    scene_pair: tuple[Path, NDArray[np.uint8]],
) -> None:
    mirrored, upright = images(scene_pair[0]), images(scene_pair[0], mirror_rectified=False)
    for stream in ("rectified_left", "rectified_right", "disparity"):
        np.testing.assert_array_equal(
            mirrored.paint(stream, 0.0, 0), upright.paint(stream, 0.0, 0)[:, ::-1]
        )
    for side in ("left", "right"):
        np.testing.assert_array_equal(
            upright.paint(side, 0.0, 0), upright.paint(f"rectified_{side}", 0.0, 0)
        )
        recorded = cv2.imread(str(scene_pair[0] / f"{side}01.png"), cv2.IMREAD_GRAYSCALE)
        assert np.abs(upright.paint(side, 0.0, 0).astype(int) - recorded).max() <= 2


def test_raw_images_match_the_calibration_of_the_eeprom(
    scene_pair: tuple[Path, NDArray[np.uint8]],
) -> None:
    document = eeprom_document(5)
    source = make_source(f"images={scene_pair[0]}", document)
    source.configure(view(mirror_rectified=False))
    m2, r2 = (np.array(document[key]).reshape(3, 3) for key in ("calib_M2_R", "calib_R2_R"))
    m2[1, 2] -= 40
    raw, rectified = (source.paint(name, 0.0, 0) for name in ("right", "rectified_right"))
    again = cv2.warpPerspective(raw, m2 @ r2 @ np.linalg.inv(m2), (1280, 720))
    inner = np.s_[60:-60, 60:-60]
    assert np.corrcoef(again[inner].ravel(), rectified[inner].ravel())[0, 1] > 0.95
    assert np.corrcoef(raw[inner].ravel(), rectified[inner].ravel())[0, 1] < 0.9


def test_pair_is_scaled_down_until_its_disparities_fit(tmp_path: Path) -> None:
    wide = textured(720, 1480)
    cv2.imwrite(str(tmp_path / "im0.png"), wide[:, :1280])
    cv2.imwrite(str(tmp_path / "im1.png"), wide[:, 200:])  # 200 px of disparity everywhere
    source = images(tmp_path)
    scale = source.placement("mono").scale
    assert scale == pytest.approx(95 / 200, rel=0.05)
    disparity = source.paint("disparity", 0.0, 0)
    found = disparity[disparity > 0]
    assert found.size > 0.4 * 1280 * 720 * scale**2
    np.testing.assert_allclose(np.median(found), 200 * scale, atol=1.0)
    outside = disparity.copy()
    x, y = source.placement("mono").offset((1280, 720))
    outside[y : 720 - y, x : 1280 - x] = 0
    assert not outside.any()


@pytest.mark.parametrize(
    ("files", "shots"),
    [
        (["aL.png", "aR.png", "aGT.png"], [("aL", "aR")]),
        (["left02.jpg", "right02.jpg", "left01.jpg", "right01.jpg", "left03.jpg"],
         [("left01", "right01"), ("left02", "right02")]),
        (["im0.png", "im1.png"], [("im0", "im1")]),
        (["xL.png.gz", "xR.png.gz"], [("xL", "xR")]),
        (["b.png", "a.jpg", "note.txt"], [("a", "a"), ("b", "b")]),
    ],
)  # fmt: skip
def test_pairs_are_recognised_by_their_names(
    tmp_path: Path, files: list[str], shots: list[tuple[str, str]]
) -> None:
    brightness = {}
    for index, name in enumerate(files):
        stem = name.split(".")[0]
        brightness[stem] = 40 + 30 * index
        ending = "." + name.split(".")[1] if not name.endswith("txt") else ".png"
        data = cv2.imencode(ending, np.full((72, 128, 3), brightness[stem], np.uint8))[1].tobytes()
        (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    source = images(tmp_path)
    for second, (left, right) in enumerate(shots * 2):  # one second each, repeated
        for time_s in (second, second + 0.999 - 0.01):
            assert source.paint("left", time_s, 0)[360, 640] == pytest.approx(
                brightness[left], abs=2
            )
            assert source.paint("right", time_s, 0)[360, 640] == pytest.approx(
                brightness[right], abs=2
            )


def test_path_may_be_a_glob_pattern(tmp_path: Path) -> None:
    for name, grey in (("one", 50), ("two", 100), ("twos", 150)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((72, 128), grey, np.uint8))
    source = images(tmp_path / "two*")
    assert [source.paint("left", float(t), 0)[360, 640] for t in range(3)] == [100, 150, 100]


@pytest.mark.parametrize("mono", [(1280, 720), (1280, 800), (640, 400)])
def test_single_image_is_letterboxed_on_every_camera(tmp_path: Path, mono: tuple[int, int]) -> None:
    image = np.zeros((300, 400, 3), np.uint8)
    image[:] = (30, 200, 120)
    image[:, :200] = (200, 60, 60)
    cv2.imwrite(str(tmp_path / "p.png"), image)
    source = images(tmp_path, mono_size=mono)
    for stream in STREAMS:
        assert source.paint(stream, 0.0, 0).dtype == np.uint8
    left = source.paint("left", 0.0, 0)
    assert left.shape == mono[::-1]
    margin = (mono[0] - mono[1] * 4 // 3) // 2
    columns = np.flatnonzero(left[mono[1] // 2] > 20)
    assert [columns[0], columns[-1]] == pytest.approx([margin, mono[0] - 1 - margin], abs=1)
    assert (left[[0, -1], mono[0] // 2 + 9] > 20).all(), "it fills the height"
    assert not source.paint("disparity", 0.0, 0).any()
    bgr, i420 = source.paint("color_bgr", 0.0, 0), source.paint("color", 0.0, 0)
    assert (bgr.shape, i420.shape) == ((1080, 1920, 3), (1620, 1920))
    np.testing.assert_array_equal(bgr[540, 1000], (30, 200, 120))
    back = cv2.cvtColor(i420, cv2.COLOR_YUV2BGR_I420)
    assert np.abs(back[540, 1000].astype(int) - (30, 200, 120)).max() <= 3
    preview = source.paint("previewout", 0.0, 0)
    np.testing.assert_array_equal(preview[:, 150, 200], (30, 200, 120))
    np.testing.assert_array_equal(preview[:, 150, 100], (200, 60, 60))


BROKEN = [
    ({}, "no images found"),
    ({"note.txt": b"x"}, "no images found"),
    ({"a.png": b"not an image"}, "cannot read .*a.png as an image"),
]


@pytest.mark.parametrize(("files", "message"), BROKEN)
def test_folder_without_images_is_refused(
    tmp_path: Path, files: dict[str, bytes], message: str
) -> None:
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    with pytest.raises(ConfigError, match=message):
        images(tmp_path)


def test_missing_folder_and_unequal_pair_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no images found"):
        images(tmp_path / "nowhere")
    cv2.imwrite(str(tmp_path / "aL.png"), textured(60, 80))
    cv2.imwrite(str(tmp_path / "aR.png"), textured(60, 81))
    with pytest.raises(ConfigError, match="images differ in size"):
        images(tmp_path)


@pytest.fixture
def short_video(tmp_path: Path) -> Path:
    """12 frames at 10 Hz, frame n of brightness 20 n + 10."""
    path = tmp_path / "v.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (320, 180))
    assert writer.isOpened()
    for number in range(12):
        writer.write(np.full((180, 320, 3), 20 * number + 10, np.uint8))
    writer.release()
    return path


def test_video_runs_at_its_own_rate_in_a_loop(short_video: Path) -> None:
    source = make_source(f"video={short_video}", BLANK)
    source.configure(view())
    for time_s, number in ((0.0, 0), (1 / 30, 0), (2 / 30, 0), (3 / 30, 1), (0.55, 5), (1.1, 11),
                           (1.2, 0), (0.3, 3), (0.2, 2), (12.05, 0), (12.15, 1)):  # fmt: skip
        for stream in ("left", "rectified_right"):
            grey = source.paint(stream, time_s, 0)[360, 640]
            assert grey == pytest.approx(20 * number + 10, abs=3), time_s
        assert not source.paint("disparity", time_s, 0).any()
        assert source.paint("previewout", time_s, 0)[1, 150, 150] == pytest.approx(
            20 * number + 10, abs=3
        )


def test_unreadable_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "v.avi").write_bytes(b"no video")
    for path in (tmp_path / "v.avi", tmp_path / "nothing.avi"):
        with pytest.raises(ConfigError, match=r"cannot read .*\.avi as a video"):
            make_source(f"video={path}", BLANK)


def test_recorded_images_have_a_blank_eeprom_by_default() -> None:
    layouts = {name: scene.eeprom for name, scene in SCENES.items()}
    assert layouts == {"synthetic": 5, "pattern": 5, "images": -1, "video": -1, "plane": 5}


@needs_samples
@pytest.mark.parametrize(
    ("mono", "density"), [((1280, 720), 0.8), ((1280, 800), 0.8), ((640, 400), 0.8)]
)
def test_disparity_of_a_real_pair_agrees_with_its_ground_truth(
    mono: tuple[int, int], density: float
) -> None:
    """aloeGT.png: disparity of the left image, px of its full size, 0 = unknown."""
    source = images(SAMPLES / "aloe*", mono_size=mono)
    truth = cv2.imread(str(SAMPLES / "aloeGT.png"), cv2.IMREAD_GRAYSCALE)
    assert truth is not None
    disparity, placement = source.paint("disparity", 0.0, 0), source.placement("mono")
    x, y = placement.offset((truth.shape[1], truth.shape[0]))
    rows, columns = np.nonzero(disparity)
    found = disparity[rows, columns].astype(float)
    # Our disparity is that of the right image: the match is `found` px further right in the left.
    left = (columns - x + found + 0.5) / placement.scale - 0.5
    above = (rows - y + 0.5) / placement.scale - 0.5
    known = (left < truth.shape[1] - 1) & (above < truth.shape[0] - 1)
    expected = truth[np.rint(above[known]).astype(int), np.rint(left[known]).astype(int)]
    errors = np.abs(found[known] - expected * placement.scale)[expected > 0]
    assert (errors <= 2).mean() > 0.965
    assert (errors <= 1).mean() > 0.94
    assert found.size > density * truth.size * placement.scale**2
    assert (truth * placement.scale > 95).mean() < 0.01


@needs_samples
@needs_hog
@pytest.mark.parametrize(
    "changes", [{"keep_aspect_ratio": False}, {}, {"nn_camera": "rectified_left"}]
)
def test_people_of_a_real_video_are_detected_in_their_own_frame(changes: dict[str, Any]) -> None:
    source = make_source(f"video={SAMPLES / 'vtest.avi'}", BLANK)
    assert isinstance(source, VideoReplay)
    source.configure(view(**changes))
    # Standing person in frame 395: middle of the body in pixels of the video.
    time_s, (body_x, body_y) = 39.5, (277, 237)
    first = source.objects(time_s, 0)
    source.objects(42.0, 0)
    assert source.objects(time_s, 0) == first
    camera = changes.get("nn_camera", "rgb")
    placement = source.placement(camera)
    offset = placement.offset((768, 576))
    x = (offset[0] + body_x * placement.scale) / placement.size[0]
    y = (offset[1] + body_y * placement.scale) / placement.size[1]
    if changes.get("keep_aspect_ratio", True):
        aspect = placement.size[0] / placement.size[1]
        x = (x - 0.5) * aspect + 0.5
    if camera.startswith("rectified"):
        x = 1 - x
    hits = [p for p in first if p.box[0] < x < p.box[2] and p.box[1] < y < p.box[3]]
    assert len(hits) == 1
    assert hits[0].label == 15
    assert hits[0].confidence > 0.5
    assert np.isnan(hits[0].position_m).all()
