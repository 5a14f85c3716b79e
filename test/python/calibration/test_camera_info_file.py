"""camera_info files are read back as written; malformed files cause an error and no harm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from depthai_ros.calibration import camera_info_file
from depthai_ros.calibration.camera_model import CameraModel, projection
from depthai_ros.errors import ConfigError

random = np.random.default_rng(3)


def model(count: int = 5, name: str = "plumb_bob") -> CameraModel:
    """Numbers that only an exact text holds."""
    k, r, p = (random.normal(size=shape) for shape in ((3, 3), (3, 3), (3, 4)))
    return CameraModel(1280, 800, k, random.normal(size=count), name, r, p)


@pytest.mark.parametrize(("name", "count"), camera_info_file.DISTORTION_MODELS.items())
def test_file_comes_back_to_the_last_bit(name: str, count: int, tmp_path: Path) -> None:
    path, written = tmp_path / "new" / "oak_left.yaml", model(count, name)
    camera_info_file.write(path, "oak_left", "id", model())
    camera_info_file.write(path, "oak_left", "0123", written)
    found, mx_id, notes = camera_info_file.read(path)
    assert notes == ()
    assert mx_id == "0123"  # text, although it looks like a number
    assert (found.width, found.height) == (1280, 800)
    assert found.distortion_model == name
    for field in ("k", "d", "r", "p"):
        np.testing.assert_array_equal(getattr(found, field), getattr(written, field))
    assert [file.name for file in path.parent.iterdir()] == ["oak_left.yaml"]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=12, max_size=12))
def test_every_finite_number_comes_back(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[float]
) -> None:
    """Read by this driver, and by a parser of YAML 1.1, to which 2e-05 is text."""
    path = tmp_path_factory.getbasetemp() / "property.yaml"
    values = np.array(numbers)
    written = CameraModel(
        1, 1, values[:9].reshape(3, 3), values[:5], "plumb_bob", np.eye(3), values.reshape(3, 4)
    )
    camera_info_file.write(path, "oak_left", "id", written)
    found = camera_info_file.read(path).model
    document = yaml.safe_load(path.read_text())
    assert found.p.tobytes() == values.tobytes()
    assert found.d.tobytes() == values[:5].tobytes()
    assert np.array(document["projection_matrix"]["data"], float).tobytes() == values.tobytes()
    assert all(isinstance(each, float) for each in document["projection_matrix"]["data"])


def test_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "oak_left.yaml").mkdir()
    with pytest.raises(ConfigError, match="a directory"):
        camera_info_file.write(tmp_path / "oak_left.yaml", "oak_left", "", model())
    assert [file.name for file in tmp_path.iterdir()] == ["oak_left.yaml"]


#: Distortion model in a message or file, its numbers -> those that are used, and words of the note.
Z = [0.0]
FIVE, EIGHT = [0.1, -0.2, 2e-05, 0.0, 0.3], [0.1, -0.2, 0.001, 0.0, 0.3, 0.4, 0.0, 0.6]
COEFFICIENTS: list[tuple[str, list[float], str, list[float], str]] = [
    ("plumb_bob", FIVE, "plumb_bob", FIVE, ""),
    ("plumb_bob", FIVE[:4], "plumb_bob", FIVE[:4] + Z, ""),
    ("plumb_bob", [], "plumb_bob", Z * 5, ""),
    *(("plumb_bob", FIVE + Z * more, "plumb_bob", FIVE, "") for more in (3, 7, 9)),
    ("plumb_bob", EIGHT, "rational_polynomial", EIGHT, "d has 8 numbers other than 0"),
    ("plumb_bob", EIGHT[:6] + Z * 8, "rational_polynomial", EIGHT[:6] + Z * 2, "6 numbers"),
    ("plumb_bob", EIGHT + Z * 6, "rational_polynomial", EIGHT, "plumb_bob has 5"),
    ("rational_polynomial", FIVE, "rational_polynomial", FIVE + Z * 3, ""),
    ("rational_polynomial", FIVE[:4], "rational_polynomial", FIVE[:4] + Z * 4, ""),
    ("rational_polynomial", EIGHT + Z * 4, "rational_polynomial", EIGHT, ""),
    ("rational_polynomial", EIGHT + Z * 6, "rational_polynomial", EIGHT, ""),
    ("rational_polynomial", Z * 14, "rational_polynomial", Z * 8, ""),
    ("equidistant", FIVE[:4] + Z, "equidistant", FIVE[:4], ""),
    ("", FIVE, "plumb_bob", FIVE, "no distortion_model: read as plumb_bob"),
    ("", EIGHT + Z * 6, "rational_polynomial", EIGHT, "no distortion_model"),
]


@pytest.mark.parametrize(("given", "d", "name", "used", "note"), COEFFICIENTS)
def test_coefficients_of_any_length_become_those_of_a_ros_model(
    given: str, d: list[float], name: str, used: list[float], note: str
) -> None:
    found, notes = camera_info_file.settled(plausible(given, d))
    camera_info_file.check("left", found, (1280, 800), 0.075)
    assert (found.distortion_model, found.d.tolist()) == (name, used)
    assert note in "; ".join(notes)
    assert bool(notes) == bool(note)


@pytest.mark.parametrize(
    ("given", "d", "problem"),
    [
        ("plumb_bob", [*EIGHT, 0.01], "d has 9 numbers, plumb_bob has 5, and one of those behind"),
        ("rational_polynomial", Z * 13 + [0.1], "d has 14 numbers, rational_polynomial has 8"),
        ("plumb_bob", [0.1, 0.2, 0.3], "d has 3 numbers, plumb_bob has 5"),
        ("equidistant", FIVE, "d has 5 numbers, equidistant has 4"),
        ("plumb_bob", [np.nan] * 4, "d holds a number that is not finite"),
        ("plumb_bob", Z * 13 + [np.inf], "d holds a number that is not finite"),
        ("radtan", FIVE[:4], "distortion_model is 'radtan', must be one of plumb_bob, "),
    ],
)
def test_coefficients_without_a_ros_model_are_refused(
    given: str, d: list[float], problem: str
) -> None:
    found, _ = camera_info_file.settled(plausible(given, d))
    with pytest.raises(ConfigError) as caught:
        camera_info_file.check("left", found, (1280, 800), 0.075)
    assert str(caught.value).startswith(problem)


@pytest.mark.parametrize(
    ("k", "problem"),
    [
        (np.eye(3), "k is the identity"),
        (np.array([[440.0, 0, 320], [0, 440, 200], [0, 0, 1]]), "k has cx 320, the middle of"),
    ],
)
def test_camera_matrix_that_cannot_be_true_is_refused(k: np.ndarray, problem: str) -> None:
    good = plausible("plumb_bob", FIVE)
    wrong = CameraModel(1280, 800, k, good.d, good.distortion_model, good.r, good.p)
    with pytest.raises(ConfigError, match=problem):
        camera_info_file.check("left", wrong, (1280, 800), 0.075)


def plausible(name: str, d: list[float]) -> CameraModel:
    k = np.array([[880.0, 0, 640], [0, 880, 400], [0, 0, 1]])
    return CameraModel(1280, 800, k, np.array(d), name, np.eye(3), projection(k))


#: As camera_calibration of older ROS 1 releases wrote them: no distortion_model.
OLD_ROS = """\
image_width: 640
image_height: 400
camera_name: narrow_stereo/left
camera_matrix:
  rows: 3
  cols: 3
  data: [438.783367, 0.000000, 305.593336, 0.000000, 437.302876, 243.738352, 0, 0, 1]
