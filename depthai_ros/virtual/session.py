"""The device's side of one session, from the first ping to the reset.

The device opens its side of a stream after the host has opened its own, and sends only after the
host has acknowledged: a host that receives packets of a stream it does not know gets out of sync.
Source: docs/wire_format.md#device-rules
"""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from .. import _core
from ..cameras import MONO_WIDTHS, NN_CAMERAS, RGB_WIDTHS
from ..errors import DecodeError, DepthaiError, LinkError, LinkTimeoutError, ProtocolError
from ..streams import CONFIG_D2H_WINDOW, OUT_BLOB_WINDOW, RESET_COMMAND, STREAMS, WIRE_STREAMS
from ..wire_formats import CAMERAS, DETECTIONS_BYTES
from .commands import CameraState
from .eeprom_store import Eeprom
from .frame_scheduler import DeviceClock, FrameScheduler, exposure_groups, part_of_session
from .host_documents import BOARD, CONFIG, read_document
from .network import Network, Stage, nn_to_depth, out_blob, read_stage
from .packet_factory import FactorySettings, PacketFactory
from .scenes.source import SCENES, Realism, SceneView, Source, make_source
from .settings import VirtualSettings
from .tracker import Tracker

_log = logging.getLogger(__name__)

FIRMWARE_VERSION = "virtual"
#: Packets in the window of a data stream: sent, but not yet released by the host.
_PACKETS_IN_FLIGHT = 4
_SIZE_WITHOUT_NETWORK = (3, 300, 300)
#: Time for a packet to arrive after the host has opened its stream.
_SESSION_TIMEOUT_S = 10.0
#: Networks that one pipeline can have.
_MAX_STAGES = 2
#: After a reset command: time until the first round of last packets, between rounds, until the
#: link is closed.
_FLAG_S, _ROUND_S, _REBOOT_S = 0.03, 0.15, 1.0
#: Waits end this often so that Python can handle signals.
_POLL_S = 0.5


def make_eeprom(settings: VirtualSettings) -> Eeprom:
    """The initial EEPROM of a device."""
    scene, version = SCENES[_scene(settings)], settings.eeprom
    layout = scene.eeprom if version is None else version
    return Eeprom(layout, lens=settings.lens and scene.realistic)


def _scene(settings: VirtualSettings) -> str:
    return settings.scene.partition("=")[0]


