"""The files in config/rviz show what the node publishes, each picture in a dock with a place."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Any

import pytest
import yaml

from depthai_ros.launch.plan import renamed_rviz
from depthai_ros.streams import STREAMS, WORKER_OUTPUTS

ROOT = Path(__file__).resolve().parents[2]
RVIZ = sorted((ROOT / "config" / "rviz").glob("*.rviz"))
each_file = pytest.mark.parametrize("path", RVIZ, ids=lambda path: path.stem)

#: Displays with a dock of their own; rviz names the dock like the display.
_PICTURES = ("rviz_default_plugins/Image", "rviz_default_plugins/Camera")
_CLOUD, _MARKERS = "rviz_default_plugins/PointCloud2", "rviz_default_plugins/MarkerArray"
#: Panels that a user opens in the menu.
_CLOSED_PANELS = {"Time", "Tool Properties", "Views"}
#: In the state of a QMainWindow, this byte, the length of a name in bytes, the name in UTF-16, and
#: a byte of flags begin a dock; the lowest flag is "open", the second "in a window of its own".
_DOCK, _OPEN, _FLOATING = b"\xfb", 1, 2


def displays(path: Path) -> list[dict[str, Any]]:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    return list(document["Visualization Manager"]["Displays"])


def topics_in(document: object) -> list[str]:
    if isinstance(document, dict):
        return [topic for value in document.values() for topic in topics_in(value)]
    if isinstance(document, list):
        return [topic for value in document for topic in topics_in(value)]
    is_topic = isinstance(document, str) and document.startswith("/")
    return [str(document)] if is_topic else []


def docks(path: Path) -> dict[str, int]:
    """Flags of each dock in the saved state of the window."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    state = bytes.fromhex(document["Window Geometry"]["QMainWindow State"])
    found = {}
    for match in re.finditer(_DOCK, state):
        start = match.end() + 4
        (size,) = struct.unpack(">I", state[match.end() : start].ljust(4, b"\xff"))
        if size % 2 == 0 and start + size < len(state):
            name = state[start : start + size].decode("utf-16-be", "replace")
            found[name] = state[start + size]
    return found


@each_file
def test_plugins_are_those_of_rviz_itself(path: Path) -> None:
    classes = re.findall(r"Class: (\S+)", path.read_text(encoding="utf-8"))
    assert {name.partition("/")[0] for name in classes if name != "''"} <= {
        "rviz_common",
        "rviz_default_plugins",
    }


@each_file
def test_topics_exist(path: Path) -> None:
    rows = (*STREAMS.values(), *WORKER_OUTPUTS.values())
    offered = {topic.name for stream in rows for topic in stream.topics}
    offered.add("robot_description")  # from robot_state_publisher
    nodes = (
        ("/front_side/front/", "/rear_side/rear/") if path.stem == "multi_camera" else ("/oak/",)
    )
    found = topics_in(displays(path))
    assert found
    for topic in found:
        assert any(topic.removeprefix(node) in offered for node in nodes), topic


@each_file
def test_qos_fits_the_publishers(path: Path) -> None:
    """Clouds are best effort, which fits those of depth_image_proc, too."""
    for row in displays(path):
        for key in ("Topic", "Description Topic"):
            if isinstance(profile := row.get(key), dict):
                latched = profile["Value"].endswith("robot_description")
                durability = "Transient Local" if latched else "Volatile"
                reliability = "Best Effort" if row["Class"] == _CLOUD else "Reliable"
                found = (profile["Reliability Policy"], profile["Durability Policy"])
                assert found == (reliability, durability), row["Name"]
                assert profile["Depth"] <= 2


@each_file
def test_cloud_and_detections_of_each_camera_are_shown(path: Path) -> None:
    rows = displays(path)
    nodes = {topic.rpartition("/robot_description")[0] for topic in topics_in(rows)} - {""}
    for kind, name in ((_CLOUD, "points"), (_MARKERS, "nn/markers")):
        shown = [row for row in rows if row["Class"] == kind]
        assert {row["Topic"]["Value"] for row in shown} == {f"{node}/{name}" for node in nodes}
        assert all(row["Enabled"] is row["Value"] is True for row in shown)


@each_file
def test_cloud_has_its_colours_where_it_has_them(path: Path) -> None:
    """Rviz takes the best transformer of those that fit a cloud without the field rgb."""
    clouds = [row for row in displays(path) if row["Class"] == _CLOUD]
    assert {row["Color Transformer"] for row in clouds} == {"RGB8"}


@each_file
def test_docks_of_enabled_pictures_are_open_and_the_others_closed(path: Path) -> None:
    """A dock without a place in the state opens, and an open dock enables its display."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    wanted = {row["Name"]: row["Enabled"] for row in displays(path) if row["Class"] in _PICTURES}
    wanted |= {row["Name"]: row["Name"] not in _CLOSED_PANELS for row in document["Panels"]}
    assert any(wanted.values())
    flags = docks(path)
    assert {name: bool(each & _OPEN) for name, each in flags.items()} == wanted
    assert not any(each & _FLOATING for each in flags.values())


def test_file_is_adapted_to_another_camera_name() -> None:
    (path,) = [path for path in RVIZ if path.stem == "oak_d"]
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    other = renamed_rviz(document, "/robot/eye", "mast_eye")
    shown = other["Visualization Manager"]
    assert shown["Global Options"]["Fixed Frame"] == "mast_eye"
    assert all(topic.startswith("/robot/eye/") for topic in topics_in(shown["Displays"]))
    written = yaml.safe_load(yaml.safe_dump(other, sort_keys=False))
    assert written["Window Geometry"] == document["Window Geometry"]
