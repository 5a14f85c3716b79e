"""One row of the stream table makes a stream: on the virtual device, in the node, in the documents.

The row is added to a copy of the package, and to nothing else.
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

ROW = '    _mono("belly", "left", "belly/image_raw"),\n'


@pytest.fixture
def package_with_belly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package whose table has one more row; programs that are started use it."""
    copy = tmp_path / "checkout"
    skipped = shutil.ignore_patterns("__pycache__")
    for folder in ("depthai_ros", "config", "tools", "docs"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=skipped)
    table = copy / "depthai_ros/streams.py"
    text = table.read_text("utf-8")
    place = text.index('    _mono("disparity"')
    table.write_text(text[:place] + ROW + text[place:], "utf-8")
    monkeypatch.chdir(copy)  # `python -m` looks there first
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(copy), os.environ["PYTHONPATH"]]))
    return copy


def test_added_row_arrives_on_a_topic_of_a_running_node(
    package_with_belly: Path, start_node: StartNode, listener: Listener
) -> None:
    start_node({"device.id": "virtual:pattern", "stream_list": ["left", "belly"]})
    image = listener.first(Image, "belly/image_raw")
    model = listener.first(CameraInfo, "belly/camera_info")
    assert (image.encoding, image.width, image.height) == ("mono8", 1280, 720)
    assert image.header.frame_id == "oak_left_camera_optical_frame"
    assert bytes(image.data[:3]) == bytes((image.data[0] + x) % 256 for x in range(3))
    assert model.k[0] > 0


def test_added_row_is_in_the_generated_documents(package_with_belly: Path) -> None:
    subprocess.run([sys.executable, package_with_belly / "tools/docs"], check=False)
    streams = (package_with_belly / "docs/streams.md").read_text("utf-8")
    assert "| `belly` | mono8 | left | 1024056 | `~/belly/image_raw`" in streams
    assert "`stream.belly.max_fps`" in (package_with_belly / "docs/parameters.md").read_text(
        "utf-8"
    )
