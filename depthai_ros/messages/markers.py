"""Converts detections in 3D to markers for rviz, which rarely has the plugins of vision_msgs."""

from __future__ import annotations

import colorsys
import zlib

from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Pose, Vector3
from std_msgs.msg import ColorRGBA
from vision_msgs.msg import Detection3D, Detection3DArray
from visualization_msgs.msg import Marker, MarkerArray

#: rviz refuses an extent of zero; boxes have none where the camera is not calibrated.
_SMALLEST_M = 0.05
_TEXT_M = 0.08
_BOX_OPACITY, _TEXT_OPACITY = 0.35, 1.0
#: A marker disappears after this many periods of the network, and not before this time.
_PERIODS, _SHORTEST_S = 5, 0.5


def markers(message: Detection3DArray, rate_hz: float) -> MarkerArray:
    """A box and a text for each detection, with its frame and stamp.

    The ids are the positions in the message, so each message replaces the markers of the last one;
    what is left of a longer one disappears by its lifetime. `rate_hz` is that of the network, 0 =
    not known.
    """
    lifetime_s = max(_SHORTEST_S, _PERIODS / rate_hz if rate_hz > 0.0 else 0.0)
    lifetime = Duration(sec=int(lifetime_s), nanosec=int(lifetime_s % 1.0 * 1e9))
    made = MarkerArray()
    for number, detection in enumerate(message.detections):
        for marker in (_box(detection), _text(detection)):
            marker.header, marker.id, marker.lifetime = message.header, number, lifetime
            made.markers.append(marker)
    return made


def _box(detection: Detection3D) -> Marker:
    size = detection.bbox.size
    scale = Vector3(**{axis: max(getattr(size, axis), _SMALLEST_M) for axis in "xyz"})
    return Marker(
        ns="boxes",
        type=Marker.CUBE,
        action=Marker.ADD,
        pose=detection.bbox.center,
        scale=scale,
        color=_color(detection, _BOX_OPACITY),
    )


def _text(detection: Detection3D) -> Marker:
    """Name, confidence and distance, above the box: y points down in optical axes."""
    centre = detection.bbox.center.position
    above = centre.y - detection.bbox.size.y / 2 - _TEXT_M
    found = detection.results[0].hypothesis
    return Marker(
        ns="labels",
        type=Marker.TEXT_VIEW_FACING,
        action=Marker.ADD,
        pose=Pose(
            position=Point(x=centre.x, y=above, z=centre.z),
            orientation=detection.bbox.center.orientation,
        ),
        scale=Vector3(x=_TEXT_M / 2, z=_TEXT_M),  # x is the width of a space in rviz
        color=_color(detection, _TEXT_OPACITY),
        text=f"{found.class_id} {found.score:.0%} {centre.z:.2f} m",
    )


def _color(detection: Detection3D, opacity: float) -> ColorRGBA:
    """A bright colour that is always the same for a class."""
    hue = zlib.crc32(detection.results[0].hypothesis.class_id.encode()) / 2**32
    r, g, b = colorsys.hsv_to_rgb(hue, 0.7, 1.0)
    return ColorRGBA(r=r, g=g, b=b, a=opacity)
