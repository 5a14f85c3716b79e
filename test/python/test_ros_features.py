"""Differences between releases of ROS 2 are recognised by what is installed."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from depthai_ros import ros_features

ROOT = Path(__file__).parents[2]
NEW_VARIABLE, OLD_VARIABLE = ros_features.PROFILE_VARIABLES
THREADS = "include/fastdds/rtps/attributes/ThreadSettings.hpp"
DISCOVERY = "include/rmw/rmw/discovery_options.h"
FULL, SHORT = "fastdds.xml", "fastdds_without_threads.xml"
RANGE = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}

#: Files in each install prefix -> variable, profile, discovery. Source: what the wheels of Jazzy
#: and Kilted install; Humble: CMakeLists.txt of Fast DDS 2.6 and of rmw 6.1.
PREFIXES = {
    "Humble": (
        ["share/fastrtps/cmake share/rmw/package.xml include/fastdds/rtps/attributes/a.h"],
        (OLD_VARIABLE, SHORT, {"ROS_LOCALHOST_ONLY": "1"}),
    ),
    "Jazzy": (
        [f"share/fastrtps/cmake share/rmw/package.xml {THREADS} {DISCOVERY}"],
        (OLD_VARIABLE, FULL, RANGE),
    ),
    "Kilted, Lyrical, Rolling": (
        [f"share/fastdds/cmake share/rmw/package.xml {THREADS} {DISCOVERY}"],
        (NEW_VARIABLE, FULL, RANGE),
    ),
    "another middleware only": (
        [f"share/rmw/package.xml {DISCOVERY}"],
        (NEW_VARIABLE, FULL, RANGE),
    ),
    "a workspace over Jazzy": (
        ["share/depthai_ros", f"share/fastrtps share/rmw {THREADS} {DISCOVERY}"],
        (OLD_VARIABLE, FULL, RANGE),
    ),
    "Fast DDS 3 in a workspace over Jazzy": (
        [f"share/fastdds {THREADS}", f"share/fastrtps share/rmw {THREADS} {DISCOVERY}"],
        (NEW_VARIABLE, FULL, RANGE),
    ),
    "no ROS": ([], (NEW_VARIABLE, FULL, RANGE)),
}


@pytest.mark.parametrize("name", PREFIXES)
def test_release_is_recognised_by_its_files(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, expected = PREFIXES[name]
    folders = [tmp_path / str(number) for number in range(len(files))]
    for folder, paths in zip(folders, files, strict=True):
        for path in paths.split():
            (folder / path).mkdir(parents=True)
    monkeypatch.setenv("AMENT_PREFIX_PATH", os.pathsep.join(["", *map(str, folders)]))
    monkeypatch.setenv("ROS_DISTRO", "jazzy")  # its name does not matter
    found = ros_features.profile_variable(), ros_features.profile_name()
    assert (*found, ros_features.local_discovery()) == expected


def libraries(name: str) -> list[bytes]:
    """The libraries of this name in the environment of this process."""
    folders = os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)
    paths = (Path(folder, name) for folder in filter(None, folders))
    return [path.read_bytes() for path in paths if path.is_file()]


def test_installed_libraries_read_these_variables() -> None:
    fast_dds = [*libraries("libfastdds.so"), *libraries("libfastrtps.so")]
    rcl = libraries("librcl.so")
    if not fast_dds or not rcl:
        pytest.skip("no ROS 2 with Fast DDS on LD_LIBRARY_PATH")
    assert ros_features.profile_variable().encode() + b"\0" in fast_dds[0]
    for variable in ros_features.local_discovery():
        assert variable.encode() + b"\0" in rcl[0]


def test_both_profiles_differ_in_the_settings_of_threads_only() -> None:
    full, short = (
        (ROOT / "config" / name).read_text().partition("<dds ")[2] for name in (FULL, SHORT)
    )
    threads = r"\s*<(default_reception_threads|timed_events_thread)>.*?</\1>"
    assert re.sub(threads, "", full, flags=re.DOTALL) == short != full


def test_profile_for_this_release_is_installed_with_the_package() -> None:
    assert (ROOT / "config" / ros_features.profile_name()).is_file()


def test_class_that_is_nowhere_is_named_with_its_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ros_features._PLACES, "Clock", ("no_such_module:Clock", "os.path:Clock"))
    expected = "rclpy has no Clock: looked for no_such_module:Clock, os.path:Clock"
    with pytest.raises(ImportError, match=f"^{expected}$"):
        ros_features.ros_class("Clock")
