"""The compressed topics of images, and what they replace where bandwidth is scarce.

The monitor (`--compressed`) and record.launch.py (`compressed:=true`) take them in place of raw
images. Names are those of the stream table, below the node's name.
"""

from __future__ import annotations

from collections.abc import Mapping

from .streams import ALL_STREAMS, COMPRESSED_TOPICS, STREAMS, WORKER_OUTPUTS, Stream

#: Encoding of an image -> bytes of a pixel.
PIXEL_BYTES = {"mono8": 1, "bgr8": 3, "16UC1": 2, "32FC1": 4}
#: Topics with the video of a camera in place of single images -> the image that they show.
VIDEO = {
    topic.name: "rgb/image_raw"
    for topic in STREAMS["video"].topics
    if topic.message in ("ffmpeg_packet", "compressed_video")
}
#: Image topic -> its compressed topic.
COMPRESSED = {image: topic.name for image, topic in COMPRESSED_TOPICS.items()}
#: Compressed topic -> the image that it shows.
IMAGES = {name: image for image, name in COMPRESSED.items()} | VIDEO
#: Topics with uncompressed pixels or points.
RAW = frozenset(
    topic.name
    for row in ALL_STREAMS.values()
    for topic in row.topics
    if topic.message in ("image", "disparity_image", "point_cloud")
)


def _names(rows: Mapping[str, Stream]) -> frozenset[str]:
    """The topics of streams, with those of camera_info."""
    topics = [topic for row in rows.values() for topic in row.topics]
    return frozenset(name for topic in topics for name in (topic.name, topic.camera_info) if name)


#: What the node makes only for subscribers, and what shows depth a second time.
ON_DEMAND = (_names(WORKER_OUTPUTS) - _names(STREAMS)) | {
    "depth/unfiltered/image_raw",
    "depth/unfiltered/camera_info",
}
#: Compressed topics of what can be made again from others: of those, and of depth in metres.
_REDUNDANT = frozenset(
    topic.name
    for image, topic in COMPRESSED_TOPICS.items()
    if image in ON_DEMAND or topic.encoding == "32FC1"
)
#: What is left out where every image is taken once, compressed.
NOT_COMPRESSED = RAW | ON_DEMAND | _REDUNDANT


def encoding_of(topic: str) -> str:
    """Encoding of the raw image that a compressed topic shows; "" if it shows none of ours."""
    image = IMAGES.get(topic, "")
    return COMPRESSED_TOPICS[image].encoding if image else ""
