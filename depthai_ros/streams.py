"""The stream table: everything the driver believes about each XLink stream.

A row is never changed at run time. What is only known then (the preview's size, the mono
resolution) travels beside it. `message` is a key, not a class, so that the table also serves
where ROS is not installed; `messages/builders.py` has a builder for each key.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic that a stream feeds; `name` is relative to the node (`~/name`)."""

    name: str
    message: str  # key into builders.BUILDERS
    encoding: str = ""  # of an Image; format of a CompressedImage
    option: str = ""  # published only if this option is true
    network: str = ""  # and only if the networks deliver "detections" or raw "tensors"
    camera_info: str = ""  # sibling CameraInfo topic, "" = none
    latched: bool = False


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream.

    `layout` says how to read a payload:
      mono8     (H, W) uint8, H and W of the mono cameras
      depth16   (H, W) uint16, mm
      planar8   (C, H, W) uint8, shape of the NN input
      i420      planar YUV 4:2:0 of the trailer's width and height
      bitstream encoded bytes
      tensors   NN output: detections or raw tensors
      tracklets object tracker block
      json      NUL-terminated text
    `camera` is where the pixels come from: left, right, rgb, or nn (whatever feeds the network).
    `max_packet_bytes` is the largest packet, trailer included; 0 for host -> device streams.
    """

    name: str
    layout: str
    camera: str
    max_packet_bytes: int
    format_code: str  # key into wire_formats.FRAME_FORMATS
    topics: tuple[Topic, ...] = ()

    @property
    def window_bytes(self) -> int:
        """Receive window to ask for: the largest packet, rounded up to 64."""
        return (self.max_packet_bytes + 63) // 64 * 64


_TRAILER_BYTES = 56
_MONO_BYTES = 1280 * 800

#: Data streams, device -> host, in the order in which the device opens them.
STREAMS: dict[str, Stream] = {
    row.name: row
    for row in (
        Stream(
            "meta_d2h",
            "json",
            "",
            1 << 20,
            "bitstream",
            (Topic("device/status", "device_status", latched=True),),
        ),
        Stream(
            "color",
            "i420",
            "rgb",
            20 << 20,
            "yuv420p",
            (Topic("rgb/image_raw", "image", "bgr8", camera_info="rgb/camera_info"),),
        ),
        Stream(
            "left",
            "mono8",
            "left",
            _MONO_BYTES + _TRAILER_BYTES,
            "gray8",
            (Topic("left/image_raw", "image", "mono8", camera_info="left/camera_info"),),
        ),
        Stream(
            "right",
            "mono8",
            "right",
            _MONO_BYTES + _TRAILER_BYTES,
            "gray8",
            (Topic("right/image_raw", "image", "mono8", camera_info="right/camera_info"),),
        ),
        Stream(
            "rectified_left",
            "mono8",
            "left",
            _MONO_BYTES + _TRAILER_BYTES,
            "gray8",
            (Topic("left/image_rect", "image", "mono8", camera_info="left/camera_info"),),
        ),
        Stream(
            "rectified_right",
            "mono8",
            "right",
            _MONO_BYTES + _TRAILER_BYTES,
            "gray8",
            (Topic("right/image_rect", "image", "mono8", camera_info="right/camera_info"),),
        ),
        Stream(
            "disparity",
            "mono8",
            "right",
            _MONO_BYTES + _TRAILER_BYTES,
            "gray8",
            (
                Topic("disparity", "disparity_image", "32FC1"),
                Topic("disparity/image_raw", "image", "mono8", camera_info="disparity/camera_info"),
            ),
        ),
        Stream(
            "depth",
            "depth16",
            "right",
            2 * _MONO_BYTES + _TRAILER_BYTES,
            "raw16",
            (
                Topic("depth/image_raw", "image", "16UC1", camera_info="depth/camera_info"),
                Topic("depth/image", "image", "32FC1", option="publish.depth_float"),
            ),
        ),
        Stream(
            "metaout",
            "tensors",
            "nn",
            4 << 20,
            "bitstream",
            (
                Topic("nn/detections", "detections_2d", network="detections"),
                Topic(
                    "nn/spatial_detections",
                    "detections_3d",
                    option="ai.calc_dist_to_bb",
                    network="detections",
                ),
                Topic("nn/label_info", "label_info", network="detections", latched=True),
                Topic("nn/vision_info", "vision_info", network="detections", latched=True),
                Topic("nn/tensors", "tensors", network="tensors"),
            ),
        ),
        Stream(
            "previewout",
            "planar8",
            "nn",
            1_920_256,
            "bgr888p",
            (
                Topic(
                    "rgb/preview/image_raw",
                    "image",
                    "bgr8",
                    camera_info="rgb/preview/camera_info",
                ),
            ),
        ),
        Stream(
            "jpegout",
            "bitstream",
            "rgb",
            10 << 20,
            "bitstream",
            (
                Topic(
                    "rgb/still/image_raw/compressed",
                    "compressed_image",
                    "bgr8; jpeg compressed bgr8",
                    camera_info="rgb/still/camera_info",
                    latched=True,
                ),
            ),
        ),
        Stream(
            "video",
            "bitstream",
            "rgb",
            10 << 20,
            "bitstream",
            (
                Topic(
                    "rgb/image_raw/compressed",
                    "compressed_image",
                    "bgr8; jpeg compressed bgr8",
                    camera_info="rgb/camera_info",
                ),
            ),
        ),
        Stream(
            "object_tracker",
            "tracklets",
            "nn",
            2000,
            "bitstream",
            (
                Topic("tracklets", "tracklets"),
                Topic("nn/tracked_detections", "tracked_detections"),
            ),
        ),
        # Made on the host from `disparity`; never on the wire.
        Stream(
            "disparity_color",
            "mono8",
            "right",
            3 * _MONO_BYTES + _TRAILER_BYTES,
            "gray8",
            (
                Topic(
                    "disparity_color/image_raw",
                    "image",
                    "bgr8",
                    camera_info="disparity_color/camera_info",
                ),
            ),
        ),
    )
}

#: Streams that a 1.0 device announces, in its own order.
WIRE_STREAMS = tuple(name for name in STREAMS if name != "disparity_color")

#: Streams that speak only when asked to, or about once a second.
RARE_STREAMS = frozenset({"jpegout", "meta_d2h"})

#: Names that older Gen1 programs use.
ALIASES = {
    "depth_raw": "depth",
    "depth_mm_h": "depth",
    "depth_sipp": "depth",
    "depth_color_h": "disparity_color",
    "raw_color": "color",
}

#: Session streams that carry one packet each. Source: docs/wire_format.md#session
CONFIG_H2D_BYTES = 1 << 20
CONFIG_D2H_WINDOW = 102_400
OUT_BLOB_WINDOW = 102_400
HOST_CAPTURE_BYTES = 33
#: The command that reboots the device. Source: docs/wire_format.md#commands
RESET_COMMAND = b"\xad\xde\xad\xde"
HOST_CAPTURE_WINDOW = 64
