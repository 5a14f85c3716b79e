"""One open device of a Gen1 program: pipelines, commands, and recovery.

If the link fails or no packet arrives for the time of the watchdog, a `Recovery` reopens the device
and restarts its pipeline; the program keeps its pipeline object. A forked process never uses the
device of its parent.
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
from ..config.unused import connected, without_camera
from ..device.device import OpenDevice, calibration_to_send
from ..device.reconnect import Backoff, Recovery, is_bug
from ..errors import ConfigTypeError, DepthaiError, LinkError
from ..streams import STREAMS
from .calibration import Gen1Calibration
from .config import from_gen1, gen1_words
from .network import NetworkPlan, read_network_plan
from .pipeline import CNNPipeline, Feed, make_pipeline
from .results import ResultReader
from .streams import CAPACITY, PacketSource

_log = logging.getLogger("depthai")

_CHECK_S = 0.25
#: Attempts to reopen a lost device, and the first and the longest pause between two.
_ATTEMPTS, _INITIAL_DELAY_S, _MAX_DELAY_S = 5, 0.5, 4.0

_NO_MAPPING = dict.fromkeys(("max_h", "max_w", "off_x", "off_y"), 0)


@dataclass(frozen=True, slots=True)
class _Running:
    """The pipeline of the program, and the data to restart it."""

    settings: Settings
    plan: NetworkPlan
    feed: Feed
    pipeline: CNNPipeline
    mapping: dict[str, int]
    recovery: Recovery
    watchdog_s: float


class Gen1Session:
    """One open device; `firmware` is a path for boards on USB, `usb2` limits it to USB 2 speed.

    Raises  DepthaiError if it cannot be opened
    """

    def __init__(self, selector: str, firmware: str = "", *, usb2: bool = False) -> None:
        self._process = os.getpid()
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._running: _Running | None = None
        self._packets, self._packets_s = -1, 0.0  # of the link, and since when
        self.is_changed = True
        self.device = OpenDevice.open(
            selector, firmware=firmware, usb2=usb2, should_stop=self._must_stop
        )
        self.calibration = Gen1Calibration(self.device.eeprom)
        _SESSIONS.add(self)

    @property
    def is_foreign(self) -> bool:
        """True in a process that was forked after the device was opened."""
        return os.getpid() != self._process

    # -- pipelines

    @property
    def pipeline(self) -> CNNPipeline | None:
        """The running pipeline."""
        running = self._running
        return running.pipeline if running else None

    @property
    def nn_to_depth(self) -> dict[str, int]:
        """Region of the depth image that the network's input covers; zeros without a network."""
        running = self._running
        return dict(running.mapping if running else _NO_MAPPING)

    def start(self, config: Mapping[str, Any]) -> CNNPipeline | None:
        """End the previous pipeline and start another; logs an error and returns None on failure.

        Raises  RuntimeError for a wrong type or a missing field in the configuration
        """
        if self.is_foreign or self._stopping.is_set():
            return None
        with self._lock:
            self._end_pipeline()
            try:
                settings = self._with_usable_calibration(from_gen1(config))
                settings = self._with_present_camera(settings)
                absent = without_camera(settings, self.device.cameras)
                for text in dict.fromkeys(row.text for row in absent):
                    _log.warning("%s", text)
                _warn_of_order(settings["stream_list"])
                plan = read_network_plan(settings)
                feed = Feed()
                source = self._make_source(settings, plan)
            except ConfigTypeError as cause:
                raise RuntimeError(f"create_pipeline: {gen1_words(str(cause))}") from cause
            except DepthaiError as cause:
                # Log the text only: a stored record with the exception would keep the device open.
                _log.error("create_pipeline: %s", gen1_words(str(cause)))
                return None
            feed.switch(source)
            mapping = source.pipeline.nn_to_depth
            pipeline = make_pipeline(feed)
            recovery = Recovery(self, find_loss=self.find_loss, check_s=_CHECK_S)
            self._packets = -1
            self._running = _Running(
                settings, plan, feed, pipeline, mapping, recovery, source.pipeline.watchdog_s
            )
            recovery.begin()
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
        self.calibration = Gen1Calibration(
            self.device.eeprom, mono_size(settings)[1], calibration_to_send(settings).floats
        )
        return PacketSource(pipeline, results, self.device.eeprom)

    def _with_usable_calibration(self, settings: Settings) -> Settings:
        """Ignore a calibration file that is too short, as Gen1 did, unless it is to be stored."""
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
        _log.warning("depth.calibration_file %s is ignored: it is too short", path)
        return settings.replace({"depth.calibration_file": ""})

    def _with_present_camera(self, settings: Settings) -> Settings:
        """Replace `ai.camera_input` if that camera is not connected."""
        present = connected(settings, self.device.cameras)
        wanted = instead = settings["ai.camera_input"]
        if wanted == "rgb" and not present["rgb"]:
            instead = "right"
        elif wanted != "rgb" and present["left"] != present["right"]:
            instead = "rgb"
        if instead == wanted:
            return settings
        _log.warning("ai.camera_input: %s is not connected, using %s instead", wanted, instead)
        return settings.replace({"ai.camera_input": instead})

    def _end_pipeline(self) -> None:
        running = self._running
        if running is not None:
            running.feed.end()
            running.recovery.end()
            self._running = None

    def _must_stop(self) -> bool:
        """True if the connection or the start in progress is not needed any more."""
        running = self._running
        return self._stopping.is_set() or (running is not None and running.recovery.has_ended)

    # -- commands

    def command(self, send: Callable[[OpenDevice], None]) -> None:
        """Send a command; without a running pipeline it is ignored."""
        if self.is_foreign or self._running is None:
            return
        try:
            send(self.device)
        except LinkError as cause:
            _log.info("command was not sent: %s", str(cause))

    def write_board(self, document: Mapping[str, Any]) -> None:
        """Send a board description to write to the EEPROM. Raises RuntimeError if not possible."""
        running = self._running
        if running is None or self.is_foreign:
            raise RuntimeError("write_eeprom_data: no pipeline is running")
        if not running.settings["app.enable_reconfig"]:
            raise RuntimeError("write_eeprom_data: app.enable_reconfig is false")
        try:
            self.device.write_board(document)
        except DepthaiError as cause:
            raise RuntimeError(f"write_eeprom_data: {cause}") from cause

    # -- called by the recovery; see `Recoverable`

    def find_loss(self) -> str:
        """The link is down, or no packet has arrived for the time of the watchdog."""
        running, now_s = self._running, time.monotonic()
        if running is None:
            return ""
        count = self.device.link_counters()["packets_in"]
        if count != self._packets:
            self._packets, self._packets_s = count, now_s
        if not self.device.is_connected:
            return "was lost"
        is_silent = now_s - self._packets_s > running.watchdog_s and _is_watched(running)
        return "sends no packets" if is_silent else ""

    def on_loss(self, loss: Exception | str) -> Backoff | None:
        """Log it."""
        _log.warning("device %s %s, reopening it", self.device.selector, loss)
        return Backoff(
            most=_ATTEMPTS,
            initial_delay_s=_INITIAL_DELAY_S,
            max_delay_s=_MAX_DELAY_S,
            watchdog_s=self._running.watchdog_s if self._running else 0.0,
            at_once=True,
        )

    def end_pipeline(self) -> None:
        """End the packets and reset the device, which stays locked."""
        if self._running is not None:
            self._running.feed.switch(None)
        self.device.reset()

    def start_pipeline(self, find_s: float) -> None:
        """Reconnect, and continue with the configuration of the program."""
        running = self._running
        assert running is not None
        source = self._make_source(running.settings, running.plan)
        self._packets = -1
        self.is_changed = True
        running.feed.switch(source)

    def on_failure(self, cause: Exception, failures: int) -> None:
        """Log a failed attempt; a bug with its traceback."""
        bug = cause if is_bug(cause) else None
        _log.warning("device %s: %s", self.device.selector, str(cause), exc_info=bug)

    def on_return(self, away_s: float) -> None:
        """Log the success."""
        _log.warning("device %s is back after %.2f s", self.device.selector, away_s)

    def on_giving_up(self, backoff: Backoff) -> None:
        """End the pipeline; its waiting getters return."""
        _log.error("device %s is gone, its pipeline has ended", self.device.selector)
        running, self._running = self._running, None
        if running is not None:
            running.feed.end()
            running.recovery.end()

    # -- closing

    def close(self) -> None:
        """Reset and close the device. May be called repeatedly, and from any thread."""
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


def _warn_of_order(streams: Sequence[str]) -> None:
    """Log that `left` need not come first, which the first Gen1 documents required."""
    if "left" in streams[1:]:
        _log.warning("stream left is not the first one in the list; the order has no effect")


def _is_watched(running: _Running) -> bool:
    return any(STREAMS[name].pace != "request" for name in stream_list(running.settings))


#: All sessions that are still referenced; closed at exit.
_SESSIONS: weakref.WeakSet[Gen1Session] = weakref.WeakSet()


@atexit.register
def close_all() -> None:
    """Close the sessions that the program has not closed."""
    for session in list(_SESSIONS):
        session.close()
