"""DeviceLocks: only one program uses a device, until it releases the lock or ends in any way."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from depthai_ros.device import device_lock, processes
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
    monkeypatch.setattr(device_lock, "_HELD", device_lock._HeldLocks())
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


def own_file(place: str = "usb:1:1.3") -> Path:
    return device_lock._path(place, os.geteuid())


def test_file_can_be_read_by_all_users_and_holds_nothing(lock_folder: Path) -> None:
    before = os.umask(0o077)
    locks = DeviceLocks()
    try:
        assert locks.take("usb:1:1.3") == ""
    finally:
        os.umask(before)
    (path,) = lock_folder.iterdir()
    assert path == own_file()
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert path.stat().st_size == 0
    locks.release()
    assert not list(lock_folder.iterdir())


def test_folder_is_one_in_which_nobody_can_remove_files_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DEPTHAI_ROS_CLAIMS")
    folders = [tmp_path / "nowhere", tmp_path / "private", tmp_path / "open", tmp_path / "sticky"]
    for folder, mode in zip(folders[1:], (0o755, 0o777, 0o1777), strict=True):
        folder.mkdir()
        folder.chmod(mode)
    monkeypatch.setattr(device_lock, "_FOLDERS", tuple(map(str, folders)))
    assert own_file().parent == folders[-1]


def spoil_by_link(path: Path) -> None:
    path.symlink_to(path.with_name("elsewhere"))


def spoil_by_second_name(path: Path) -> None:
    """A private file of the user would become readable for all."""
    private = path.with_name("private")
    private.touch(0o600)
    path.hardlink_to(private)


#: Malicious replacements of the file; a program must not follow, wait for, or fail by them.
TRAPS: dict[str, Callable[[Path], None]] = {
    "link": spoil_by_link,
    "second name": spoil_by_second_name,
    "fifo": lambda path: os.mkfifo(path),
    "folder": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("trap", TRAPS)
def test_trap_in_place_of_the_lock_file_causes_only_a_warning(
    trap: str, lock_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    TRAPS[trap](own_file())
    locks = DeviceLocks()
    assert locks.take("usb:1:1.3") == ""
    assert DeviceLocks().take("usb:1:1.3") == "this very program"
    assert "this device cannot be locked" in caplog.text
    assert not (lock_folder / "elsewhere").exists()
    if trap == "second name":
        assert stat.S_IMODE((lock_folder / "private").stat().st_mode) == 0o600
    locks.release()
    assert os.path.lexists(own_file()), "what we did not make stays"


def test_file_that_was_removed_while_another_program_had_it_is_made_again(start: Start) -> None:
    locks = DeviceLocks()
    assert locks.take("usb:1:1.3") == ""
    descriptor = os.open(own_file(), os.O_RDWR)  # another program is about to lock it
    assert not device_lock._is_at(own_file("another"), descriptor)
    locks.release()
    assert not device_lock._is_at(own_file(), descriptor)
    os.close(descriptor)
    assert answer(locking(start, "usb:1:1.3")) == "done"


def test_name_of_the_holder_cannot_forge_a_log_line(start: Start, tmp_path: Path) -> None:
    script = tmp_path / "x\n[ERROR] forged \x1b[2J"
    script.write_text(PROGRAM)
    words = [str(script), "usb:1:1.3", "__node:=front\n[ERROR]"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    holder = start(sys.executable, *words, **pipes)
    assert answer(holder) == "done"
    expected = rf"process {holder.pid} (x\n[ERROR] forged \x1b[2J)"
    assert DeviceLocks().take("usb:1:1.3") == expected


def test_holder_that_cannot_be_seen_is_said_to_be_so() -> None:
    assert "cannot be seen from here" in str(processes.describe(0))
    assert str(processes.describe(2**22 + 1)).endswith("whose user and name are hidden")


# ------------------------------------------------------------------------- users of one machine

#: Users of the tests that need no account: root may become any of them.
ALICE, MALLORY = 61_001, 61_002


class OtherUser:
    """A process of another user, which does one thing and then waits until it is killed."""

    def __init__(self, user: int, act: Callable[[], str]) -> None:
        answers, answer = os.pipe()
        self.process = os.fork()
        if self.process == 0:
            try:
                os.setgroups([])
                os.setresgid(user, user, user)
                os.setresuid(user, user, user)
                said = act()
            except BaseException as cause:
                said = repr(cause)
            os.write(answer, said.encode())
            os.close(answer)
            while True:
                signal.pause()
        os.close(answer)
        with os.fdopen(answers) as file:
            self.answer = file.read()

    def finish(self) -> None:
        if self.process:
            os.kill(self.process, signal.SIGKILL)
            os.waitpid(self.process, 0)
            self.process = 0


def take() -> str:
    return DeviceLocks().take("usb:1:1.3")


@pytest.fixture
def as_user(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., OtherUser]]:
    """Starts processes of other users, with a folder that they share."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    folder = Path(tempfile.mkdtemp())  # pytest's are private
    folder.chmod(0o1777)
    monkeypatch.setenv("DEPTHAI_ROS_CLAIMS", str(folder))
    users: list[OtherUser] = []

    def begin(user: int, act: Callable[[], str] = take) -> OtherUser:
        users.append(OtherUser(user, act))
        return users[-1]

    yield begin
    for user in users:
        user.finish()
    shutil.rmtree(folder)


