"""Collects the data that messages need besides a packet: models, frames, sizes, network.

A `MessageContext` is made when a pipeline starts, and used until it ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from types import MappingProxyType
from typing import Any

import numpy as np

from ..calibration.calibration import Calibration
from ..calibration.camera_model import CameraModel, Matrix
from ..calibration.poses import optical_pose
from ..cameras import NN_CAMERAS
from ..config import NetworkConfig, Settings
from ..streams import ALL_STREAMS, STREAMS, Stream
from ..wire_formats import CAMERAS, MAX_DISPARITY, FrameSizes, FrameTrailer
from .access_units import CODECS, AccessUnits
from .cdr import DisparityEnds
from .derived import DerivedImages
from .detections import NetworkFacts, ResultHistory
from .diagnostics import Health
from .encoders import ImageEncoders
from .images import STEREO_CONTENTS, ImageSettings, image_settings, sees_rectified
from .latest_packets import LatestPackets
from .stream_stats import limit_rates
from .tensors import RawOutput

#: Depth, disparity and measured positions belong to the rays of this camera.
DEPTH_CAMERA = "right"


@dataclass(frozen=True, slots=True)
class MessageContext:
    """The data that messages need besides a packet.

    `frames` is `frame_ids()`. `stream_frames` has the frame_id of streams that do not use the frame
    of their camera. `cameras` has the model of each (CameraInfo topic, camera); a replaced model
    takes effect with the next frame.
    """

    frames: Mapping[str, str]
    stream_frames: Mapping[str, str]
    cameras: dict[tuple[str, str], CameraModel]
    images: ImageSettings
    derived: DerivedImages
    encoders: ImageEncoders
    disparity: DisparityEnds
    network: NetworkFacts
    video: AccessUnits | None  # of the stream video; None = it has JPEG images
    health: Health
    results: ResultHistory = field(default_factory=ResultHistory)
    tensors: RawOutput = field(default_factory=RawOutput)
    latest: LatestPackets = field(default_factory=LatestPackets)

    def change(self, settings: Settings) -> None:
        """Use other live settings from the next packet on."""
        self.derived.change(settings)
        self.encoders.change(settings)
        limit_rates(self.health.stream_stats, settings)

    def camera(self, stream: Stream, metadata: FrameTrailer | None) -> str:
        """The camera of the pixels; for a result the camera that fed the network."""
        if stream.camera != "nn":
            return stream.camera
        named = metadata.camera_name if metadata is not None else ""
        return named if named in CAMERAS else self.network.cameras[0]

    def frame_id(self, stream: Stream, metadata: FrameTrailer | None) -> str:
        """frame_id of every message made from a packet of this stream."""
        own = self.stream_frames.get(stream.name)
        return own if own is not None else self.frames[self.camera(stream, metadata)]


def make_context(
    settings: Settings,
    calibration: Calibration,
    network: NetworkConfig | None,
    sizes: FrameSizes,
    frames: Mapping[str, str],
    health: Health,
    label_topic: str,
    nn_to_depth: Mapping[str, int] = MappingProxyType({}),
    tensors: Sequence[Mapping[str, Any]] = (),
) -> MessageContext:
    """Build the context from the settings, the calibration and the network.

    `nn_to_depth` is the part of the depth image that the preview shows, `tensors` are the output
    layers that the device does not decode (RunningPipeline.nn_to_depth, .raw_layers).
    """
    images = image_settings(settings, calibration, sizes)
    derived = DerivedImages(settings, images, calibration)
    cameras = camera_models(settings, calibration, sizes) | derived.models
    codec = CODECS.get(settings["video_config.profile"])
    return MessageContext(
        frames=frames,
        stream_frames=_stream_frames(settings, frames),
        cameras=cameras,
        images=images,
        derived=derived,
        encoders=ImageEncoders(settings),
        disparity=_disparity_ends(settings, calibration, sizes.mono),
        network=_network_facts(settings, calibration, network, cameras, label_topic, nn_to_depth),
        video=AccessUnits(codec, STREAMS["video"].max_packet_bytes) if codec else None,
        health=health,
        tensors=RawOutput(tensors),
    )


def _network_facts(
    settings: Settings,
    calibration: Calibration,
    network: NetworkConfig | None,
    cameras: Mapping[tuple[str, str], CameraModel],
    label_topic: str,
    nn_to_depth: Mapping[str, int],
) -> NetworkFacts:
    nn_cameras = tuple(NN_CAMERAS[settings["ai.camera_input"]])
    return NetworkFacts(
        decoded=network is not None and network.output_format == "detection",
        cameras=nn_cameras,
        mirrored=sees_rectified(settings) and settings["depth.warp_rectify.mirror_frame"],
        labels=settings["ai.labels"] or (network.labels if network else ()),
        named_classes=settings["ai.class_id"] == "name",
        threshold=network.confidence_threshold if network else 0.0,
        track_threshold=settings["ot.confidence_threshold"],
        method=PurePath(settings["ai.blob_file"]).name,
        label_topic=label_topic,
        focal_px=_preview_focal_px(
            cameras["rgb/preview/camera_info", nn_cameras[0]],
            cameras["depth/unfiltered/camera_info", DEPTH_CAMERA],
            nn_to_depth,
        ),
        from_depth=_from_depth(calibration),
    )


def camera_models(
    settings: Settings, calibration: Calibration, sizes: FrameSizes
) -> dict[tuple[str, str], CameraModel]:
    """Model of each (CameraInfo topic, camera)."""
    models = {}
    seen = NN_CAMERAS[settings["ai.camera_input"]]
    for row in ALL_STREAMS.values():
        cameras = tuple(seen) if row.camera == "nn" else (row.camera,)
        for info in {topic.camera_info for topic in row.topics if topic.camera_info}:
            for camera in cameras:
                size = sizes.rgb if camera == "rgb" else sizes.mono
                if row.camera == "nn":
                    keep_aspect = settings["ai.keep_aspect_ratio"]
                    model = calibration.preview(seen[camera], size, sizes.preview, keep_aspect)
                elif row.content in STEREO_CONTENTS:
                    model = calibration.rectified(size)
                else:
                    model = calibration.camera(camera, size)
                models[info, camera] = model
    return models


def _preview_focal_px(
    preview: CameraModel, depth: CameraModel, nn_to_depth: Mapping[str, int]
) -> tuple[float, float]:
    """Focal length of the preview in px, (0, 0) if not known.

    If the camera is not calibrated (a Gen1 EEPROM never has rgb), it follows from the part of the
    depth image that the device reports for the preview.
    """
    if preview.k[0, 0] > 0:
        return float(preview.k[0, 0]), float(preview.k[1, 1])
    width, height = nn_to_depth.get("max_w", 0), nn_to_depth.get("max_h", 0)
    if min(width, height) <= 0:
        return 0.0, 0.0
    return (
        float(depth.k[0, 0] * preview.width / width),
        float(depth.k[1, 1] * preview.height / height),
    )


def _stream_frames(settings: Settings, frames: Mapping[str, str]) -> dict[str, str]:
    """With `stereo.right_frame` left, right images use the left frame; depth does not change."""
    if settings["stereo.right_frame"] == "right":
        return {}
    rows = ALL_STREAMS.values()
    pair = [row for row in rows if row.content not in STEREO_CONTENTS]
    return {row.name: frames["left"] for row in pair if row.camera == "right"}


def _disparity_ends(
    settings: Settings, calibration: Calibration, size: tuple[int, int]
) -> DisparityEnds:
    """Fields of a DisparityImage; without a calibration from the board's field of view.

    Pixels belong to the right image: the match lies at x + d and must be inside the left image.
    """
    focal_px, baseline_m = float(calibration.rectified(size).k[0, 0]), calibration.baseline_m
    if focal_px == 0.0:
        half_angle = np.radians(calibration.geometry.fov_deg) / 2
        focal_px = float(size[0] / (2 * np.tan(half_angle)))
    return DisparityEnds(
        focal_px=focal_px,
        baseline_m=baseline_m,
        window=(0, 0, size[0] - MAX_DISPARITY, size[1]),
        min_px=focal_px * baseline_m / settings["depth.depth_limit_m"],
        max_px=float(MAX_DISPARITY),
        step_px=1.0,
    )


def _from_depth(calibration: Calibration) -> dict[str, Matrix]:
    """By camera: maps points from the depth camera's optical frame to that camera's."""
    poses = {camera: optical_pose(pose) for camera, pose in calibration.poses().items()}
    return {camera: np.linalg.inv(pose) @ poses[DEPTH_CAMERA] for camera, pose in poses.items()}
