"""The place of a camera_info file: a URL as in camera_info_manager, else a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from depthai_ros.calibration import camera_info_places
from depthai_ros.config import Settings, defaults
from depthai_ros.errors import ConfigError

NAME = "robot_oak_left"
NAMES = [f"robot_oak_{camera}" for camera in ("left", "right", "rgb")]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("ROS_HOME", raising=False)
    return tmp_path


def with_folder(text: str) -> Settings:
    return defaults().replace({"calibration.camera_info_folder": text})


def with_url(text: str) -> Settings:
    return defaults().replace({"left.camera_info_url": text})


def test_default_folder_is_in_ros_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert camera_info_places.folder(defaults()) == home / ".ros" / "camera_info"
    monkeypatch.setenv("ROS_HOME", str(home / "ros"))
    assert camera_info_places.folder(defaults()) == home / "ros" / "camera_info"
    assert camera_info_places.folder(with_folder("~/mine")) == home / "mine"
    assert camera_info_places.folder(with_folder(f"file://{home}/a b")) == home / "a b"
    assert camera_info_places.folder(with_folder("package://depthai_ros/config")).is_dir()


#: URL -> path; {} is the home.
URLS = {
    "file:///x/left.yaml": "/x/left.yaml",
    "/x/left.yaml": "/x/left.yaml",
    "~/left.yaml": "{}/left.yaml",
    "file:///x/${NAME}.yaml": f"/x/{NAME}.yaml",
    "file://${ROS_HOME}/camera_info/${NAME}.yaml": "{}/.ros/camera_info/" + NAME + ".yaml",
    "${ROS_HOME}/${NAME}/${NAME}": f"{{}}/.ros/{NAME}/{NAME}",
}


@pytest.mark.parametrize("url", URLS)
def test_url_and_its_variables_give_a_path(url: str, home: Path) -> None:
    expected = Path(URLS[url].format(home))
    assert camera_info_places.from_url(url, NAME) == expected
    assert camera_info_places.written_file(with_url(url), "left", NAME) == expected
    beside = camera_info_places.written_file(with_url(url), "right", NAME)
    assert beside == home / ".ros/camera_info" / f"{NAME}.yaml"


def test_url_in_a_package_is_a_file_of_its_share_folder() -> None:
    found = camera_info_places.from_url("package://depthai_ros/config/default.yaml", NAME)
    assert found.is_file()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("file://left.yaml", "must be a path, file:///PATH or package://PACKAGE/PATH"),
        ("flash:///x", "must be a path, file:///PATH or package://PACKAGE/PATH"),
        ("http://x/y.yaml", "must be a path, file:///PATH or package://PACKAGE/PATH"),
        ("file:///${HOME}/x", "${HOME} is not known, only ${NAME}, ${ROS_HOME}"),
        ("package://nowhere/x.yaml", "not found; looked in no installed package of this name"),
    ],
)
def test_url_that_is_none_is_a_warning_and_an_answer(url: str, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        camera_info_places.written_file(with_url(url), "left", NAME)
    assert str(caught.value) == f"{url}: {reason}"
    found, warnings = camera_info_places.files(with_url(url), "left", NAME)
    assert (found, warnings) == ([], [f"left.camera_info_url is not used: {url}: {reason}"])


def test_url_comes_before_the_folder(home: Path) -> None:
    url, folder = home / "x.yaml", home / "infos"
    settings = with_folder(str(folder)).replace({"left.camera_info_url": f"file://{url}"})
    found, warnings = camera_info_places.files(settings, "left", NAME)
    assert found == []
    assert warnings == [f"left.camera_info_url is not used: there is no file {url}"]
    folder.mkdir()
    (folder / f"{NAME}.yaml").touch()
    url.touch()
    assert camera_info_places.files(settings, "left", NAME) == ([url, folder / f"{NAME}.yaml"], [])


def test_folder_that_is_not_used_is_told_with_the_reason(home: Path) -> None:
    def warning(text: str) -> str:
        found = camera_info_places.folder_warning(with_folder(text), NAMES)
        return found.removeprefix("calibration.camera_info_folder is not used: ")

    place = home / "infos"
    missing = f"there is no folder {place}; set_camera_info creates it"
    assert warning(str(place)) == warning(f"file://{place}") == missing
    assert warning("package://nowhere/x").startswith("package://nowhere/x: not found; looked in ")
    assert warning("http://x").startswith("http://x: must be a path, file:///PATH or ")
    place.touch()
    is_file = f"{place} is a file, must be a folder; CAMERA.camera_info_url takes a file"
    assert warning(str(place)) == is_file
    place.unlink()
    place.mkdir()
    assert warning(str(place)) == ""  # before the first set_camera_info
    (place / "left.yaml").touch()
    wanted = ", ".join(f"{name}.yaml" for name in NAMES)
    assert warning(str(place)) == f"{place} has left.yaml, but none of {wanted}"
    (place / f"{NAME}.yaml").touch()
    assert warning(str(place)) == ""
    assert camera_info_places.folder_warning(defaults(), NAMES) == ""
