"""What browsers look at, of a running node: images, points, boxes, cameras, frames, the robot."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection2DArray, Detection3DArray, LabelInfo

from ..bounded import without_surrogates
from .robot import shapes
from .ros_images import cloud, image_of, read, stamp_ns
from .ros_scene import boxes, camera_view, class_names, frame_poses, transforms
from .ros_topics import (
    IMAGE,
    Demand,
    ImageTopic,
    TopicFeed,
    camera_info_of,
    frustum_images,
    image_topics,
)
from .source import BOXES, CLOUD, Box, CameraView, Cloud, FramePose, ImageChoice, LatestImage

#: Topics with the boxes of a frame -> their type.
_FLAT, _SPATIAL, _TRACKED = "nn/detections", "nn/spatial_detections", "nn/tracked_detections"
_LABELS = "nn/label_info"
_RESULTS = {_FLAT: Detection2DArray, _SPATIAL: Detection3DArray, _TRACKED: Detection2DArray}
#: Frames of which the results are kept, to find those of one frame.
_KEPT_FRAMES = 4
#: Older boxes are not shown: what they show has moved on.
_OLD_BOXES_S = 2.0
#: Topics with transforms; the publishers of all nodes share them.
_TF_TOPICS, _TF_DEPTH = ("/tf_static", "/tf"), 200
_MOST_FRAMES = 2000
_URDF = "robot_description"


class ShownTopics:
    """The topics that the page shows. `want` and what reads may be called from any thread.

    The thread of the executor calls `announced`, `demands` and `forget`.
    """

    def __init__(self, target: str) -> None:
        self._target = target
        self._topics: Mapping[str, str] = {}
        self._images: Mapping[str, ImageTopic] = {}
        self._wanted: tuple[frozenset[str], Mapping[str, float]] = frozenset(), {}
        self._feeds: dict[str, tuple[object, TopicFeed[Any]]] = {}  # by name: what it is for, feed
        self._infos: dict[str, Any] = {}  # camera_info topic -> the last message
        self._old_infos: set[str] = set()  # those to receive again
        self._moving = threading.Lock()
        self._transforms: dict[str, Any] = {}
        self._urdf = ""

    def want(self, names: frozenset[str], max_fps: Mapping[str, float]) -> None:
        """Receive exactly these, at most at these rates."""
        self._wanted = frozenset(names), dict(max_fps)

    # -- the thread of the executor

    def announced(self, topics: Mapping[str, str]) -> None:
        """The topics of the node, name -> type."""
        if topics != self._topics:
            self._topics = dict(topics)
            self._images = image_topics(topics, self._target)

    def forget(self) -> None:
        """The node is another one: receive everything anew."""
        self._feeds, self._topics, self._images = {}, {}, {}
        self._infos, self._urdf = {}, ""
        with self._moving:
            self._transforms = {}

    def renew_cameras(self) -> None:
        """The models of the cameras may be others now."""
        self._old_infos = {*self._infos}

    def demands(self) -> dict[str, Demand]:
        """The topics to receive now."""
        names, max_fps = self._wanted
        found: dict[str, Demand] = {}
        feeds: dict[str, tuple[object, TopicFeed[Any]]] = {}
        for name, what, topic, kind, make, depth in self._rows(names):
            row = self._feeds.get(name)
            if row is None or row[0] != what:
                row = what, make()
            feeds[name] = row
            row[1].max_fps = max_fps.get(name, 0.0)
            found[topic] = Demand(topic, kind, row[1], depth)
        self._feeds = feeds
        self._collect()
        return found

    def _rows(self, names: frozenset[str]) -> Iterator[tuple[str, object, str, Any, Any, int]]:
        """Name, what it is for, topic, type, maker of the feed, depth; of everything to receive."""
        node = self._target
        for name in sorted(names & self._images.keys()):
            image = self._images[name]
            kind = Image if image.type_name == IMAGE else CompressedImage
            make = partial(_feed, partial(_image, image))
            yield name, image, image.topic, kind, make, 2
        if CLOUD in names:
            yield CLOUD, "", f"{node}/{CLOUD}", PointCloud2, partial(_feed, cloud), 1
        if BOXES in names:
            for name, kind in _RESULTS.items():
                make = partial(_feed, partial(_read, kind), _KEPT_FRAMES)
                yield name, "", f"{node}/{name}", kind, make, 2
            yield _LABELS, "", f"{node}/{_LABELS}", LabelInfo, partial(_feed, _class_names), 1
        if names:
            yield from self._scenery()

    def _scenery(self) -> Iterator[tuple[str, object, str, Any, Any, int]]:
        """What every scene has."""
        for topic in _TF_TOPICS:
            yield topic, "", topic, TFMessage, partial(_feed, _transforms, _TF_DEPTH), _TF_DEPTH
        for topic in self._urdf_topics() if not self._urdf else ():
            yield topic, "", topic, String, partial(_feed, _urdf), 1
        for topic in self._info_topics().values():
            if topic not in self._infos or topic in self._old_infos:
                yield topic, "", topic, CameraInfo, partial(_feed, partial(_read, CameraInfo)), 1

    def _urdf_topics(self) -> Sequence[str]:
        """Where robot_state_publisher may publish the model: beside the node, or for all."""
        namespace = self._target.rpartition("/")[0]
        return tuple(dict.fromkeys((f"{namespace}/{_URDF}", f"/{_URDF}")))

    def _info_topics(self) -> dict[str, str]:
        """Camera -> the topic with its model."""
        found = frustum_images(self._images)
        topics = {
            camera: camera_info_of(image, self._target, self._topics)
            for camera, image in found.items()
        }
        return {camera: topic for camera, topic in topics.items() if topic}

    def _collect(self) -> None:
        """Take what is received only once."""
        for topic in self._info_topics().values():
            info = self._newest(topic)
            if info is not None:
                self._infos = {**self._infos, topic: info}
                self._old_infos.discard(topic)
        for topic in self._urdf_topics():
            self._urdf = self._urdf or self._newest(topic) or ""

    def _newest(self, name: str) -> Any:
        row = self._feeds.get(name)
        return row[1].newest() if row is not None else None

    # -- what reads

    def failures(self) -> list[str]:
        """Topics whose last message could not be read, and why."""
        rows = [*self._feeds.items()]
        return [f"{name}: {feed.failure}" for name, (_, feed) in rows if feed.failure]

    def images(self) -> tuple[ImageChoice, ...]:
        """All images that the node announces."""
        return tuple(row.choice for row in self._images.values())

    def image(self, name: str) -> LatestImage | None:
        """The newest image of a choice."""
        found = self._newest(name)
        return found if isinstance(found, LatestImage) else None

    def cloud(self) -> Cloud | None:
        """The newest cloud."""
        found = self._newest(CLOUD)
        return found if isinstance(found, Cloud) else None

    def boxes(self) -> tuple[Box, ...]:
        """The detections of the newest frame of which all results are there."""
        feeds = self._feeds
        kept: dict[str, list[Any]] = {}
        for name in _RESULTS:
            feed = feeds[name][1] if name in feeds else None
            is_new = feed is not None and time.monotonic() - feed.arrived_s < _OLD_BOXES_S
            kept[name] = feed.all() if feed is not None and is_new else []
        placed = {stamp_ns(message.header): message for message in kept[_SPATIAL]}
        flat = [message for message in kept[_FLAT] if stamp_ns(message.header) in placed]
        base = (flat or kept[_FLAT] or kept[_TRACKED] or [None])[-1]
        if base is None:
            return ()
        when = stamp_ns(base.header)
        tracked = min(
            kept[_TRACKED], key=lambda row: abs(stamp_ns(row.header) - when), default=None
        )
        own = base if kept[_FLAT] else None
        return boxes(own, placed.get(when), tracked, self._newest(_LABELS))

    def cameras(self) -> tuple[CameraView, ...]:
        """The cameras whose models have arrived."""
        images, infos = frustum_images(self._images), self._infos
        views = [
            camera_view(camera, images[camera], infos[topic])
            for camera, topic in self._info_topics().items()
            if topic in infos and camera in images
        ]
        return tuple(view for view in views if view is not None)

    def frames(self) -> tuple[FramePose, ...]:
        """The frames of the tree with the cameras."""
        feeds = self._feeds
        with self._moving:
            known = dict(self._transforms)
            for topic in _TF_TOPICS:
                for found in feeds[topic][1].take() if topic in feeds else ():
                    known.update(found)
            self._transforms = known = dict([*known.items()][-_MOST_FRAMES:])
        return frame_poses(known, [view.frame_id for view in self.cameras()])

    def robot(self) -> str:
        """The URDF, "" = there is none."""
        return self._urdf


def _feed(decode: Callable[[bytes], Any], kept: int = 1) -> TopicFeed[Any]:
    return TopicFeed(decode, kept=kept)


def _image(image: ImageTopic, raw: bytes) -> LatestImage:
    return image_of(raw, image.type_name, image.choice)


def _read(kind: Any, raw: bytes) -> Any:
    return read(raw, kind)


def _class_names(raw: bytes) -> dict[str, str]:
    return class_names(read(raw, LabelInfo))


def _transforms(raw: bytes) -> dict[str, Any]:
    return transforms(read(raw, TFMessage))


def _urdf(raw: bytes) -> str:
    text = without_surrogates(read(raw, String).data)
    shapes(text)  # what cannot be drawn is said, as of other topics
    return text
