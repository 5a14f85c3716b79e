"""What `make pictures` makes of messages: a tile for each topic, with the values that it has."""

from __future__ import annotations

from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import Image
from stereo_msgs.msg import DisparityImage
from vision_msgs.msg import (
    BoundingBox2D,
    Detection2D,
    Detection2DArray,
    ObjectHypothesis,
    ObjectHypothesisWithPose,
)

from depthai_ros.msg import Tracklet, TrackletArray


def _program() -> ModuleType:
    path = Path(__file__).resolve().parents[3] / "tools/pictures"
    spec = spec_from_loader(path.stem, SourceFileLoader(path.stem, str(path)))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PICTURES = _program()


def image(encoding: str, values: NDArray[Any], padding: int = 0) -> Image:
    """A picture whose rows end with padding bytes."""
    height, width = values.shape[:2]
    rows = np.ascontiguousarray(values).view(np.uint8).reshape(height, -1)
    data = np.pad(rows, ((0, 0), (0, padding)), constant_values=99)
    step = data.shape[1]
    return Image(height=height, width=width, encoding=encoding, step=step, data=data.tobytes())


def box(x: float, y: float, size: float) -> BoundingBox2D:
    found = BoundingBox2D(size_x=size, size_y=size)
    found.center.position.x, found.center.position.y = x, y
    return found


def exposure() -> dict[str, Any]:
    grey = image("mono8", np.full((72, 128), 80, np.uint8))
    colour = image("bgr8", np.full((100, 100, 3), (10, 20, 30), np.uint8))
    depth = np.arange(72 * 128, dtype=np.uint16).reshape(72, 128)
    hypotheses = [ObjectHypothesis(class_id=name, score=0.75) for name in ("car", "chair")]
    results = [ObjectHypothesisWithPose(hypothesis=hypothesis) for hypothesis in hypotheses]
    boxes = box(75.0, 50.0, 50.0), box(20.0, 50.0, 20.0)
    tracked = Tracklet(id=3, class_id="car", status=Tracklet.STATUS_LOST, bbox=boxes[0])
    return {
        **dict.fromkeys(("left/image_raw", "right/image_raw", "left/image_rect"), grey),
        **dict.fromkeys(("rgb/image_raw", "rgb/preview/image_raw"), colour),
        "disparity_color/image_raw": colour,
        "depth/image_raw": image("16UC1", depth),
        "disparity": DisparityImage(image=image("32FC1", depth.astype(np.float32))),
        "nn/detections": Detection2DArray(
            detections=[
                Detection2D(bbox=bbox, results=[result])
                for bbox, result in zip(boxes, results, strict=True)
            ]
        ),
        "tracklets": TrackletArray(tracklets=[tracked]),
    }


def test_bytes_behind_the_rows_are_no_pixels() -> None:
    values = np.arange(12, dtype=np.uint16).reshape(3, 4)
    assert PICTURES.pixels(image("16UC1", values, padding=6)).tolist() == values.tolist()


def test_each_picture_topic_has_its_tile() -> None:
    tiles = PICTURES.tiles(exposure())
    named = {part for tile in tiles for part in tile.topic.split(" + ")}
    assert named == set(exposure())
    assert all(tile.picture.shape[2] == 3 for tile in tiles)


def test_boxes_stand_where_and_in_the_order_in_which_they_are_seen() -> None:
    tiles = {tile.topic.rpartition(" ")[2]: tile for tile in PICTURES.tiles(exposure())}
    chair, car = tiles["nn/detections"].boxes
    assert (chair.words, chair.facts) == ("chair", "score 0.75")
    assert car.corners == (0.5, 0.25, 1.0, 0.75)
    (tracked,) = tiles["tracklets"].boxes
    assert (tracked.name, tracked.facts) == ("#3 car", "lost")
    assert tracked.corners == car.corners
