"""Keeps one device running for a Gen1 program: pipelines, commands, and a watchdog.

When the link fails or falls silent, the device is opened anew and its pipeline is made again
behind the program's back. A process that was forked never touches its parent's device.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..cameras import CALIBRATION_BYTES, ROTATIONS_LAYOUT
from ..config.paths import resolve_path
from ..config.settings import Settings, mono_size, stream_list
from ..device.device import OpenDevice
from ..device.pipeline import WATCHDOG_S
from ..errors import ConfigTypeError, DepthaiError, LinkError
from ..streams import STREAMS
from .calibration import Gen1Calibration
from .config import from_gen1
from .network import NetworkPlan, read_network_plan
from .pipeline import CNNPipeline, Feed, make_pipeline
from .results import ResultReader
from .streams import CAPACITY, PacketSource

_log = logging.getLogger("depthai")

_LOOK_S = 0.25
#: Pauses before the attempts to get a lost device back.
_RETRY_S = (0.0, 0.5, 1.0, 2.0, 4.0)

_NO_MAPPING = dict.fromkeys(("max_h", "max_w", "off_x", "off_y"), 0)


@dataclass(frozen=True, slots=True)
class _Running:
    """A pipeline as the program sees it, and what it takes to make it again."""

    settings: Settings
    plan: NetworkPlan
    feed: Feed
    pipeline: CNNPipeline
    mapping: dict[str, int]


class Gen1Session:
    """One open device; `firmware` is the path of what a board on USB gets, `usb2` its slow variant.

    Raises  DepthaiError if it cannot be opened
    """

    def __init__(self, selector: str, firmware: str = "", *, usb2: bool = False) -> None:
        self._process = os.getpid()
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._watcher: threading.Thread | None = None
        self._running: _Running | None = None
        self.is_changed = True
        self.device = OpenDevice.open(selector, firmware=firmware, usb2=usb2)
        self.calibration = Gen1Calibration(self.device.eeprom)
        _SESSIONS.add(self)

    @property
    def is_foreign(self) -> bool:
        """True in a process that was forked after the device was opened."""
        return os.getpid() != self._process

    # -- pipelines

    @property
    def pipeline(self) -> CNNPipeline | None:
        """The running one."""
        running = self._running
        return running.pipeline if running else None

    @property
    def nn_to_depth(self) -> dict[str, int]:
        """Where the network's input lies in the depth picture; zeros without a network."""
        running = self._running
        return dict(running.mapping if running else _NO_MAPPING)

    def start(self, config: Mapping[str, Any]) -> CNNPipeline | None:
        """Configure the device; the pipeline before, if any, ends. None if it is not possible.

        Raises  RuntimeError for a wrong type or a missing field in the configuration
        """
        if self.is_foreign or self._stopping.is_set():
            return None
        with self._lock:
            self._end_pipeline()
            try:
                settings = self._with_usable_calibration(from_gen1(config))
                settings = self._with_present_camera(settings)
                _warn_of_order(settings["stream_list"])
                plan = read_network_plan(settings)
                feed = Feed()
                source = self._make_source(settings, plan)
            except ConfigTypeError as cause:
                raise RuntimeError(f"create_pipeline: {cause}") from cause
            except DepthaiError as cause:
                # Its text only: records are kept, and a traceback would keep the device with them.
                _log.error("create_pipeline: %s", str(cause))
                return None
            feed.switch(source)
            mapping = source.pipeline.nn_to_depth
            pipeline = make_pipeline(feed)
            self._running = _Running(settings, plan, feed, pipeline, mapping)
            self._watch()
            return pipeline

    def _make_source(self, settings: Settings, plan: NetworkPlan) -> PacketSource:
        pipeline = self.device.start_pipeline(
            settings, plan.network, capacity_per_stream=CAPACITY, capacity=CAPACITY
        )
        try:
            layers = pipeline.output_layers
            results = ResultReader(
                plan.bound_to(layers) if layers else plan,
                pipeline.input_layers,
                layers,
                pipeline.first_outputs,
            )
        except ConfigTypeError:
            pipeline.close()
            raise
        self.calibration = Gen1Calibration(self.device.eeprom, mono_size(settings)[1])
        return PacketSource(pipeline, results, self.device.eeprom)

    def _with_usable_calibration(self, settings: Settings) -> Settings:
        """A file that is too short is left out; Gen1 went on without it."""
        path, store = settings["depth.calibration_file"], settings["board_config.store_to_eeprom"]
        if not path or not (store or settings["board_config.override_eeprom"]):
            return settings
        file = resolve_path(path)
        if not file.is_file() or file.stat().st_size >= CALIBRATION_BYTES:
            return settings
        if store and int(self.device.eeprom["version"]) < ROTATIONS_LAYOUT:
            raise ConfigTypeError(
                f"depth.calibration_file {path} has {file.stat().st_size} bytes, storing it needs "
                f"{CALIBRATION_BYTES}"
            )
        _log.warning("depth.calibration_file %s is too short and ignored", path)
        return settings.replace({"depth.calibration_file": ""})

    def _with_present_camera(self, settings: Settings) -> Settings:
        """A network looks through another camera if its own is not there."""
        present = dict(self.device.cameras)
        if settings["board_config.swap_left_and_right_cameras"]:
            present["left"], present["right"] = present["right"], present["left"]
        wanted = instead = settings["ai.camera_input"]
        if wanted == "rgb" and not present["rgb"]:
            instead = "right"
        elif wanted != "rgb" and present["left"] != present["right"]:
            instead = "rgb"
        if instead == wanted:
            return settings
        _log.warning("ai.camera_input: %s is not connected, %s takes its place", wanted, instead)
        return settings.replace({"ai.camera_input": instead})

    def _end_pipeline(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            running.feed.end()

    # -- commands

    def command(self, send: Callable[[OpenDevice], None]) -> None:
        """Send a command; without a running pipeline nothing happens, and nobody is told."""
        if self.is_foreign or self._running is None:
            return
        try:
            send(self.device)
        except LinkError as cause:
            _log.info("a command was lost: %s", str(cause))

    def write_board(self, document: Mapping[str, Any]) -> None:
        """Have the device write its EEPROM. Raises RuntimeError if it does not take it."""
        running = self._running
        if running is None or self.is_foreign:
            raise RuntimeError("write_eeprom_data: no pipeline is running")
        if not running.settings["app.enable_reconfig"]:
            raise RuntimeError("write_eeprom_data: app.enable_reconfig is false")
        try:
            self.device.write_board(document)
        except DepthaiError as cause:
            raise RuntimeError(f"write_eeprom_data: {cause}") from cause

    # -- watchdog

    def _watch(self) -> None:
        if self._watcher is None:
            self._watcher = threading.Thread(
                target=self._look_now_and_then, name="depthai watchdog", daemon=True
            )
            self._watcher.start()

    def _look_now_and_then(self) -> None:
        packets, since_s, seen = -1, 0.0, None
        while not self._stopping.wait(_LOOK_S):
            running = self._running
            count = self.device.link_counters()["packets_in"]
            if count != packets or running is not seen:
                packets, since_s, seen = count, time.monotonic(), running
            if running is None:
                continue
            is_silent = time.monotonic() - since_s > WATCHDOG_S and _is_watched(running)
            if is_silent or not self.device.is_connected:
                self._recover(running, "fell silent" if is_silent else "was lost")
                packets = -1

    def _recover(self, running: _Running, why: str) -> None:
        with self._lock:
            if self._running is not running:
                return
            _log.warning("device %s %s, it is opened again", self.device.selector, why)
            running.feed.switch(None)
            for pause_s in _RETRY_S:
                if self._stopping.wait(pause_s):
                    return
                try:
                    self.device.close()
                    source = self._make_source(running.settings, running.plan)
                except DepthaiError as cause:
                    _log.warning("device %s: %s", self.device.selector, str(cause))
                    continue
                self.is_changed = True
                running.feed.switch(source)
                return
            _log.error("device %s is gone, its pipeline has ended", self.device.selector)
            self._end_pipeline()

    # -- the end

    def close(self) -> None:
        """Reset the device and let go of it. May be called twice, and from anywhere."""
        if self.is_foreign or self._stopping.is_set():
            return
        self._stopping.set()
        running = self._running
        if running is not None:
            running.feed.end()
        with self._lock:
            self._end_pipeline()
            with contextlib.suppress(DepthaiError):
                self.device.close()
        if self._watcher is not None and self._watcher is not threading.current_thread():
            self._watcher.join()


def _warn_of_order(streams: Sequence[str]) -> None:
    """The first documents wanted `left` first; the order means nothing."""
    if "left" in streams[1:]:
        _log.warning("stream left is not the first one in the list; that is no longer needed")


def _is_watched(running: _Running) -> bool:
    return any(STREAMS[name].pace != "request" for name in stream_list(running.settings))


#: Every session that is still referenced, for the ends of this process.
_SESSIONS: weakref.WeakSet[Gen1Session] = weakref.WeakSet()


@atexit.register
def close_all() -> None:
    """Close what a program has left open."""
    for session in list(_SESSIONS):
        session.close()
