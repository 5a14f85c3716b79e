"""DeviceLocks: only one program uses a device, until it releases the lock or ends in any way."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from depthai_ros.device import device_lock
from depthai_ros.device.device import OpenDevice
from depthai_ros.device.device_lock import DeviceLocks, socket_place, usb_place
from depthai_ros.errors import DeviceNotFoundError

Start = Callable[..., "subprocess.Popen[str]"]

#: Locks its first argument, prints the result, and waits until its input ends.
PROGRAM = """
import sys
from depthai_ros.device.device_lock import DeviceLocks
locks = DeviceLocks()
print("locked:", locks.take(sys.argv[1]) or "done", flush=True)
sys.stdin.read()
"""
#: Places with names that are not valid file names.
PLACES = ["usb:1:1.3", "unix:/a/../b\n\0", "unix:" + "x" * 5000, "unix:/\udcff", ""]


@pytest.fixture(autouse=True)
def lock_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A private folder, for this process and its children."""
    monkeypatch.setenv("DEPTHAI_ROS_CLAIMS", str(tmp_path))
    monkeypatch.setattr(device_lock, "_FILE", device_lock._LockFile())
    return tmp_path


def locking(start: Start, place: str, *words: str) -> subprocess.Popen[str]:
    """Another program that has tried to take its lock."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return start(sys.executable, "-c", PROGRAM, place, *words, **pipes)


def answer(program: subprocess.Popen[str]) -> str:
    assert program.stdout
    return program.stdout.readline().strip().removeprefix("locked: ")


@pytest.mark.parametrize("place", PLACES, ids=range(len(PLACES)))
def test_a_place_is_locked_once_and_can_be_released(place: str) -> None:
    ours, others = DeviceLocks(), DeviceLocks()
    assert ours.take(place) == ""
    assert ours.take(place) == "", "it is ours already"
    assert others.take(place) == "this very program"
    assert others.take(place + "!") == ""
    ours.release()
    ours.release()
    assert others.take(place) == ""


def test_error_names_the_program_that_holds_the_lock(start: Start) -> None:
    holder = locking(start, "usb:1:1.3", "__node:=front")
    assert answer(holder) == "done"
    other = locking(start, "usb:1:1.3")
    assert answer(other) == f"process {holder.pid} (python -c, node front)"
    assert DeviceLocks().take("usb:1:1.4") == ""


@pytest.mark.parametrize("end", ["kill", "terminate"])
def test_lock_ends_with_its_program_however_that_ends(end: str, start: Start) -> None:
    holder = locking(start, "usb:1:1.3")
    assert answer(holder) == "done"
    assert DeviceLocks().take("usb:1:1.3").startswith(f"process {holder.pid} (")
    getattr(holder, end)()
    holder.wait()
    assert DeviceLocks().take("usb:1:1.3") == ""


def test_forked_child_does_not_inherit_what_its_parent_has_locked() -> None:
    locks = DeviceLocks()
    assert locks.take("usb:1:1.3") == ""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        locks.release()  # as its exit may do, which must not free the parent's
        os.write(write, DeviceLocks().take("usb:1:1.3").encode())
        os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    with os.fdopen(read) as words:
        assert words.read().startswith(f"process {os.getpid()} (")


def test_file_is_one_for_all_users_and_holds_nothing(lock_folder: Path) -> None:
    before = os.umask(0o077)
    try:
        assert DeviceLocks().take("usb:1:1.3") == ""
    finally:
        os.umask(before)
    (path,) = lock_folder.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o666
    assert path.stat().st_size == 0


def spoil_by_link(path: Path) -> None:
    path.symlink_to(path.with_name("elsewhere"))


#: Malicious replacements of the file; a program must not follow, wait for, or fail by them.
TRAPS: dict[str, Callable[[Path], None]] = {
    "link": spoil_by_link,
    "fifo": lambda path: os.mkfifo(path),
    "folder": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("trap", TRAPS)
def test_trap_in_place_of_the_lock_file_causes_only_a_warning(
    trap: str, lock_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    TRAPS[trap](lock_folder / "depthai_ros.claims")
    assert DeviceLocks().take("usb:1:1.3") == ""
    assert "devices cannot be locked" in caplog.text
    assert not (lock_folder / "elsewhere").exists()


def test_every_spelling_of_an_address_is_one_lock(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    assert socket_place(f"unix:{tmp_path}/link/device") == socket_place(f"unix:{tmp_path}/device")
    assert socket_place("tcp:localhost:90") == socket_place("tcp:127.0.0.1:90")
    assert socket_place("tcp:127.0.0.1:90") != socket_place("tcp:127.0.0.1:91")
    assert socket_place("tcp:no such host:x") == "tcp:no such host:x"
    assert usb_place("1:1.3") != usb_place("2:1.3")


def test_device_of_another_program_is_not_touched(tmp_path: Path, start: Start) -> None:
    selector = f"unix:{tmp_path}/device"
    holder = locking(start, socket_place(selector))
    assert answer(holder) == "done"
    with pytest.raises(DeviceNotFoundError, match=f"in use by process {holder.pid}") as error:
        OpenDevice.open(selector)
    assert error.value.reason == "busy"
    assert "choose another device" in str(error.value)


def test_device_stays_locked_until_it_is_closed(tmp_path: Path, start: Start) -> None:
    selector = f"unix:{tmp_path}/device"
    words = ["-m", "depthai_ros.virtual", "--listen", selector, "--device", "pattern"]
    far_end = start(sys.executable, *words, stdout=subprocess.PIPE)
    assert far_end.stdout
    assert "waits at" in far_end.stdout.readline()
    device = OpenDevice.open(selector)
    device.reset()
    with pytest.raises(DeviceNotFoundError, match="this very program"):
        OpenDevice.open(selector)
    device.close()
    OpenDevice.open(selector).close()


def test_failed_attempt_leaves_no_lock_behind(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(DeviceNotFoundError) as error:
            OpenDevice.open(f"unix:{tmp_path}/device")
        assert error.value.reason != "busy"
