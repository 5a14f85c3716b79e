"""The stream table: the properties of each XLink stream, and the topics it feeds.

Rows do not change at run time; sizes that are known only then (preview, mono resolution) are stored
elsewhere. `message` is a key, not a class, so that the table works without ROS;
`messages/builders.py` has a builder for each key.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic that a stream feeds; `name` is relative to the node (`~/name`)."""

    name: str
    message: str  # key into builders.BUILDERS
    encoding: str = ""  # of an Image; format of a CompressedImage
    option: str = ""  # published only if this option is true
    network: str = ""  # and only if the networks send "detections" or raw "tensors"
    codec: str = ""  # and only if video_config.profile encodes single images ("jpeg") or "video"
    camera_info: str = ""  # its CameraInfo topic, "" = none
    latched: bool = False
    filtered: bool = False  # shows depth after the filters


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream.

    `layout` is the format of a payload:
      mono8     (H, W) uint8, H and W of the mono cameras
      depth16   (H, W) uint16, mm
      planar8   (C, H, W) uint8, shape of the NN input
      i420      planar YUV 4:2:0 of the trailer's width and height
      bitstream encoded bytes
      tensors   NN output: detections or raw tensors
      tracklets object tracker block
      json      NUL-terminated text
    `camera` is the source of the pixels: left, right, rgb, or nn (the network's input); "" for
    text. `content` is the kind of pixels: raw, rectified, disparity, depth, still or video.
    `pace` is the reason why the device sends a packet: each "exposure" of the camera, a "request",
    or a "report" about once a second.
    `max_packet_bytes` is the largest packet, trailer included; a network may need larger ones.
    `made_from` is the stream that the host makes this one from; "" for a stream on the wire. Its
    stamps and its rate are those of this stream.
    """

    name: str
    layout: str
    camera: str
    max_packet_bytes: int
    topics: tuple[Topic, ...] = ()
    content: str = "raw"
    pace: str = "exposure"
    made_from: str = ""

    @property
    def window_bytes(self) -> int:
        """Receive window to request for the largest packet."""
        return window_bytes(self.max_packet_bytes)

    @property
    def is_stereo(self) -> bool:
        """True if the stereo engine makes the stream of the images of both mono cameras."""
        return self.content in ("rectified", "disparity", "depth")

    def sensor(self, nn_input: str) -> str:
        """The sensor whose exposures the stream follows: "rgb", "mono" (both), or "" for none.

        `nn_input` is the value of `ai.camera_input`.
        """
        camera = nn_input if self.camera == "nn" else self.camera
        return camera if camera in ("", "rgb") else "mono"


@dataclass(frozen=True, slots=True)
class DerivedOutput:
    """One topic that the host makes from the packets of a stream, with their stamp and frame.

    `stream` is the name in `stream_list` that adds the topic; "" = it is added with its source.
    """

    source: str
    topic: Topic
    stream: str = ""


def window_bytes(packet_bytes: int) -> int:
    """Receive window to request for packets of this size: rounded up to 64."""
    return (packet_bytes + 63) // 64 * 64


_TRAILER_BYTES = 56
_MONO_BYTES = 1280 * 800


def _image(name: str, encoding: str, *, filtered: bool = False) -> Topic:
    """An Image topic with the camera_info of its group."""
    info = name.rpartition("image_")[0] + "camera_info"
    return Topic(name, "image", encoding, camera_info=info, filtered=filtered)


def _depth_images(group: str, *, filtered: bool = False) -> tuple[Topic, Topic]:
    """Depth in mm, and in metres."""
    metres = Topic(
        f"{group}/image", "image", "32FC1", option="publish.depth_float", filtered=filtered
    )
    return _image(f"{group}/image_raw", "16UC1", filtered=filtered), metres


def _mono(name: str, camera: str, topic: str, content: str = "raw") -> Stream:
    """A stream of mono8 images."""
    size = _MONO_BYTES + _TRAILER_BYTES
    return Stream(name, "mono8", camera, size, (_image(topic, "mono8"),), content)


def _jpeg(group: str, *, codec: str = "", latched: bool = False) -> Topic:
    return Topic(
        f"{group}/image_raw/compressed",
        "compressed_image",
        "bgr8; jpeg compressed bgr8",
        codec=codec,
        camera_info=f"{group}/camera_info",
        latched=latched,
    )


_STATUS = Topic("device/status", "device_status", latched=True)
_RESULTS = (
    Topic("nn/detections", "detections_2d", network="detections"),
    Topic(
        "nn/spatial_detections",
        "detections_3d",
        option="ai.calc_dist_to_bb",
        network="detections",
    ),
    Topic("nn/markers", "markers", option="ai.calc_dist_to_bb", network="detections"),
    Topic("nn/label_info", "label_info", network="detections", latched=True),
    Topic("nn/vision_info", "vision_info", network="detections", latched=True),
    Topic("nn/tensors", "tensors", network="tensors"),
)
_TRACKS = (
    Topic("tracklets", "tracklets"),
    Topic("nn/tracked_detections", "tracked_detections"),
)
_VIDEO = (
    _jpeg("rgb", codec="jpeg"),
    Topic("rgb/image_raw/ffmpeg", "ffmpeg_packet", codec="video", camera_info="rgb/camera_info"),
    Topic("rgb/video", "compressed_video", codec="video", camera_info="rgb/camera_info"),
)
_ENCODED_BYTES = 10 << 20
_DEPTH_BYTES = 2 * _MONO_BYTES + _TRAILER_BYTES
_DEPTH = (*_depth_images("depth", filtered=True), _image("depth/unfiltered/image_raw", "16UC1"))

#: Streams on the wire, device -> host, in the order in which a 1.0 device announces them.
_WIRE_ROWS = (
    Stream("meta_d2h", "json", "", 1 << 20, (_STATUS,), pace="report"),
    Stream("color", "i420", "rgb", 20 << 20, (_image("rgb/image_raw", "bgr8"),)),
    _mono("left", "left", "left/image_raw"),
    _mono("right", "right", "right/image_raw"),
    _mono("rectified_left", "left", "left/image_rect", "rectified"),
    _mono("rectified_right", "right", "right/image_rect", "rectified"),
    _mono("disparity", "right", "disparity/image_raw", "disparity"),
    Stream("depth", "depth16", "right", _DEPTH_BYTES, _DEPTH, "depth"),
    Stream("metaout", "tensors", "nn", 4 << 20, _RESULTS),
    Stream("previewout", "planar8", "nn", 1_920_256, (_image("rgb/preview/image_raw", "bgr8"),)),
    Stream(
        "jpegout",
        "bitstream",
        "rgb",
        _ENCODED_BYTES,
        (_jpeg("rgb/still", latched=True),),
        "still",
        "request",
    ),
    Stream("video", "bitstream", "rgb", _ENCODED_BYTES, _VIDEO, "video"),
    Stream("object_tracker", "tracklets", "nn", 2000, _TRACKS),
)

#: Topics that the packet loop makes from the packets of a stream, in one pass over the pixels.
DERIVED_OUTPUTS = (
    DerivedOutput("disparity", Topic("disparity", "disparity_image", "32FC1")),
    DerivedOutput(
        "disparity", _image("disparity_color/image_raw", "bgr8"), stream="disparity_color"
    ),
)


def _all_rows() -> dict[str, Stream]:
    """All streams, on the wire and made by the host, each with all of its topics."""
    rows = {row.name: row for row in _WIRE_ROWS}
    for output in DERIVED_OUTPUTS:
        source = rows[output.source]
        if output.stream:
            made = replace(source, name=output.stream, topics=(), made_from=source.name)
            rows[made.name] = source = made
        rows[source.name] = replace(source, topics=(*source.topics, output.topic))
    return rows


#: Every stream that `stream_list` can name.
STREAMS: dict[str, Stream] = _all_rows()


def _worked(name: str, source: str, camera: str, *topics: Topic, content: str = "") -> Stream:
    """A stream that workers make from one on the wire."""
    row = STREAMS[source]
    return replace(
        row,
        name=name,
        camera=camera,
        topics=topics,
        content=content or row.content,
        made_from=source,
    )


#: Streams that the worker stage makes, beside the packet loop: they take longer than it has time.
WORKER_OUTPUTS: dict[str, Stream] = {
    row.name: row
    for row in (
        _worked("points", "depth", "right", Topic("points", "point_cloud")),
        _worked(
            "depth_registered",
            "depth",
            "rgb",
            *_depth_images("depth_registered"),
            content="registered",
        ),
        _worked("rgb_rect", "color", "rgb", _image("rgb/image_rect_color", "bgr8")),
        _worked("left_rect", "left", "left", _image("left/image_rect", "mono8")),
        _worked("right_rect", "right", "right", _image("right/image_rect", "mono8")),
    )
}

#: Encoding of an image -> the transport that compresses it, as image_transport names it.
TRANSPORTS = {
    "mono8": "compressed",
    "bgr8": "compressed",
    "16UC1": "compressedDepth",
    "32FC1": "compressedDepth",
}
#: Streams on the wire, and those that the host makes of them.
ALL_STREAMS = STREAMS | WORKER_OUTPUTS
#: Image topic -> the topic with the same images, which the node compresses.
COMPRESSED_TOPICS: dict[str, Topic] = {
    topic.name: replace(
        topic,
        name=f"{topic.name}/{TRANSPORTS[topic.encoding]}",
        message="compressed_image",
        camera_info="",  # that of the image
    )
    for row in ALL_STREAMS.values()
    for topic in row.topics
    if topic.message == "image"
}
_PIXELS = frozenset({"image", "compressed_image", "disparity_image", "point_cloud"})
#: Kinds of messages with pixels or points; `publish.queue_depth` is for them.
LARGE_MESSAGES = _PIXELS | {"ffmpeg_packet", "compressed_video"}
#: Topics with a rate limit, `publish.TOPIC.max_fps`. The compressed ones of the node have another,
#: and no frame of a video can be left out.
LIMITED_TOPICS = tuple(
    dict.fromkeys(
        topic.name
        for row in ALL_STREAMS.values()
        for topic in row.topics
        if topic.message in _PIXELS and row.pace == "exposure"
    )
)

#: Outputs with `stereo.rectify: host` -> the stream of the device that they replace.
HOST_RECTIFIED = {"left_rect": "rectified_left", "right_rect": "rectified_right"}
#: `points.color` -> the stream of the colours.
COLOR_STREAMS = {"none": "", "mono": "rectified_right", "rgb": "color"}

#: Streams that a 1.0 device announces, in its own order.
WIRE_STREAMS = tuple(row.name for row in _WIRE_ROWS)

#: Names that older Gen1 programs use.
ALIASES = {
    "depth_raw": "depth",
    "depth_mm_h": "depth",
    "depth_sipp": "depth",
    "depth_color_h": "disparity_color",
    "raw_color": "color",
}

#: Rate of the streams with the pace "report".
REPORT_HZ = 1.0
#: Largest packet of a stream whose size a network decides.
NETWORK_PACKET_BYTES = 32 << 20
#: Session streams that carry one packet each. Source: docs/wire_format.md#session
CONFIG_H2D_BYTES = 1 << 20
CONFIG_D2H_WINDOW = 102_400
OUT_BLOB_WINDOW = 102_400
HOST_CAPTURE_BYTES = 33
#: The command that reboots the device. Source: docs/wire_format.md#commands
RESET_COMMAND = b"\xad\xde\xad\xde"
HOST_CAPTURE_WINDOW = 64
