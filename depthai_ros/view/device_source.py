"""The page's source over a device that is opened directly, without ROS.

The streams of the device run all the time; only what somebody looks at is kept and converted.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from ..calibration.camera_model import pinhole
from ..calibration.poses import frame_ids, optical_pose
from ..config.options import DEFAULT_NAME
from ..config.settings import image_size
from ..errors import DepthaiError, LinkError
from ..messages.derived import DEPTH
from ..messages.device_log import DEVICE_STATES
from ..messages.images import StampedPacket
from ..messages.stream_stats import STAGES, judged
from ..streams import COLOR_STREAMS, STREAMS
from ..wire_formats import CAMERAS
from .device_images import ShownImage, boxes_of, cloud_of, latest_image, shown_images
from .device_options import CONTROLS, changed, control, device_settings, read_network
from .device_run import DeviceRun, StartedRun
from .source import (
    BOXES,
    CLOUD,
    READ_ONLY,
    Action,
    Box,
    CameraView,
    Cloud,
    Control,
    FramePose,
    ImageChoice,
    LatestImage,
    Level,
    State,
    StreamRow,
)

_STILL, _STILL_NAME = "jpegout", STREAMS["jpegout"].topics[0].name
_STILL_S = 5.0
_RESULTS = frozenset({"metaout", "object_tracker"})
#: A frame may come a little early: rates of cameras and of pages are not exact.
_EARLY = 0.9


class DeviceSource:
    """`CameraSource` over the device that `selector` names; see `OpenDevice.open`.

    `values` win over the option table and the choices of this page. The device may appear later;
    it is reconnected whenever it is lost.

    Raises  ConfigError for a wrong selector or a wrong value
    """

    def __init__(
        self,
        selector: str,
        read_only: bool = False,
        values: Mapping[str, object] | None = None,
    ) -> None:
        self.title = selector
        self._read_only = read_only
        settings = device_settings(selector, values or {})
        network = read_network(settings)
        self._frames = frame_ids(settings["tf.prefix"] or DEFAULT_NAME)
        self._shown = shown_images(settings)
        self._labels = settings["ai.labels"] or (network.labels if network else ())
        self._decodes = network is not None and network.output_format == "detection"
        self._names: frozenset[str] = frozenset()
        self._max_fps: Mapping[str, float] = {}
        self._making = threading.Lock()
        self._made: dict[str, tuple[StampedPacket, float, LatestImage | Cloud]] = {}
        self._filtered: tuple[StampedPacket, StartedRun, StampedPacket] | None = None
        self._run = DeviceRun(settings, network)
        self._run.want(frozenset({_STILL}))

    # -- what is shown

    def images(self) -> tuple[ImageChoice, ...]:
        """All images; what the device or its calibration does not allow is left out."""
        started = self._run.started
        rows = self._shown.values()
        return tuple(row.choice for row in rows if started is None or row.exists(started))

    def want(self, names: frozenset[str], max_fps: Mapping[str, float]) -> None:
        """Keep and convert exactly these from now on."""
        streams = {_STILL} | {self._shown[name].stream for name in names & self._shown.keys()}
        if CLOUD in names:
            color = COLOR_STREAMS[self._run.settings["points.color"]]
            streams |= {DEPTH, color, COLOR_STREAMS["mono"]} - {""}
        if BOXES in names:
            streams |= _RESULTS
        self._names, self._max_fps = names, dict(max_fps)
        self._run.want(frozenset(streams))
        with self._making:
            self._made = {name: made for name, made in self._made.items() if name in names}
            self._filtered = None

    def image(self, name: str) -> LatestImage | None:
        """The newest image of a choice; None before the first one."""
        row = self._shown.get(name)
        if row is None or (name not in self._names and row.stream != _STILL):
            return None
        made = self._latest(name, row.stream, partial(self._make_image, row))
        return made if isinstance(made, LatestImage) else None

    def cloud(self) -> Cloud | None:
        """The newest cloud, in the frame of the depth camera; None before the first one."""
        if CLOUD not in self._names:
            return None
        made = self._latest(CLOUD, DEPTH, self._make_cloud)
        return made if isinstance(made, Cloud) else None

    def boxes(self) -> tuple[Box, ...]:
        """The newest detections, with the ids of the tracker."""
        run, started = self._run, self._run.started
        result = run.newest("metaout")
        if BOXES not in self._names or started is None or result is None or not self._decodes:
            return ()
        tracked = run.newest("object_tracker", near_ns=result.stamp_ns)
        return boxes_of(result, tracked, started, self._labels, self._frames["right"])

    def _latest(
        self,
        name: str,
        stream: str,
        make: Callable[[StampedPacket, StartedRun], LatestImage | Cloud | None],
    ) -> LatestImage | Cloud | None:
        """What is made of the newest packet: once, and at most at the rate that is wanted."""
        packet, started = self._run.newest(stream), self._run.started
        if packet is None or started is None:
            return None
        with self._making:
            before, now_s = self._made.get(name), time.monotonic()
            limit = self._max_fps.get(name, 0.0)
            if before is not None and (
                before[0] is packet or (limit > 0 and now_s < before[1] + _EARLY / limit)
            ):
                return before[2]
            try:
                made = make(packet, started)
            except ValueError as cause:  # also a packet of another size than the settings
                self._run.say_once(f"{name}: {cause}")
                return before[2] if before is not None else None
            if made is not None:
                self._made[name] = packet, now_s, made
            return made

    def _make_image(
        self, row: ShownImage, packet: StampedPacket, started: StartedRun
    ) -> LatestImage | None:
        is_depth = row.choice.unit == "m"
        return latest_image(row, self._depth(packet, started) if is_depth else packet, started)

    def _make_cloud(self, packet: StampedPacket, started: StartedRun) -> Cloud | None:
        settings = started.settings
        stream = COLOR_STREAMS[settings["points.color"]]
        beside = self._run.newest(stream, near_ns=packet.stamp_ns) if stream else None
        oldest_ns = settings["points.max_rgb_age_ms"] * 1e6
        if beside is not None and abs(beside.stamp_ns - packet.stamp_ns) > oldest_ns:
            beside = None
        return cloud_of(self._depth(packet, started), beside, started, self._frames["right"])

    def _depth(self, packet: StampedPacket, started: StartedRun) -> StampedPacket:
        """The packet of depth after the filters of this run, which see each packet once."""
        if not started.derived.is_filtering:
            return packet
        known = self._filtered
        if known is None or known[0] is not packet or known[1] is not started:
            self._filtered = known = packet, started, started.derived.filtered(packet)
        return known[2]

    # -- where it is

    def cameras(self) -> tuple[CameraView, ...]:
        """The cameras of the device, with the field of view of their rectified images."""
        started = self._run.started
        if started is None:
            return ()
        choices = {choice.name for choice in self.images()}
        found = []
        for camera in CAMERAS:
            image = next((name for name in _FRUSTUM_IMAGES[camera] if name in choices), "")
            if image:
                found.append(self._camera_view(camera, image, started))
        return tuple(found)

    def _camera_view(self, camera: str, image: str, started: StartedRun) -> CameraView:
        width, height = image_size(started.settings, camera)
        focal_px = float(started.calibration.camera(camera, (width, height)).p[1, 1])
        if focal_px <= 0.0:
            board = started.calibration.geometry
            fov_deg = board.rgb_fov_deg if camera == "rgb" else board.fov_deg
            focal_px = float(pinhole((width, height), fov_deg)[1, 1])
        fov = 2 * math.atan(height / (2 * focal_px))
        return CameraView(camera, self._frames[camera], width, height, fov, image)

    def frames(self) -> tuple[FramePose, ...]:
        """The frames of the cameras, from the calibration; the first is the root."""
        base = self._frames["base"]
        started = self._run.started
        found = [FramePose(base, "", np.eye(4))]
        for camera, pose in (started.calibration.poses() if started else {}).items():
            body = self._frames[f"{camera}_body"]
            found.append(FramePose(body, base, pose))
            found.append(FramePose(self._frames[camera], body, optical_pose(pose)))
        return tuple(found)

    # -- how it is

    def state(self) -> State:
        """State of the device and its streams; there is no node."""
        run, started = self._run, self._run.started
        level: Level
        level, text = DEVICE_STATES[run.state]
        link = started.device.usb_speed if started else ""
        if run.last_error:
            text = f"{text}: {run.last_error}"
        elif link == "HIGH" and level == "ok":
            level, text = "warn", f"{text}, on a USB 2 link where USB 3 is expected"
        return State(
            node="",
            device=run.state,
            level=level,
            text=text,
            link="" if link == "UNKNOWN" else link,
            temperatures_c=run.temperatures(),
            last_error=run.last_error,
            streams=self._stream_rows(started) if started is not None else (),
        )

    def _stream_rows(self, started: StartedRun) -> tuple[StreamRow, ...]:
        now_ns = time.monotonic_ns()
        rows = []
        for name in started.pipeline.streams:
            stats = started.stats[name]
            figures = stats.figures(now_ns)
            level: Level
            level, text = judged(stats, figures, started.settings)
            if not self._run.is_streaming:
                level, text = "stale", DEVICE_STATES[self._run.state][1]
            lost = self._run.counts(name).lost
            rows.append(
                StreamRow(
                    name=name,
                    level=level,
                    text=text,
                    fps=figures.fps,
                    expected_fps=stats.expected_fps,
                    latency_ms=figures.latency_ms_mean,
                    mb_s=figures.bytes_per_s / 1e6,
                    lost={stage: lost[stage] for stage in STAGES[:-1]},  # there is no DDS
                )
            )
        return tuple(rows)

    def log(self) -> tuple[str, ...]:
        """The last lines about the device, and of the device."""
        return self._run.log()

    # -- what can be changed

    def controls(self) -> tuple[Control, ...]:
        """The options that the device takes while it runs, and those of the filters on depth."""
        settings = self._run.settings
        return tuple(control(option, settings[key]) for key, option in CONTROLS.items())

    def set(self, key: str, value: object) -> str:
        """Change an option; "" or why it cannot be changed."""
        if self._read_only:
            return READ_ONLY
        try:
            self._run.change(changed(self._run.settings, key, value))
        except DepthaiError as cause:
            return str(cause)
        return ""

    def actions(self) -> tuple[Action, ...]:
        """What the device does on request."""
        return tuple(action for action, _ in _ACTIONS.values())

    def act(self, key: str) -> str:
        """Do it; a sentence about the result."""
        if self._read_only:
            return READ_ONLY
        if key not in _ACTIONS:
            return f"{key} is no action of this device"
        try:
            return _ACTIONS[key][1](self)
        except DepthaiError as cause:
            return str(cause)

    def _capture_still(self) -> str:
        run = self._run
        started, before = run.started, run.newest(_STILL)
        if started is None or _STILL not in started.pipeline.streams:
            raise LinkError("the device has no stream jpegout, so that no still image can arrive")
        run.command(lambda device: device.capture_still())
        with run.arrived:
            came = run.arrived.wait_for(
                lambda: run.newest(_STILL) not in (None, before), timeout=_STILL_S
            )
        packet = run.newest(_STILL)
        if not came or packet is None:
            return f"no still image arrived within {_STILL_S:g} s"
        return f"a still image of {len(packet.data)} bytes arrived: {_STILL_NAME}"

    def _trigger_autofocus(self) -> str:
        self._run.command(lambda device: device.trigger_autofocus())
        return "the camera focuses once"

    def _reset_device(self) -> str:
        if not self._run.restart():
            return "the device is being started already"
        return "the device is reset; it is back in a few seconds"

    def robot(self) -> str:
        """There is no robot without ROS."""
        return ""

    def close(self) -> None:
        """End the streams and close the device."""
        self._run.close()
        with self._making:
            self._made = {}


# -- tables


_ACTIONS: dict[str, tuple[Action, Callable[[DeviceSource], str]]] = {
    action.key: (action, act)
    for action, act in (
        (
            Action("capture_still", "Still image", "take one image in the camera's full quality"),
            DeviceSource._capture_still,
        ),
        (
            Action("autofocus_trigger", "Autofocus", "focus the rgb camera once"),
            DeviceSource._trigger_autofocus,
        ),
        (
            Action("reset_device", "Reset", "reset the device and start it again"),
            DeviceSource._reset_device,
        ),
    )
}
#: Camera -> the images for its frustum, the best first: it looks as its rectified image does.
_FRUSTUM_IMAGES = {
    "rgb": ("rgb/image_rect_color", "rgb/image_raw", "rgb/preview/image_raw"),
    "left": ("left/image_rect", "left/image_raw"),
    "right": ("right/image_rect", "right/image_raw"),
}