distortion_coefficients:
  rows: 1
  cols: 5
  data: [-0.361976, 0.110510, 1e-05, -6e-07, 0.000000]
rectification_matrix:
  rows: 3
  cols: 3
  data: [0.999978, 0.002789, -0.006046, -0.002816, 0.999986, -0.0044, 0.006034, 0.0044, 0.999972]
projection_matrix:
  rows: 3
  cols: 4
  data: [393.653800, 0, 322.797939, 0, 0, 393.653800, 241.090902, 0, 0, 0, 1, 0]
"""
#: As the calibration program of OpenCV's tutorial writes them.
OPENCV = """\
%YAML:1.0
---
calibration_time: "Mon 02 Mar 2020 10:11:12 AM CET"
nr_of_frames: 22
image_width: 1280
image_height: 720
board_width: 9
square_size: 2.5000000372529030e-02
aspectRatio: 1.
flags: 6
fisheye_model: 0
camera_matrix: !!opencv-matrix
   rows: 3
   cols: 3
   dt: d
   data: [ 8.8312e+02, 0., 6.3950000000000000e+02, 0., 8.8312e+02,
       3.5950e+02, 0., 0., 1. ]
distortion_coefficients: !!opencv-matrix
   rows: 5
   cols: 1
   dt: d
   data: [ -4.1802327018241026e-01, 5.0715244063187526e-01, 0., 0.,
       -5.7843597214487474e-01 ]
