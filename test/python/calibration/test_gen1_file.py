"""Calibration files, and the choice between file and EEPROM."""

from __future__ import annotations

import numpy as np
import pytest

from depthai_ros import config
from depthai_ros.calibration import calibration, gen1_file
from depthai_ros.cameras import CALIBRATION_FIELDS
from depthai_ros.errors import ConfigError
from depthai_ros.virtual.scenes import eeprom

RGB_INTRINSICS = np.array([[1500.0, 0, 950], [0, 1510, 545], [0, 0, 1]])


def contents(**changes: np.ndarray) -> list[float]:
    """The 111 numbers of the virtual board, some fields changed."""
    fields = {name: np.zeros(shape) for name, shape in CALIBRATION_FIELDS.items()}
    fields.update(
        R1=eeprom.R1_LEFT,
        R2=eeprom.R2_RIGHT,
        M1=eeprom.M1_LEFT,
        M2=eeprom.M2_RIGHT,
        R=eeprom.ROTATION,
        T=eeprom.TRANSLATION_CM,
    )
    fields.update(changes)
    return np.concatenate([field.ravel() for field in fields.values()]).tolist()


@pytest.fixture
def path(tmp_path):
    """A good file with the flag set."""
    file = tmp_path / "depthai.calib"
    gen1_file.write(str(file), contents(), center_crop=True)
    return file


def settings(path, **changes):
    """Settings that fit the virtual board; "__" in a name stands for the dot."""
    return config.validate(
        {
            "depth.calibration_file": str(path),
            "board_config.left_to_right_distance_cm": 7.5,
            "board_config.left_fov_deg": 71.86,
            **{key.replace("__", "."): value for key, value in changes.items()},
        }
    )


def test_file_has_444_bytes_and_a_flag(path):
    content = path.read_bytes()
    assert (len(content), content[-1]) == (445, 1)
    # Offsets by hand. Source: docs/wire_format.md#calibration
    assert np.frombuffer(content, "<f4", 1, 72)[0] == np.float32(eeprom.M1_LEFT[0, 0])
    assert (
        np.frombuffer(content, "<f4", 3, 180).tolist()
        == eeprom.TRANSLATION_CM.astype(np.float32).tolist()
    )
    assert (np.frombuffer(content, "<f4", 14, 276) == 0).all()


#: Bytes in the file -> numbers read, flag.
SIZES = [(444, 111, False), (445, 111, True), (500, 111, True), (36, 9, False), (37, 9, True)]


@pytest.mark.parametrize(("size", "count", "flag"), SIZES)
def test_new_and_old_files_are_read_with_or_without_flag(tmp_path, size, count, flag):
    file = tmp_path / "x.calib"
    floats = np.arange(count, dtype="<f4").tobytes()
    file.write_bytes((floats + b"\x01" * 500)[:size])
    content = gen1_file.read(str(file))
    assert content == gen1_file.CalibrationFile(tuple(map(float, range(count))), flag)
    assert content.is_old == (count == 9)


@pytest.mark.parametrize("size", [0, 35, 38, 191, 194, 443])
def test_file_of_another_size_is_refused(tmp_path, size):
    file = tmp_path / "x.calib"
    file.write_bytes(bytes(size))
    with pytest.raises(ConfigError) as caught:
        gen1_file.read(str(file))
    assert str(caught.value) == (
        f"{file}: {size} bytes, a calibration file has 444 or 445 (older ones 192, 193, 36 or 37)"
    )


def test_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.calib: No such file or directory"):
        gen1_file.read(str(tmp_path / "none.calib"))


def test_file_is_not_written_with_a_wrong_number_of_values(tmp_path):
    with pytest.raises(ConfigError, match="9 values, a calibration file has 111"):
        gen1_file.write(str(tmp_path / "x.calib"), [0.0] * 9, center_crop=False)


def test_file_gives_the_same_cameras_as_the_eeprom(path):
    by_file = calibration.from_file(str(path), settings(path))
    by_eeprom = calibration.from_eeprom(eeprom.eeprom_document(5), config.defaults())
    assert (by_file.source, by_file.geometry.center_crop) == ("file", True)
    for size in ((1280, 720), (640, 400)):
        for name in ("left", "right"):
            mine, theirs = by_file.camera(name, size), by_eeprom.camera(name, size)
            np.testing.assert_allclose(mine.p, theirs.p, rtol=1e-6)
            np.testing.assert_allclose(mine.r, theirs.r, atol=1e-6)


#: Fields of a file -> error behind its name.
BAD_CONTENTS = [
    ({"M1": np.zeros((3, 3))}, "not a calibration: M1 is not a camera matrix"),
    ({"M2": np.eye(3)}, "not a calibration: M2 is the identity"),
    ({"R2": np.zeros((3, 3))}, "not a calibration: R2 is not a rotation"),
    ({"d1": np.full(14, np.nan)}, "not a calibration: d1 holds a number that is not finite"),
]


