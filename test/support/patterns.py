"""The images of `virtual:pattern`, computed from one pixel of the received image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from nodes import Listener
from numpy.typing import NDArray
from sensor_msgs.msg import Image

from depthai_ros import _core
from depthai_ros.streams import STREAMS
from depthai_ros.wire_formats import disparity_color_table, disparity_to_depth_table

MONO, COLOR, PREVIEW = (640, 400), (1920, 1080), (300, 300)
_MODELS = "package://depthai_ros/config/models"
#: Parameters: the pattern on every stream, and a network.
EVERY_STREAM: dict[str, Any] = {
    "device.id": "virtual:pattern",
    "stream_list": list(STREAMS),
    "ai.blob_file": f"{_MODELS}/virtual_ssd.blob",
    "ai.blob_file_config": f"{_MODELS}/mobilenet_ssd.json",
    "ai.calc_dist_to_bb": True,
    "calibration.nominal": True,
    "camera.mono.resolution_h": 400,
    "camera.mono.fps": 5.0,
    "camera.rgb.fps": 5.0,
    "video_config.profile": "mjpeg",
    # With False the device sends rectified images upright and disparity mirrored, as the formulas.
    "depth.warp_rectify.mirror_frame": False,
    "publish.depth_float": True,
}


def ramp(size: tuple[int, int], first: int, modulus: int) -> NDArray[np.int64]:
    """(x + 2 y + first) mod `modulus`: the formula of virtual/scenes/pattern.py."""
    x, y = np.arange(size[0]), np.arange(size[1])[:, None]
    return np.asarray((x + 2 * y + first) % modulus)


def grey(image: NDArray[Any]) -> NDArray[Any]:
    return ramp(MONO, int(image[0, 0]), 256)


def preview(image: NDArray[Any]) -> NDArray[Any]:
    planes = [ramp(PREVIEW, int(image[0, 0, channel]), 256) for channel in range(3)]
    # Order B, G, R: successive planes differ by 64.
    assert (np.diff(image[0, 0].astype(int)) % 256 == 64).all()
    return np.stack(planes, axis=-1)


def disparity(image: NDArray[Any]) -> NDArray[Any]:
    """The device sends disparity mirrored, the node publishes it upright: x runs right to left."""
    return 1 + ramp(MONO, int(image[0, -1]) - 1, 95)[:, ::-1]


def colored(image: NDArray[Any]) -> NDArray[Any]:
    table = disparity_color_table()
    first = (table == image[0, -1]).all(axis=1).argmax()
    return table[1 + ramp(MONO, int(first) - 1, 95)[:, ::-1]]


def color(image: NDArray[Any]) -> NDArray[Any]:
    """Grey I420 converted to BGR, for the sequence that fits the first row.

    test_core_kernels.py compares the conversion with OpenCV's.
    """
    luma = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 2, axis=1)
    planes = np.vstack([luma, np.full((128, 2), 128, np.uint8)])
    converted = np.empty((256, 2, 3), np.uint8)
    _core.bgr_from_i420(source=planes, destination=converted)
    shown = converted[:, 0]
    rows = (ramp((COLOR[0], 1), first, 256)[0] for first in range(256))
    first = next(n for n, row in enumerate(rows) if (shown[row] == image[0]).all())
    return np.asarray(shown[ramp(COLOR, first, 256)])


#: Topic, size of its images, function from a received image to the expected one.
FORMULAS: list[tuple[str, tuple[int, int], Callable[[NDArray[Any]], NDArray[Any]]]] = [
    ("left/image_raw", MONO, grey),
    ("right/image_raw", MONO, grey),
    ("left/image_rect", MONO, grey),
    ("right/image_rect", MONO, grey),
    ("disparity/image_raw", MONO, disparity),
    ("disparity_color/image_raw", MONO, colored),
    ("rgb/preview/image_raw", PREVIEW, preview),
    ("rgb/image_raw", COLOR, color),
]


def check_every_picture(listener: Listener, count: int = 1) -> None:
    """Subscribe to all topics of the table and compare `count` images of each."""
    topics = {topic: (size, formula) for topic, size, formula in FORMULAS}
    for topic in topics:
        listener.subscribe(Image, topic)
    listener.wait_for(*topics, count=count)
    for topic, (size, formula) in topics.items():
        for message in listener.messages(topic)[-count:]:
            image = np.frombuffer(message.data, np.uint8).reshape(size[1], size[0], -1).squeeze()
            np.testing.assert_array_equal(image, formula(image), err_msg=topic)


def depth(image: NDArray[Any]) -> NDArray[Any]:
    """Depth of the disparity image that fits the first row; 0 beyond 10 m."""
    table = disparity_to_depth_table(MONO[0], 71.86, 0.075)
    table = np.where(table <= 10_000, table, 0)
    images = (table[1 + ramp(MONO, first, 95)[:, ::-1]] for first in range(95))
    return next((each for each in images if (each[0] == image[0]).all()), np.zeros_like(image))
