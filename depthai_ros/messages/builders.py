"""Builds the ROS messages of every stream.

Table `BUILDERS` has one row for each `Topic.message` of the stream table. Large messages come back
as `cdr.Serialized`, all others as message objects. Nothing here talks to ROS: what a builder has to
know besides the packet stands in a `Rig`, which lasts as long as the pipeline.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Quaternion, Transform, TransformStamped, Vector3
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header
from stereo_msgs.msg import DisparityImage
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection2DArray, Detection3DArray, LabelInfo, VisionClass, VisionInfo

from ..calibration.camera_model import CameraModel
from ..errors import DecodeError
from ..msg import DeviceStatus, NNTensors, TrackletArray
from ..streams import STREAMS, Topic
from ..wire_formats import decode_detections, decode_tracklets
from . import cdr, detections
from .context import DEPTH_CAMERA, Rig, optical_pose
from .diagnostics import TEMPERATURES
from .images import Picture, check_jpeg

_NS_PER_S = 1_000_000_000


def ros_time(stamp_ns: int) -> Time:
    """A stamp as a message."""
    seconds, nanoseconds = divmod(stamp_ns, _NS_PER_S)
    return Time(sec=seconds, nanosec=nanoseconds)


def _header(rig: Rig, picture: Picture) -> Header:
    frame_id = rig.frame_id(picture.stream, picture.metadata)
    return Header(stamp=ros_time(picture.stamp_ns), frame_id=frame_id)


# -- pictures


def _image(rig: Rig, topic: Topic, picture: Picture) -> cdr.Serialized:
    canvas = picture.converted(topic.encoding)
    height, width = canvas.array.shape[:2]
    step = canvas.array.strides[0]
    frame_id = rig.frame_id(_TOPIC_STREAMS[topic.name], picture.metadata)
    prefix = cdr.image_prefix(picture.stamp_ns, frame_id, height, width, topic.encoding, step)
    return cdr.Serialized(canvas.buffer, canvas.array.nbytes, prefix)


def _disparity_image(rig: Rig, _topic: Topic, picture: Picture) -> cdr.Serialized:
    canvas = picture.converted("disparity")
    frame_id = rig.frames[DEPTH_CAMERA]
    height, width = canvas.array.shape
    prefix, suffix = cdr.disparity_image_ends(
        picture.stamp_ns, frame_id, height, width, rig.disparity
    )
    return cdr.Serialized(canvas.buffer, canvas.array.nbytes, prefix, suffix)


def _compressed_image(rig: Rig, topic: Topic, picture: Picture) -> cdr.Serialized:
    own = rig.video_format if picture.stream.name == "video" else ""
    if not own:
        check_jpeg(picture.data)
    prefix = cdr.compressed_image_prefix(
        picture.stamp_ns,
        rig.frame_id(picture.stream, picture.metadata),
        own or topic.encoding,
        len(picture.data),
    )
    return cdr.Serialized(picture.buffer, len(picture.data), prefix)


def camera_info(model: CameraModel, frame_id: str, stamp_ns: int) -> CameraInfo:
    """The message of one camera model; all zeros where the camera is not calibrated."""
    return CameraInfo(
        header=Header(stamp=ros_time(stamp_ns), frame_id=frame_id),
        height=model.height,
        width=model.width,
        distortion_model=model.distortion_model,
        d=model.d.ravel().tolist(),
        k=model.k.ravel(),
        r=model.r.ravel(),
        p=model.p.ravel(),
    )


# -- results


def _boxes(rig: Rig, picture: Picture) -> NDArray[Any]:
    """(count,) DETECTION in the upright preview picture."""
    boxes = decode_detections(picture.data)
    return detections.unmirrored(boxes) if rig.network.mirrored else boxes


def _detections_2d(rig: Rig, _topic: Topic, picture: Picture) -> Detection2DArray:
    boxes = _boxes(rig, picture)
    size = rig.pictures.preview_size
    return detections.detections_2d(_header(rig, picture), boxes, size, rig.network)


def _detections_3d(rig: Rig, _topic: Topic, picture: Picture) -> Detection3DArray:
    header = Header(stamp=ros_time(picture.stamp_ns), frame_id=rig.frames[DEPTH_CAMERA])
    boxes = _boxes(rig, picture)
    size = rig.pictures.preview_size
    return detections.detections_3d(header, boxes, size, rig.network, rig.disparity)


def _tensors(rig: Rig, _topic: Topic, picture: Picture) -> cdr.Serialized:
    frame_id = rig.frame_id(picture.stream, picture.metadata)
    return rig.tensors.serialized(picture.stamp_ns, frame_id, picture.data)


def _tracklets(rig: Rig, _topic: Topic, picture: Picture) -> TrackletArray:
    camera = rig.camera(picture.stream, picture.metadata)
    return detections.tracklets(
        _header(rig, picture),
        rig.results.tracks,
        rig.pictures.preview_size,
        rig.network,
        rig.results.matches(picture.stamp_ns),
        rig.network.from_depth.get(camera),
    )


def _tracked_detections(rig: Rig, _topic: Topic, picture: Picture) -> Detection2DArray:
    matches = rig.results.matches(picture.stamp_ns)
    return detections.tracked_detections(
        _header(rig, picture), rig.results.tracks, rig.network, matches
    )


def _device_status(rig: Rig, _topic: Topic, picture: Picture) -> DeviceStatus:
    return rig.health.device_status(ros_time(picture.stamp_ns), picture.received_ns)


def _label_info(rig: Rig, stamp_ns: int) -> LabelInfo:
    classes = enumerate(rig.network.labels)
    return LabelInfo(
        header=Header(stamp=ros_time(stamp_ns), frame_id=rig.frames[rig.network.cameras[0]]),
        class_map=[VisionClass(class_id=number, class_name=name) for number, name in classes],
        threshold=rig.network.threshold,
    )


def _vision_info(rig: Rig, stamp_ns: int) -> VisionInfo:
    return VisionInfo(
        header=Header(stamp=ros_time(stamp_ns), frame_id=rig.frames[rig.network.cameras[0]]),
        method=rig.network.method,
        database_location=rig.network.label_topic,
        database_version=0,
    )


# -- packets that are read whether or not somebody subscribed


def _remember_detections(rig: Rig, picture: Picture) -> None:
    if rig.network.decoded:
        rig.results.detected(picture.stamp_ns, _boxes(rig, picture))


def _remember_tracklets(rig: Rig, picture: Picture) -> None:
    rows, size = decode_tracklets(picture.data), rig.pictures.preview_size
    if rig.network.mirrored:
        rows = detections.unmirrored_tracklets(rows, size[0])
    rig.results.tracked(rows, size)


def _remember_status(rig: Rig, picture: Picture) -> None:
    text = bytes(picture.data).split(b"\0", 1)[0]
    try:
        document = json.loads(text)
        told = document["sensors"]["temperature"]
        temperatures = {name: float(told[name]) for name in TEMPERATURES if name in told}
        logs = [str(line) for line in document.get("logs", ())]
    except (ValueError, KeyError, TypeError) as cause:
        raise DecodeError(f"device status of {len(text)} bytes: {cause!r}") from cause
    rig.health.device_spoke(temperatures, logs, picture.received_ns)


#: Layout -> what every packet of it does to the rig's memory.
OBSERVERS: dict[str, Callable[[Rig, Picture], None]] = {
    "tensors": _remember_detections,
    "tracklets": _remember_tracklets,
    "json": _remember_status,
}


@dataclass(frozen=True, slots=True)
class Builder:
    """How one kind of message is made from one packet."""

    message_type: type[Any]
    build: Callable[[Rig, Topic, Picture], Any]


@dataclass(frozen=True, slots=True)
class StandingBuilder:
    """How a message is made that says the same as long as the pipeline runs."""

    message_type: type[Any]
    build: Callable[[Rig, int], Any]


#: `Topic.message` -> how to build it.
BUILDERS: dict[str, Builder | StandingBuilder] = {
    "image": Builder(Image, _image),
    "compressed_image": Builder(CompressedImage, _compressed_image),
    "disparity_image": Builder(DisparityImage, _disparity_image),
    "detections_2d": Builder(Detection2DArray, _detections_2d),
    "detections_3d": Builder(Detection3DArray, _detections_3d),
    "tensors": Builder(NNTensors, _tensors),
    "tracklets": Builder(TrackletArray, _tracklets),
    "tracked_detections": Builder(Detection2DArray, _tracked_detections),
    "device_status": Builder(DeviceStatus, _device_status),
    "label_info": StandingBuilder(LabelInfo, _label_info),
    "vision_info": StandingBuilder(VisionInfo, _vision_info),
}

_TOPIC_STREAMS = {topic.name: row for row in STREAMS.values() for topic in row.topics}


# -- frames


def static_transforms(
    frames: Mapping[str, str],
    poses: Mapping[str, NDArray[np.float64]],
    parent_frame: str,
    stamp_ns: int,
) -> TFMessage:
    """All fixed frames at once: parent (if any) to base, base to bodies, bodies to optical frames.

    Shape   poses: (4, 4), body frame in base frame
    Units   m
    """
    edges = [(parent_frame, frames["base"], np.eye(4))] if parent_frame else []
    for camera, pose in poses.items():
        body = frames[f"{camera}_body"]
        edges.append((frames["base"], body, pose))
        edges.append((body, frames[camera], optical_pose(np.eye(4))))
    return TFMessage(transforms=[_transform(*edge, stamp_ns) for edge in edges])


def _transform(
    parent: str, child: str, pose: NDArray[np.float64], stamp_ns: int
) -> TransformStamped:
    x, y, z = pose[:3, 3].tolist()
    return TransformStamped(
        header=Header(stamp=ros_time(stamp_ns), frame_id=parent),
        child_frame_id=child,
        transform=Transform(translation=Vector3(x=x, y=y, z=z), rotation=_quaternion(pose[:3, :3])),
    )


def _quaternion(rotation: NDArray[np.float64]) -> Quaternion:
    """The unit quaternion of a rotation, w >= 0: eigenvector of its 4x4 form.

    Source  I. Y. Bar-Itzhack, "New method for extracting the quaternion from a rotation matrix"
    """
    (a, b, c), (d, e, f), (g, h, i) = rotation.tolist()
    form = np.array(
        [
            [a - e - i, 0.0, 0.0, 0.0],
            [d + b, e - a - i, 0.0, 0.0],
            [g + c, h + f, i - a - e, 0.0],
            [h - f, c - g, d - b, a + e + i],
        ]
    )
    x, y, z, w = np.linalg.eigh(form)[1][:, -1].tolist()
    sign = -1.0 if w < 0 else 1.0
    return Quaternion(x=sign * x, y=sign * y, z=sign * z, w=sign * w)
