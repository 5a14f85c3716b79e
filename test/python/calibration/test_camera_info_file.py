"""camera_info files are read back as written; malformed files cause an error and no harm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from depthai_ros.calibration import camera_info_file
from depthai_ros.calibration.camera_model import CameraModel
from depthai_ros.config import defaults
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
    found, mx_id = camera_info_file.read(path)
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
    found, _ = camera_info_file.read(path)
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


def test_default_folder_is_in_ros_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("ROS_HOME", raising=False)
    assert camera_info_file.folder(defaults()) == tmp_path / ".ros" / "camera_info"
    monkeypatch.setenv("ROS_HOME", str(tmp_path / "ros"))
    assert camera_info_file.folder(defaults()) == tmp_path / "ros" / "camera_info"
    given = defaults().replace({"calibration.camera_info_folder": "~/mine"})
    assert camera_info_file.folder(given) == tmp_path / "mine"