class DeviceSession:
    """One session: from a new link until the host resets the device or closes the link."""

    def __init__(
        self, link: _core.Link, settings: VirtualSettings, eeprom: Eeprom | None = None
    ) -> None:
        self._link = link
        self._settings = settings
        self._memory = eeprom or make_eeprom(settings)
        self._eeprom: dict[str, Any] = self._memory.document  # contents at boot
        self._source: Source = self._make_source()
        self._clock = DeviceClock(settings.uptime_s, settings.drift_ppm)
        self._state = CameraState()
        self._config: dict[str, Any] | None = None
        self._disparity_valid = True
        self._stages: list[Stage] = []
        self._scheduler: FrameScheduler | None = None
        self._command_thread: threading.Thread | None = None
        self._is_leaving = False

    def run(self, *, first_request_s: float | None = None) -> None:
        """Serve the host until the session ends; all threads have ended then.

        The session also ends if the host sends no request within `first_request_s` (None = no
        limit); after its first request it may be silent for any time.
        """
        try:
            event = self._first_event(first_request_s)
            while self._follow(event):
                event = self._link.next_event(timeout_s=_POLL_S)
        except LinkTimeoutError as cause:
            _log.warning("session ends: %s", cause)
        except LinkError as cause:  # a host may disconnect at any time
            _log.info("session ends: %s", cause)
        except DepthaiError as cause:
            _log.warning("session ends: %s", cause)
        finally:
            self._link.close()
            if self._scheduler is not None:
                self._scheduler.stop()
            if self._command_thread is not None:
                self._command_thread.join()

    def _make_source(self) -> Source:
        settings = self._settings
        if (settings.lens or settings.noise) and not SCENES[_scene(settings)].realistic:
            _log.warning("lens and noise have no effect on scene %s", _scene(settings))
        realism = Realism(lens=settings.lens, noise=settings.noise)
        return make_source(settings.scene, self._eeprom, realism)

    def _first_event(self, limit_s: float | None) -> _core.LinkEvent | None:
        end_s = math.inf if limit_s is None else time.monotonic() + limit_s
        event = None
        while event is None and (left_s := end_s - time.monotonic()) > 0:
            event = self._link.next_event(timeout_s=min(_POLL_S, left_s))
        if event is None:
            raise ProtocolError(f"the host sent no request within {limit_s:g} s")
        return event

    def _follow(self, event: _core.LinkEvent | None) -> bool:
        """Handle one link event; False if it ends the session."""
        if event is None:
            return True
        if event.kind == "opened":
            _ON_OPENED.get(event.stream, DeviceSession._open_data)(self, event.stream)
        elif event.kind == "closed":
            self._close_data(event.stream)
        return event.kind not in ("reset", "down")

    # -- session streams

    def _send_document(self, stream: str, window_bytes: int, document: dict[str, Any]) -> None:
        self._link.open_stream(name=stream, window_bytes=window_bytes)
        text = json.dumps(document).encode() + b"\0"
        self._link.write(name=stream, parts=[text], wait_response=False)

    def _send_board(self, stream: str) -> None:
        document = {
            "_cams": {name: name not in self._settings.absent for name in CAMERAS},
            "_available_streams": list(WIRE_STREAMS),
            "eeprom": self._memory.document,
            "_version": FIRMWARE_VERSION,
            "_dev_version": FIRMWARE_VERSION,
            "_mx_id": self._settings.mx_id,
        }
        self._send_document(stream, CONFIG_D2H_WINDOW, document)

    def _read_config(self, stream: str) -> None:
        packet = self._link.read(name=stream, timeout_s=_SESSION_TIMEOUT_S)
        text = bytes(packet.buffer).split(b"\0", 1)[0]
        if self._config is None:
            self._config = document = read_document(stream, text, CONFIG)
            if document["ai"]["camera_input"] not in NN_CAMERAS:  # Gen1 hosts send any text
                document["ai"]["camera_input"] = "rgb"
            self._check_exclusion(self._config)
        elif not self._config["app"].get("enable_reconfig"):
            self._state.log("app.enable_reconfig is false: a second configuration is ignored")
            return
        else:
            document = read_document(stream, text, BOARD, partial=True)
        for line in self._memory.apply(document):
            self._state.log(line)

    def _check_exclusion(self, config: dict[str, Any]) -> None:
        names = {row["name"] for row in config["_pipeline"]["_streams"]}
        depth = "depth" in names or config["ai"]["calc_dist_to_bb"]
        self._disparity_valid = not (self._settings.strict and depth)
        if "disparity" in names and not self._disparity_valid:
            self._state.log("depth and disparity exclude each other: disparity is not valid")

    def _read_blob(self, stream: str) -> None:
        packet = self._link.read(name=stream, timeout_s=_SESSION_TIMEOUT_S)
        if len(self._stages) == _MAX_STAGES:
            raise DecodeError(f"{stream} has a third network, expected at most {_MAX_STAGES}")
        first_offset = 0
        if self._stages:  # after the first stage in either of its layouts
            first_offset = max(DETECTIONS_BYTES, self._stages[-1].bytes_end)
        self._stages.append(read_stage(bytes(packet.buffer), first_offset=first_offset))
        for note in self._stages[-1].notes:
            self._state.log(note)

    def _send_tensors(self, stream: str) -> None:
        if not self._stages or self._config is None:
            self._state.log("outBlob was opened before inBlob was written")
            return
        mapping = self._mapping(self._config) if len(self._stages) == 1 else None
        document = out_blob(self._stages[-1], self._config, mapping)
        self._send_document(stream, OUT_BLOB_WINDOW, document)

    def _serve_commands(self, stream: str) -> None:
        def loop() -> None:
            with part_of_session(self._link, "commands"):
                while True:
                    packet = self._link.read(name=stream, timeout_s=None)
                    command = bytes(packet.buffer)
                    if command == RESET_COMMAND:
                        self._reboot()
                        return
                    self._state.execute(command)

        if self._command_thread is None:
            self._command_thread = threading.Thread(target=loop, name="commands", daemon=True)
            self._command_thread.start()

    def _reboot(self) -> None:
        """Send last packets until the host closes the link, then close it.

        The reader threads of the official host end on a packet or on a link error, and many link
        errors at once can crash it. After its threads have ended it closes the link and resets.
        """
        _log.info("reset by command")
        self._is_leaving = True
        end_s = time.monotonic() + _REBOOT_S
        if self._scheduler is not None:
            self._scheduler.stop()
        time.sleep(_FLAG_S)
        while self._scheduler is not None and self._link.is_up and time.monotonic() < end_s:
            self._scheduler.flush_last_packets()
            time.sleep(_ROUND_S)
        self._link.close()

    # -- data streams

    def _open_data(self, stream: str) -> None:
        if stream not in WIRE_STREAMS or self._config is None:
            self._state.log(f"stream {stream!r} was opened but sends no data")
            return
        if self._scheduler is None:
            self._scheduler = self._make_scheduler(self._config)
        window_bytes = STREAMS[stream].window_bytes * _PACKETS_IN_FLIGHT
        self._link.open_stream(name=stream, window_bytes=window_bytes)
        self._scheduler.open(stream)

    def _close_data(self, stream: str) -> None:
        if self._scheduler is not None:
            self._scheduler.close(stream)
        # close_stream waits until the host has read its packets. After a reset it reads no more.
        if self._link.has_stream(name=stream) and not self._is_leaving:
            self._link.close_stream(name=stream)

    # -- reading the configuration

    def _board(self, config: dict[str, Any]) -> tuple[float, float, float]:
        """(left fov, rgb fov, degrees; baseline, metres) from the EEPROM or its override."""
        board, eeprom = config["board"], self._eeprom
        if eeprom["version"] >= 1 and not board["override-eeprom"]:
            board = {**board, **eeprom}
        return board["left_fov_deg"], board["rgb_fov_deg"], board["left_to_right_distance_m"]

    def _mono_size(self, config: dict[str, Any]) -> tuple[int, int]:
        lines = config["camera"]["mono"]["resolution_h"]
        return MONO_WIDTHS[lines], lines

    def _mapping(self, config: dict[str, Any]) -> dict[str, int]:
        left_fov, rgb_fov, _ = self._board(config)
        return nn_to_depth(
            self._mono_size(config),
            full_view=not config["ai"]["keep_aspect_ratio"],
            mono_input=config["ai"]["camera_input"] != "rgb",
            left_fov=left_fov,
            rgb_fov=rgb_fov,
        )

    def _view(self, config: dict[str, Any], nn_camera: str) -> SceneView:
        rgb_height = config["camera"]["rgb"]["resolution_h"]
        stage = self._stages[0].input_chw if self._stages else _SIZE_WITHOUT_NETWORK
        return SceneView(
            mono_size=self._mono_size(config),
            rgb_size=(RGB_WIDTHS[rgb_height], rgb_height),
            preview_size=(stage[2], stage[1]),
            keep_aspect_ratio=config["ai"]["keep_aspect_ratio"],
            nn_camera=nn_camera,
            mirror_rectified=config["depth"].get("warp_rectify", {}).get("mirror_frame", True),
            center_crop=bool(
                config["board"]["stereo_center_crop"] or self._eeprom.get("stereo_center_crop")
            ),
            padding_factor=config["depth"]["padding_factor"],
            depth_limit_m=config["depth"]["depth_limit_mm"] / 1000,
        )

    def _second_source(self, view: SceneView, camera: str) -> Source:
        """The same scene with the second NN camera as preview."""
        source = self._make_source()
        source.configure(replace(view, nn_camera=camera))
        return source

    def _make_scheduler(self, config: dict[str, Any]) -> FrameScheduler:
        ai = config["ai"]
        cameras = tuple(NN_CAMERAS[ai["camera_input"]].values())
        view = self._view(config, cameras[0])
        sources = [self._source, *(self._second_source(view, name) for name in cameras[1:])]
        self._source.configure(view)
        left_fov_deg, _, baseline_m = self._board(config)
        settings = FactorySettings(
            mono_size=view.mono_size,
            rgb_size=view.rgb_size,
            rgb_fps=config["camera"]["rgb"]["fps"],
            nn_cameras=cameras,
            calc_dist_to_bb=ai["calc_dist_to_bb"],
            padding_factor=config["depth"]["padding_factor"],
            depth_limit_mm=config["depth"]["depth_limit_mm"],
            disparity_valid=self._disparity_valid,
            nn_to_depth=self._mapping(config),
            left_fov_deg=left_fov_deg,
            baseline_m=baseline_m,
            video_config=config.get("video_config"),
        )
        network = Network(self._stages, ai["NN_config"]) if self._stages else None
        tracker = Tracker(config["ot"]["max_tracklets"], config["ot"]["confidence_threshold"])
        factory = PacketFactory(sources, settings, network, tracker, self._state)
        names = [row["name"] for row in config["_pipeline"]["_streams"]]
        factory.warm_up(name for name in names if name in STREAMS)  # unknown names send no data
        max_fps = {row["name"]: row.get("max_fps", 0.0) for row in config["_pipeline"]["_streams"]}
        return FrameScheduler(
            self._link,
            self._clock,
            factory,
            exposure_groups(config),
            max_fps,
            self._settings,
        )


#: Stream that the host opened -> handler; all other names are data streams.
_ON_OPENED: dict[str, Callable[[DeviceSession, str], None]] = {
    "config_d2h": DeviceSession._send_board,
    "config_h2d": DeviceSession._read_config,
    "host_capture": DeviceSession._serve_commands,
    "inBlob": DeviceSession._read_blob,
    "outBlob": DeviceSession._send_tensors,
}
