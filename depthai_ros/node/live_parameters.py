"""Changes the live options of a running node, on its device and in its settings."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..config.settings import Settings
from ..device.device import OpenDevice
from ..device.live_commands import send_changes, send_options
from ..device.pipeline import RunningPipeline
from .supervisor import Supervisor


class LiveOptions:
    """Changes the settings of a running node; a request is applied as a whole or not at all.

    `lock`: a change must not fall between the start of a pipeline and the commands that follow it,
    nor into a transition of the node, which reads the settings.
    """

    def __init__(self, supervisor: Supervisor, on_change: Callable[[Settings], None]) -> None:
        """`on_change` is called with the new settings before `change()` returns."""
        self.lock = threading.RLock()
        self._supervisor = supervisor
        self._on_change = on_change
        self._updated: RunningPipeline | None = None
        supervisor.started.append(self._send_all)

    @property
    def settings(self) -> Settings:
        """The current settings."""
        return self._supervisor.settings

    def change(self, new: Settings) -> None:
        """Send the settings to the device where it needs them, and store them.

        While no pipeline runs they are stored, and sent when the next one starts.
        Raises  ConfigError, LinkError; then neither the settings nor the device have changed
        """
        with self.lock:
            supervisor = self._supervisor
            pipeline, device = supervisor.pipeline, supervisor.device
            if device is not None and pipeline is not None and pipeline is self._updated:
                send_changes(device, supervisor.settings, new, lambda: supervisor.is_streaming)
            supervisor.settings = new
            self._on_change(new)

    def _send_all(self, device: OpenDevice) -> None:
        """Send every value that differs from its default to a newly started device."""
        with self.lock:
            send_options(device, self._supervisor.settings)
            self._updated = self._supervisor.pipeline