def test_second_user_is_told_process_and_user_of_the_first(
    as_user: Callable[..., OtherUser],
) -> None:
    alice = as_user(ALICE)
    assert alice.answer == ""
    words = f"process {alice.process} of user {ALICE} ("
    assert as_user(MALLORY).answer.startswith(words)
    assert take().startswith(words), "root too"
    assert as_user(ALICE).answer.startswith(f"process {alice.process} (")
    assert as_user(ALICE, lambda: DeviceLocks().take("usb:1:1.4")).answer == ""
    alice.finish()
    assert as_user(MALLORY).answer == ""


def lock_everything_of(folder: Path) -> str:
    """What one user can do to the files of others: each step fails or is without effect."""
    for path in folder.iterdir():
        for act in (
            lambda path=path: os.open(path, os.O_RDWR),
            lambda path=path: path.unlink(),
            lambda path=path: path.rename(path.with_name("moved")),
            lambda path=path: path.chmod(0o666),
        ):
            with suppress(PermissionError):
                act()
                return f"{path} can be changed"
    return "nothing"


def test_file_of_another_user_cannot_be_locked_removed_or_replaced(
    as_user: Callable[..., OtherUser],
) -> None:
    alice = as_user(ALICE)
    folder = own_file().parent
    assert as_user(MALLORY, lambda: lock_everything_of(folder)).answer == "nothing"
    assert as_user(MALLORY).answer.startswith(f"process {alice.process} of user {ALICE}")


def test_lock_for_reading_names_the_user_who_holds_it(as_user: Callable[..., OtherUser]) -> None:
    path = device_lock._path("usb:1:1.3", ALICE)
    path.touch(0o644)
    os.chown(path, ALICE, ALICE)

    def read_lock() -> str:
        fcntl.lockf(os.open(path, os.O_RDONLY), fcntl.LOCK_SH)
        return "locked"

    mallory = as_user(MALLORY, read_lock)
    assert mallory.answer == "locked"
    assert as_user(ALICE).answer.startswith(f"process {mallory.process} of user {MALLORY} (")
    assert take() == "", "it is no claim of the device"


def test_file_in_the_name_of_another_user_is_no_claim_and_is_told(
    as_user: Callable[..., OtherUser],
) -> None:
    path = device_lock._path("usb:1:1.3", ALICE)

    def squat() -> str:
        fcntl.lockf(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), fcntl.LOCK_EX)
        return "locked"

    def take_with_warning() -> str:
        lines: list[str] = []
        handler = logging.Handler()
        handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
        logging.getLogger(device_lock.__name__).addHandler(handler)
        return take() + "; ".join(lines)

    assert as_user(MALLORY, squat).answer == "locked"
    warning = as_user(ALICE, take_with_warning).answer
    assert warning.startswith("this device cannot be locked, ")
    assert warning.endswith(f"it belongs to user {MALLORY}")
    assert take() == ""


# -------------------------------------------------------------------------- addresses and devices


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
