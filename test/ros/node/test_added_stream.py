"""One row of a stream table makes a stream: on the virtual device, in the node, in the documents.

Rows are added to a copy of the package, and to nothing else.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from nodes import ROOT, Listener, StartNode
from sensor_msgs.msg import CameraInfo, Image

#: What is added, and the row that it is put in front of.
ROWS = {
    '    _mono("disparity"': '    _mono("belly", "left", "belly/image_raw"),\n',
    '    DerivedOutput("disparity"': (
        '    DerivedOutput("depth", _image("hills/image_raw", "bgr8"), stream="hills"),\n'
    ),
}


@pytest.fixture
def extended_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package whose tables have more rows; programs that are started use it."""
    copy = tmp_path / "checkout"
    skipped = shutil.ignore_patterns("__pycache__")
    for folder in ("depthai_ros", "config", "tools", "docs"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=skipped)
    table = copy / "depthai_ros/streams.py"
    text = table.read_text("utf-8")
    for place, row in ROWS.items():
        before, _, behind = text.partition(place)
        text = before + row + place + behind
    table.write_text(text, "utf-8")
    monkeypatch.chdir(copy)  # `python -m` looks there first
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(copy), os.environ["PYTHONPATH"]]))
    return copy


def test_added_row_arrives_on_a_topic_of_a_running_node(
    extended_package: Path, start_node: StartNode, listener: Listener
) -> None:
    start_node({"device.id": "virtual:pattern", "stream_list": ["left", "belly"]})
    image = listener.first(Image, "belly/image_raw")
    model = listener.first(CameraInfo, "belly/camera_info")
    assert (image.encoding, image.width, image.height) == ("mono8", 1280, 720)
    assert image.header.frame_id == "oak_left_camera_optical_frame"
    assert bytes(image.data[:3]) == bytes((image.data[0] + x) % 256 for x in range(3))
    assert model.k[0] > 0


@pytest.mark.parametrize(
    "others", [[], ["disparity"], ["depth"]], ids=lambda names: names or "alone"
)
def test_added_row_of_a_topic_made_of_another_stream_arrives_too(
    extended_package: Path, start_node: StartNode, listener: Listener, others: list[str]
) -> None:
    start_node({"device.id": "virtual:pattern", "stream_list": ["hills", *others]})
    image = listener.first(Image, "hills/image_raw")
    assert (image.encoding, image.width, image.height) == ("bgr8", 1280, 720)
    assert any(image.data)
    for name in others:
        assert any(listener.first(Image, f"{name}/image_raw").data)


def test_added_rows_are_in_the_generated_documents(extended_package: Path) -> None:
    subprocess.run([sys.executable, extended_package / "tools/docs"], check=False)
    streams = (extended_package / "docs/streams.md").read_text("utf-8")
    assert "| `belly` | mono8 | left | 1024056 | `~/belly/image_raw`" in streams
    assert "| `hills` | depth16 | right | made from `depth` | `~/hills/image_raw`" in streams
    parameters = (extended_package / "docs/parameters.md").read_text("utf-8")
    assert "`stream.belly.max_fps`" in parameters
    assert "`stream.hills.max_fps`" in parameters