avg_reprojection_error: 4.8e-01
"""


def read_text(folder: Path, text: str) -> camera_info_file.StoredModel:
    path = folder / "oak_left.yaml"
    path.write_text(text)
    return camera_info_file.read(path)


def test_file_without_distortion_model_is_read_with_a_note(tmp_path: Path) -> None:
    model, mx_id, notes = read_text(tmp_path, OLD_ROS)
    assert (model.distortion_model, mx_id) == ("plumb_bob", "")
    assert model.d.tolist() == [-0.361976, 0.11051, 1e-05, -6e-07, 0]
    assert notes == ("it has no distortion_model: read as plumb_bob",)


def test_file_of_opencv_is_read_as_a_single_camera(tmp_path: Path) -> None:
    alone = "it has no projection_matrix: read as that of a single camera"
    for text in (
        OPENCV,
        OPENCV.replace("---\n", ""),
        OPENCV.replace("image_w", "image_W").replace("camera_matrix", "Camera_Matrix"),
    ):
        model, _, notes = read_text(tmp_path, text)
        assert (model.width, model.height) == (1280, 720)
        assert model.k.tolist() == [[883.12, 0, 639.5], [0, 883.12, 359.5], [0, 0, 1]]
        assert model.d[4] == -0.57843597214487474
        assert model.r.tolist() == np.eye(3).tolist()
        assert model.p.tolist() == projection(model.k).tolist()
        assert notes == ("it has no distortion_model: read as plumb_bob", alone)
    fisheye = OPENCV.replace("model: 0", "model: 1").replace(
        ",\n       -5.7843597214487474e-01", ""
    )
    model, _, notes = read_text(tmp_path, fisheye)
    assert (model.distortion_model, model.d.size, notes) == ("equidistant", 4, (alone,))


#: Changed text of OLD_ROS -> reason, with the line.
WRONG = [
    ("image_width: 640\n", "", "image_width is missing: the size of the images it was"),
    ("height: 400", "height: 400.5", "line 2: image_height is 400.5, must be from 1 to 65536"),
    ("height: 400", "height: tall", "line 2: image_height is 'tall', must be from 1 to 65536"),
    ("camera_matrix", "camera_matrices", "camera_matrix is missing"),
    ("-6e-07", "-6e-07x", "line 11: distortion_coefficients.data has '-6e-07x', must be numbers"),
    ("-6e-07", "true", "line 11: distortion_coefficients.data has True, must be numbers"),
    ("0, 0, 1]", "0, 1]", "line 7: camera_matrix.data has 8 numbers, must have 9"),
    ("  data: [-0", "  dat: [-0", "line 8: distortion_coefficients is {'rows': 1, 'cols': 5, 'dat"),
    ("rectification_matrix", "rect", "rectification_matrix is missing"),
    ("camera_name:", "distortion_model: 5 #", "line 3: distortion_model is 5, must be text"),
    ("camera_name:", "device_mx_id: [1] #", "line 3: device_mx_id is [1], must be text"),
    ("camera_name:", "M1: 1 #", "it has M1 and is a stereo calibration of OpenCV: each camera"),
    ("camera_name:", "cam0: 1 #", "it has cam0 and is a calibration of Kalibr: each camera needs"),
    (OLD_ROS, "/**: {ros__parameters: {}}", "it has /** and is a parameter file"),
    (OLD_ROS, "- 1", "it is [1], must be a mapping with camera_matrix"),
    (OLD_ROS, "", "it is None, must be a mapping with camera_matrix"),
]


@pytest.mark.parametrize(("old", "new", "reason"), WRONG)
def test_reason_is_a_sentence_with_key_and_line(
    old: str, new: str, reason: str, tmp_path: Path
) -> None:
    assert old in OLD_ROS
    with pytest.raises(ConfigError) as caught:
        read_text(tmp_path, OLD_ROS.replace(old, new))
    start = f"{tmp_path}/oak_left.yaml: not a camera_info file: "
    assert str(caught.value).startswith(start + reason)
    assert "Error" not in str(caught.value)


def test_ini_file_is_named_as_such(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"only YAML files are read; convert it with 'ros2 run"):
        camera_info_file.read(tmp_path / "left.ini")


#: Nine levels of ten aliases: a billion words if expanded.
BOMB = "a0: &a0 x\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n" for level in range(1, 10)
)
FIELDS = "image_width: 1\nimage_height: 1\ndistortion_model: plumb_bob\n"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00\xff",
        b"[" * 5000,
        b"x" * 200_000,
        b"!!python/object/apply:os.getcwd []",
        f"{BOMB}device_mx_id: *a9\n".encode(),
        f"{BOMB}{FIELDS}camera_matrix: {{data: *a9}}\n".encode(),
        f"{FIELDS}camera_matrix: {{data: 1}}\n".encode(),
        f"{FIELDS}camera_matrix: {{data: [1, 2]}}\n".encode(),
        f"{FIELDS}camera_matrix: [1]\n".encode(),
        FIELDS.replace("1", "1.5").encode(),
    ],
    ids=range(11),
)
def test_malformed_file_is_refused_in_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "oak_left.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        camera_info_file.read(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 1000