@pytest.mark.parametrize(("changes", "complaint"), BAD_CONTENTS)
def test_file_that_is_no_calibration_is_refused(tmp_path, changes, complaint):
    file = tmp_path / "x.calib"
    gen1_file.write(str(file), contents(**changes), center_crop=False)
    with pytest.raises(ConfigError) as caught:
        calibration.from_file(str(file), settings(file))
    assert str(caught.value) == f"{file}: {complaint}"


def test_file_must_fit_the_board(path):
    wrong = settings(path, board_config__left_to_right_distance_cm=9.0)
    with pytest.raises(ConfigError, match=r"is 0\.075 m right .* the board entry says 0\.09 m"):
        calibration.from_file(str(path), wrong)


#: rgb size -> fx, cx, cy from intrinsics for 1920x1080 with pixel centres at integers.
RGB_SIZES = [
    ((1920, 1080), 1500.0, 950.0, 545.0),
    ((3840, 2160), 3000.0, 1900.5, 1090.5),
    ((4056, 3040), 3000.0, 2008.5, 1530.5),
]


@pytest.mark.parametrize(("size", "fx", "cx", "cy"), RGB_SIZES)
def test_rgb_camera_of_a_file_follows_the_resolution(tmp_path, size, fx, cx, cy):
    file = tmp_path / "x.calib"
    gen1_file.write(str(file), contents(M3=RGB_INTRINSICS), center_crop=False)
    found = calibration.from_file(str(file), settings(file))
    model = found.camera("rgb", size)
    assert (model.k[0, 0], model.k[0, 2], model.k[1, 2]) == pytest.approx((fx, cx, cy))
    assert (model.width, model.height) == size
    assert model.p[0, 3] == 0
    assert found.warnings == ()


def scaled(fx: float, cx: float, cy: float) -> np.ndarray:
    return np.array([[fx, 0, cx], [0, fx, cy], [0, 0, 1.0]])


#: M3 of a file -> why it is not used, "" = it is.
M3 = [
    (np.zeros((3, 3)), "no numbers are stored for it"),
    (np.diag([1400.0, 1400, 0]), "M3 is not a camera matrix"),
    (eeprom.M1_LEFT, "M3 is equal to M1 of the left camera"),
    (eeprom.M2_RIGHT, "M3 is equal to M2 of the right camera"),
    (np.eye(3), "M3 is the identity"),
    (scaled(1450, 320, 540), "M3 has cx 320, the middle of the image is at 959.5"),
    (scaled(1450, 960, 1079), "M3 has cy 1079, the middle of the image is at 539.5"),
    (
        scaled(864, 960, 540),
        "M3 gives a field of view of 96 degrees, board entry rgb_fov_deg is 68.7938",
    ),
    (
        scaled(3000, 1000, 500),
        "M3 gives a field of view of 35 degrees, board entry rgb_fov_deg is 68.7938",
    ),
    (RGB_INTRINSICS, ""),
    (scaled(1400, 930, 560), ""),
]


@pytest.mark.parametrize(("m3", "reason"), M3)
def test_rgb_numbers_that_cannot_be_true_are_not_used(tmp_path, m3, reason):
    file = tmp_path / "x.calib"
    gen1_file.write(str(file), contents(M3=m3), center_crop=False)
    found = calibration.from_file(str(file), settings(file, board_config__rgb_fov_deg=68.7938))
    model = found.camera("rgb", (1920, 1080))
    assert model.k.any() == model.p.any() == (not reason)
    assert found.rgb_warning == (reason and f"the rgb camera is not calibrated: {reason}")
    assert found.is_rgb_refused == bool(m3.any() and reason)
    assert found.camera("left", (1280, 720)).k.any()
    assert found.with_models({"rgb": found.camera("left", (1280, 720))}).rgb_warning == ""
    nominal = settings(file, calibration__nominal=True, board_config__rgb_fov_deg=68.7938)
    found = calibration.from_file(str(file), nominal)
    assert found.camera("rgb", (1920, 1080)).k.any()
    assert reason in found.rgb_warning
    if reason:
        assert found.camera("rgb", (1920, 1080)).k[0, 0] == pytest.approx(1402.2, abs=0.1)


