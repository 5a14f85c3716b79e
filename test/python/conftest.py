"""A virtual device that many tests share: each is a session of its own, none pays for a process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from depthai_ros import depthai


@pytest.fixture(scope="session")
def virtual_device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Selector of a virtual device that plays one session after the other."""
    socket: Path = tmp_path_factory.mktemp("virtual") / "device"
    words = [sys.executable, "-m", "depthai_ros.virtual", "--listen", f"unix:{socket}"]
    process = subprocess.Popen([*words, "--device", "pattern"], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert "waits at" in process.stdout.readline()
    yield f"unix:{socket}"
    process.terminate()
    assert process.wait(10) == 0
    process.stdout.close()


@pytest.fixture
def virtual_by_default(monkeypatch: pytest.MonkeyPatch, virtual_device: str) -> None:
    """Gen1 programs that name no device get the shared one."""
    monkeypatch.setenv("DEPTHAI_DEVICE", virtual_device)


@pytest.fixture
def device(virtual_by_default: None) -> Iterator[depthai.Device]:
    """The shared one, opened."""
    device = depthai.Device("", False)
    yield device
    device._close()
