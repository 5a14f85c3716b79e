"""Builds the ROS messages of every stream.

Table `BUILDERS` has one row for each `Topic.message` of the stream table. Large messages are
returned as `cdr.Serialized`, all others as message objects. This module publishes nothing: builders
get a packet and a `MessageContext`, which lasts as long as the pipeline.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Quaternion, Transform, TransformStamped, Vector3
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_msgs.msg import Header
from stereo_msgs.msg import DisparityImage
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection2DArray, Detection3DArray, LabelInfo, VisionClass, VisionInfo
from visualization_msgs.msg import MarkerArray

from ..calibration.camera_model import CameraModel
from ..calibration.poses import optical_pose
from ..msg import DeviceStatus, NNTensors, TrackletArray
from ..streams import ALL_STREAMS, COMPRESSED_TOPICS, Topic
from ..wire_formats import decode_detections, decode_tracklets, in_ros_range
from . import cdr, detected_boxes, detections
from .context import DEPTH_CAMERA, MessageContext
from .device_log import read_report
from .images import StampedPacket, check_jpeg
from .markers import markers
from .value_limits import DETECTION_LIMITS, TRACKLET_LIMITS, check_records

try:
    from ffmpeg_image_transport_msgs.msg import FFMPEGPacket
except ImportError:
    FFMPEGPacket = None
try:
    from foxglove_msgs.msg import CompressedVideo
except ImportError:
    CompressedVideo = None

_NS_PER_S = 1_000_000_000
#: FFMPEGPacket.encoding after the codec: pixels in the encoder, of cv_bridge, and of our raw topic.
#: Source: ffmpeg_image_transport_msgs 1.3, FFMPEGPacket.msg
_PIXELS_IN_LIBAV = "yuv420p;bgr8;bgr8"


def ros_time(stamp_ns: int) -> Time:
    """A stamp as a message; the nearest that it can hold."""
    seconds, nanoseconds = divmod(in_ros_range(stamp_ns), _NS_PER_S)
    return Time(sec=seconds, nanosec=nanoseconds)


def _header(context: MessageContext, packet: StampedPacket) -> Header:
    frame_id = context.frame_id(packet.stream, packet.metadata)
    return Header(stamp=ros_time(packet.stamp_ns), frame_id=frame_id)


# -- images


def _image(context: MessageContext, topic: Topic, packet: StampedPacket) -> cdr.Serialized:
    image = packet.converted(topic.encoding)
    height, width = image.array.shape[:2]
    step = image.array.strides[0]
    frame_id = context.frame_id(_TOPIC_STREAMS[topic.name], packet.metadata)
    prefix = cdr.image_prefix(packet.stamp_ns, frame_id, height, width, topic.encoding, step)
    return cdr.Serialized(image.buffer, image.array.nbytes, prefix)


def _disparity_image(
    context: MessageContext, _topic: Topic, packet: StampedPacket
) -> cdr.Serialized:
    image = packet.converted("disparity")
    frame_id = context.frames[DEPTH_CAMERA]
    height, width = image.array.shape
    prefix, suffix = cdr.disparity_image_ends(
        packet.stamp_ns, frame_id, height, width, context.disparity
    )
    return cdr.Serialized(image.buffer, image.array.nbytes, prefix, suffix)


def _compressed_image(
    context: MessageContext, topic: Topic, packet: StampedPacket
) -> cdr.Serialized:
    own = packet.image_format
    if not own:
        check_jpeg(packet.data)
    prefix = cdr.compressed_image_prefix(
        packet.stamp_ns,
        context.frame_id(_TOPIC_STREAMS[topic.name], packet.metadata),
        own or topic.encoding,
        len(packet.data),
    )
    return cdr.Serialized(packet.buffer, len(packet.data), prefix)


def _ffmpeg_packets(
    context: MessageContext, _topic: Topic, packet: StampedPacket
) -> list[cdr.Serialized]:
    assert context.video is not None
    frame_id, libav = context.frame_id(packet.stream, packet.metadata), context.video.codec.libav
    width, height = context.images.sizes.rgb
    return [
        cdr.Serialized(
            unit.buffer,
            unit.size,
            cdr.ffmpeg_packet_prefix(
                unit.stamp_ns,
                frame_id,
                width,
                height,
                f"{libav};{_PIXELS_IN_LIBAV}",
                is_key=unit.is_key,
                size=unit.size,
            ),
        )
        for unit in packet.units
    ]


def _compressed_videos(
    context: MessageContext, _topic: Topic, packet: StampedPacket
) -> list[cdr.Serialized]:
    assert context.video is not None
    frame_id = context.frame_id(packet.stream, packet.metadata)
    video_format = context.video.codec.video_format
    return [
        cdr.Serialized(
            unit.buffer,
            unit.size,
            *cdr.compressed_video_ends(unit.stamp_ns, frame_id, video_format, unit.size),
        )
        for unit in packet.units
    ]


def _point_cloud(context: MessageContext, _topic: Topic, packet: StampedPacket) -> cdr.Serialized:
    image, fields = packet.points()
    height, width = image.array.shape[:2]
    frame_id = context.frames[DEPTH_CAMERA]
    prefix, suffix = cdr.point_cloud_ends(packet.stamp_ns, frame_id, height, width, fields)
    return cdr.Serialized(image.buffer, image.array.nbytes, prefix, suffix)


def camera_info(model: CameraModel, frame_id: str, stamp_ns: int) -> CameraInfo:
    """The CameraInfo of one camera model; all zeros if the camera is not calibrated."""
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


def _boxes(context: MessageContext, packet: StampedPacket) -> NDArray[Any]:
    """(count,) DETECTION in the upright preview image."""
    boxes = check_records("detection", decode_detections(packet.data), DETECTION_LIMITS)
    return detected_boxes.unmirrored(boxes) if context.network.mirrored else boxes


def _detections_2d(
    context: MessageContext, _topic: Topic, packet: StampedPacket
) -> Detection2DArray:
    boxes = _boxes(context, packet)
    size = context.images.sizes.preview
    return detections.detections_2d(_header(context, packet), boxes, size, context.network)


def _detections_3d(
    context: MessageContext, _topic: Topic, packet: StampedPacket
) -> Detection3DArray:
    header = Header(stamp=ros_time(packet.stamp_ns), frame_id=context.frames[DEPTH_CAMERA])
    boxes = _boxes(context, packet)
    size = context.images.sizes.preview
    return detections.detections_3d(header, boxes, size, context.network, context.disparity)


def _markers(context: MessageContext, topic: Topic, packet: StampedPacket) -> MarkerArray:
    stats = context.health.stream_stats.get(packet.stream.name)
    rate_hz = stats.expected_fps if stats is not None else 0.0
    return markers(_detections_3d(context, topic, packet), rate_hz)


def _tensors(context: MessageContext, _topic: Topic, packet: StampedPacket) -> cdr.Serialized:
    frame_id = context.frame_id(packet.stream, packet.metadata)
    return context.tensors.serialized(packet.stamp_ns, frame_id, packet.data)


def _tracklets(context: MessageContext, _topic: Topic, packet: StampedPacket) -> TrackletArray:
    camera = context.camera(packet.stream, packet.metadata)
    return detections.tracklets(
        _header(context, packet),
        context.results.tracks,
        context.images.sizes.preview,
        context.network,
        context.results.matches(packet.stamp_ns),
        context.network.from_depth.get(camera),
    )


def _tracked_detections(
    context: MessageContext, _topic: Topic, packet: StampedPacket
) -> Detection2DArray:
    matches = context.results.matches(packet.stamp_ns)
    return detections.tracked_detections(
        _header(context, packet), context.results.tracks, context.network, matches
    )


def _device_status(context: MessageContext, _topic: Topic, packet: StampedPacket) -> DeviceStatus:
    return context.health.device_status(ros_time(packet.stamp_ns), packet.received_ns)


def _label_info(context: MessageContext, stamp_ns: int) -> LabelInfo:
    classes = enumerate(context.network.labels)
    return LabelInfo(
        header=Header(
            stamp=ros_time(stamp_ns), frame_id=context.frames[context.network.cameras[0]]
        ),
        class_map=[VisionClass(class_id=number, class_name=name) for number, name in classes],
        threshold=context.network.threshold,
    )


def _vision_info(context: MessageContext, stamp_ns: int) -> VisionInfo:
    return VisionInfo(
        header=Header(
            stamp=ros_time(stamp_ns), frame_id=context.frames[context.network.cameras[0]]
        ),
        method=context.network.method,
        database_location=context.network.label_topic,
        database_version=0,
    )


# -- packets that are decoded also without subscribers


def _remember_detections(context: MessageContext, packet: StampedPacket) -> None:
    if context.network.decoded:
        context.results.detected(packet.stamp_ns, _boxes(context, packet))


def _remember_tracklets(context: MessageContext, packet: StampedPacket) -> None:
    rows = check_records("tracklet", decode_tracklets(packet.data), TRACKLET_LIMITS)
    size = context.images.sizes.preview
    if context.network.mirrored:
        rows = detected_boxes.unmirrored_tracklets(rows, size[0])
    context.results.tracked(rows, size)


def _remember_status(context: MessageContext, packet: StampedPacket) -> None:
    temperatures, lines = read_report(packet.data, packet.stream)
    context.health.device_spoke(temperatures, lines, packet.received_ns)


def _join_access_units(context: MessageContext, packet: StampedPacket) -> None:
    if context.video is not None and packet.stream.content == "video":
        packet.units = context.video.add(packet.data, packet.buffer, packet.stamp_ns, packet.serial)


#: Layout -> function that updates the context with every packet.
PACKET_HOOKS: dict[str, Callable[[MessageContext, StampedPacket], None]] = {
    "bitstream": _join_access_units,
    "tensors": _remember_detections,
    "tracklets": _remember_tracklets,
    "json": _remember_status,
}


@dataclass(frozen=True, slots=True)
class Builder:
    """Builds one type of message from one packet; a list if there may be none, or several."""

    message_type: type[Any]
    build: Callable[[MessageContext, Topic, StampedPacket], Any]


@dataclass(frozen=True, slots=True)
class StaticMessageBuilder:
    """Builds a message that stays the same while the pipeline runs."""

    message_type: type[Any]
    build: Callable[[MessageContext, int], Any]


#: `Topic.message` -> its builder; without those whose message package is not installed.
BUILDERS: dict[str, Builder | StaticMessageBuilder] = {
    "image": Builder(Image, _image),
    "compressed_image": Builder(CompressedImage, _compressed_image),
    "point_cloud": Builder(PointCloud2, _point_cloud),
    "disparity_image": Builder(DisparityImage, _disparity_image),
    "detections_2d": Builder(Detection2DArray, _detections_2d),
    "detections_3d": Builder(Detection3DArray, _detections_3d),
    "markers": Builder(MarkerArray, _markers),
    "tensors": Builder(NNTensors, _tensors),
    "tracklets": Builder(TrackletArray, _tracklets),
    "tracked_detections": Builder(Detection2DArray, _tracked_detections),
    "device_status": Builder(DeviceStatus, _device_status),
    "label_info": StaticMessageBuilder(LabelInfo, _label_info),
    "vision_info": StaticMessageBuilder(VisionInfo, _vision_info),
}

if FFMPEGPacket is not None:
    BUILDERS["ffmpeg_packet"] = Builder(FFMPEGPacket, _ffmpeg_packets)
if CompressedVideo is not None:
    BUILDERS["compressed_video"] = Builder(CompressedVideo, _compressed_videos)
#: `Topic.message` -> its package, of those that may be missing.
OPTIONAL_PACKAGES = {
    "ffmpeg_packet": "ffmpeg_image_transport_msgs",
    "compressed_video": "foxglove_msgs",
}

_TOPIC_STREAMS = {
    topic.name: row
    for row in ALL_STREAMS.values()
    for image in row.topics
    for topic in (image, COMPRESSED_TOPICS.get(image.name, image))
}


# -- frames


def static_transforms(
    frames: Mapping[str, str],
    poses: Mapping[str, NDArray[np.float64]],
    parent_frame: str,
    stamp_ns: int,
) -> TFMessage:
    """All fixed frames: parent (if any) to base, base to body frames, body to optical frames.

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
