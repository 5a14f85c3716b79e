"""What the source says now: read once for all browsers."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .source import Box, CameraSource, CameraView, Cloud, FramePose, ImageChoice, LatestImage

Pose = NDArray[np.float64]

#: From an optical frame (z forward, y down) to one of ROS (x forward, z up).
_OPTICAL = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]], np.float64)


class Moment:
    """A source at one moment; each part is read when it is first used."""

    def __init__(self, source: CameraSource, now_s: float) -> None:
        self.now_s = now_s
        self._source = source
        self._images: dict[str, LatestImage | None] = {}

    def image(self, name: str) -> LatestImage | None:
        """The newest image of a choice."""
        if name not in self._images:
            self._images[name] = self._source.image(name)
        return self._images[name]

    @cached_property
    def choices(self) -> dict[str, ImageChoice]:
        """The images that can be shown, by name."""
        return {choice.name: choice for choice in self._source.images()}

    @cached_property
    def cloud(self) -> Cloud | None:
        """The newest cloud."""
        return self._source.cloud()

    @cached_property
    def boxes(self) -> tuple[Box, ...]:
        """The newest detections."""
        return self._source.boxes()

    @cached_property
    def cameras(self) -> tuple[CameraView, ...]:
        """The cameras in the scene."""
        return self._source.cameras()

    @cached_property
    def frames(self) -> dict[str, FramePose]:
        """The TF tree, by name."""
        return {frame.name: frame for frame in self._source.frames()}

    def pose(self, frame: str) -> Pose:
        """A frame in the root frame, (4, 4); one without a pose stands at the origin."""
        if frame in self.frames:
            return self.frames[frame].pose
        return _OPTICAL if frame.endswith("optical_frame") else np.eye(4)

    @cached_property
    def robot(self) -> str:
        """The URDF of the robot; "" = none."""
        return self._source.robot()
