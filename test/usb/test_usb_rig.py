"""The rig itself: limits of the emulated bus, and cleanup after a killed test run."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from usb_rig import ROOT, Bench, scratch_folder, wait_until

#: A test run with a bus and a device, to be killed before its cleanup.
PROGRAM = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
import usb_rig
far_end = usb_rig.FarEnd("pattern")
rig = usb_rig.Rig(usb_rig.built_rig(), [{"port": usb_rig.PORT, "socket": far_end.socket}])
rig.wait_for(usb_rig.PORT + " rom")
folders = [str(rig._scratch), str(far_end._folder)]
print(json.dumps([folders, [rig._process.pid, far_end._process.pid]]), flush=True)
time.sleep(600)
"""


def test_program_on_the_bus_may_open_any_number_of_shared_memories(bench: Bench) -> None:
    """A ROS node opens many; umockdev treats them as files in /dev and has room for 50."""
    program = (
        "import tempfile\n"
        "files = [tempfile.TemporaryFile(dir='/dev/shm') for _ in range(120)]\n"
        "print(len(files))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=bench.rig({}).environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("120\n", 0), done.stderr


def is_running(number: int) -> bool:
    status = Path("/proc", str(number), "stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_killed_test_run_leaves_no_process_and_no_folder(rig_program: Path) -> None:
    words = [sys.executable, "-c", PROGRAM, str(ROOT / "test/support")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout
        folders, processes = json.loads(run.stdout.readline())
        assert all(Path(folder).is_dir() for folder in folders)
        run.kill()
        run.wait()
    wait_until(lambda: not any(map(is_running, processes)), f"one of {processes} is still running")
    shutil.rmtree(scratch_folder())  # the next run removes the folders
    assert not any(Path(folder).exists() for folder in folders)