@pytest.mark.parametrize("flag", [b"", b"\x00", b"\x01"])
@pytest.mark.parametrize("is_inverse", [False, True])
def test_early_file_with_homographies_gives_the_same_cameras(tmp_path, flag, is_inverse):
    m1, m2 = eeprom.M1_LEFT, eeprom.M2_RIGHT
    h1 = m2 @ eeprom.R1_LEFT @ np.linalg.inv(m1)
    h2 = m2 @ eeprom.R2_RIGHT @ np.linalg.inv(m2)
    if is_inverse:
        h1, h2 = np.linalg.inv(h1), np.linalg.inv(h2)
    parts = (h1, h2, m1, m2, eeprom.ROTATION, eeprom.TRANSLATION_CM)
    file = tmp_path / "early.calib"
    file.write_bytes(b"".join(part.astype("<f4").tobytes() for part in parts) + flag)
    assert file.stat().st_size == 192 + len(flag)
    found = calibration.from_file(str(file), settings(file))
    assert (found.source, found.geometry.center_crop) == ("file", flag == b"\x01")
    np.testing.assert_allclose(found.camera("left", (1280, 800)).k, m1, rtol=1e-6)
    np.testing.assert_allclose(found.stereo.r1, eeprom.R1_LEFT, atol=1e-5)
    np.testing.assert_allclose(found.stereo.r2, eeprom.R2_RIGHT, atol=1e-5)
    assert found.baseline_m == pytest.approx(0.075)
    assert found.rgb_problem == "no numbers are stored for it"
    # The device gets it in the present form.
    assert len(gen1_file.read(str(file)).floats) == 111


@pytest.mark.parametrize("fill", [0.0, 1.0, float("nan")])
def test_early_file_of_other_numbers_is_refused(tmp_path, fill):
    file = tmp_path / "early.calib"
    file.write_bytes(np.full(48, fill, "<f4").tobytes())
    with pytest.raises(ConfigError, match=r"early\.calib: not a calibration: "):
        gen1_file.read(str(file))


#: EEPROM layout, settings -> source that is used.
PRECEDENCE = [
    (5, {}, "eeprom"),
    (4, {}, "eeprom"),
    (5, {"board_config__override_eeprom": True}, "file"),
    (5, {"board_config__store_to_eeprom": True}, "file"),
    (3, {}, "file"),
    (-1, {}, "file"),
    (-1, {"calibration__nominal": True}, "file"),
]


@pytest.mark.parametrize(("version", "changes", "source"), PRECEDENCE)
def test_file_is_used_where_the_eeprom_is_not(path, version, changes, source):
    document = eeprom.eeprom_document(version)
    assert calibration.load(document, settings(path, **changes)).source == source


def test_unreadable_file_is_an_error_only_where_it_is_used(tmp_path):
    missing = settings(tmp_path / "none.calib")
    found = calibration.load(eeprom.eeprom_document(5), missing)
    assert found.source == "eeprom"
    assert found.warnings[0] == (
        "depth.calibration_file is not used: the EEPROM holds a calibration, with which the device "
        f"computes depth; board_config.override_eeprom replaces it by {tmp_path}/none.calib"
    )
    with pytest.raises(ConfigError, match="No such file"):
        calibration.load(eeprom.eeprom_document(-1), missing)


def test_file_gives_the_rgb_camera_that_an_eeprom_never_has(tmp_path):
    file = tmp_path / "x.calib"
    gen1_file.write(str(file), contents(M3=RGB_INTRINSICS), center_crop=False)
    document = eeprom.eeprom_document(5)
    found = calibration.load(document, settings(file))
    stored = calibration.load(document, settings(""))
    assert (found.source, found.rgb_warning) == ("eeprom", "")
    np.testing.assert_allclose(found.camera("rgb", (1920, 1080)).k, RGB_INTRINSICS, rtol=1e-6)
    for camera in ("left", "right"):
        k = found.camera(camera, (1280, 720)).k
        np.testing.assert_array_equal(k, stored.camera(camera, (1280, 720)).k)
    assert found.warnings[0].startswith(
        "depth.calibration_file is used for the rgb camera only: the EEPROM holds a calibration"
    )
    gen1_file.write(str(file), contents(M3=np.eye(3)), center_crop=False)
    assert calibration.load(document, settings(file)).rgb_problem == "M3 is the identity"


def test_overriding_takes_the_board_from_the_settings(path):
    document = eeprom.eeprom_document(5)
    overriding = settings(path, board_config__override_eeprom=True, board_config__rgb_fov_deg=80.0)
    assert calibration.load(document, overriding).geometry.rgb_fov_deg == 80.0
    completing = settings(path, board_config__rgb_fov_deg=80.0)
    assert calibration.load(eeprom.eeprom_document(2), completing).geometry.rgb_fov_deg == 68.7938


def test_old_file_is_one_homography_and_no_camera(tmp_path):
    file = tmp_path / "old.calib"
    file.write_bytes(np.arange(9, dtype="<f4").tobytes())
    found = calibration.load(eeprom.eeprom_document(-1), settings(file))
    assert found.source == "none"
    assert found.warnings[0] == f"{file} holds one homography and no camera model: calibrate again"
    left, right = found.homographies((1280, 720))
    assert left is None
    assert right.ravel().tolist() == list(range(9))


def test_floats_for_the_device_are_those_of_the_file(path):
    content = gen1_file.read(str(path))
    storing = settings(path, board_config__store_to_eeprom=True)
    document = config.device_config(
        storing, calibration_floats=content.floats, center_crop=content.center_crop
    )
    sent = np.array(document["_board"]["calib_data"], "<f4").tobytes()
    assert sent == path.read_bytes()[:444]
    assert document["board"]["stereo_center_crop"] is True
