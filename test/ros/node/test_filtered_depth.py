"""Filters in a running node: sizes, unfiltered depth beside them, presets and live changes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from nodes import Listener, NodeProcess
from parameter_clients import read, set_one
from recordings import pixels
from sensor_msgs.msg import CameraInfo, Image

FILTERED, RAW = "depth/image_raw", "depth/unfiltered/image_raw"
SINGLE = "filters.temporal.enable"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    parameters = {
        "device.id": "virtual:synthetic?noise=1",
        "stream_list": ["depth"],
        "camera.mono.fps": 10.0,
        "filters.preset": "navigation",
        SINGLE: False,
    }
    node = NodeProcess(tmp_path_factory.mktemp("node"), parameters)
    yield node
    node.kill()
    print(node.output)  # pytest shows it if a test failed


def test_filtered_depth_is_smaller_and_the_camera_fits(
    node: NodeProcess, listener: Listener
) -> None:
    infos = [f"{topic.rpartition('/')[0]}/camera_info" for topic in (FILTERED, RAW)]
    for topic in (FILTERED, RAW):
        listener.subscribe(Image, topic)
    for topic in infos:
        listener.subscribe(CameraInfo, topic)
    listener.wait_for(FILTERED, RAW, *infos, count=2)
    small, whole = (listener.messages(topic)[-1] for topic in infos)
    assert (small.width, small.height) == (640, 360)
    assert (whole.width, whole.height) == (1280, 720)
    p_small, p_whole = (np.reshape(info.p, (3, 4)) for info in (small, whole))
    # The first pixel of the smaller image is the square of the first two rows and columns.
    np.testing.assert_allclose(p_small[:2, 2], (p_whole[:2, 2] - 0.5) / 2)
    np.testing.assert_allclose(p_small[0, [0, 3]] * 2, p_whole[0, [0, 3]])
    stamps = {topic: {str(row.header.stamp) for row in listener.messages(topic)} for topic in infos}
    assert stamps[infos[0]] & stamps[infos[1]]
    after, before = (pixels(listener.messages(topic)[-1]) for topic in (FILTERED, RAW))
    assert (after.shape, before.shape) == ((360, 640), (720, 1280))
    assert (after > 0).mean() > (before > 0).mean()


def test_values_of_the_preset_are_those_of_the_parameters(
    node: NodeProcess, listener: Listener
) -> None:
    keys = ("filters.speckle.enable", "filters.decimation.enable", SINGLE)
    assert list(read(listener, keys).values()) == [True, True, False]
    sentence = "filters.preset is navigation, but values that are set one by one win"
    node.wait_for_output(f"{sentence}: {SINGLE} is false (preset: true)")
    assert node.output.count(sentence) == 1


def test_a_preset_with_another_size_is_refused_and_single_values_are_live(
    node: NodeProcess, listener: Listener
) -> None:
    refused = set_one(listener, "filters.preset", "manipulation")
    assert not refused.successful
    assert "clean up the node, set it while unconfigured" in refused.reason
    assert read(listener, ["filters.preset"]) == {"filters.preset": "navigation"}
    listener.subscribe(Image, FILTERED)
    assert set_one(listener, "filters.threshold.enable", True).successful
    assert set_one(listener, "filters.threshold.max_m", 2.0).successful
    listener.forget()
    listener.wait_until(
        lambda: any(0 < pixels(row).max() <= 2000 for row in listener.messages(FILTERED)),
        "depth of at most 2 m",
    )
