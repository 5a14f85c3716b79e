"""A virtual device process shared by many tests; each test has a session of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from depthai_ros import depthai


@pytest.fixture(scope="session")
def virtual_device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Selector of a virtual device that serves successive sessions."""
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
    """Makes the shared device the default of Gen1 programs."""
    monkeypatch.setenv("DEPTHAI_DEVICE", virtual_device)


@pytest.fixture
def device(virtual_by_default: None) -> Iterator[depthai.Device]:
    """The shared device, opened."""
    device = depthai.Device("", False)
    yield device
    device._close()
