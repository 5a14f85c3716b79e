"""Whole Gen1 programs, each in its own process, against the virtual device."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from compiled_networks import F16, SSD_OUTPUT, U8, Tensor, compiled_network

ROOT = Path(__file__).resolve().parents[3]
PROGRAMS = Path(__file__).parent / "programs"
MODELS = ROOT / "config/models"
RUN = [sys.executable, "-m", "depthai_ros.depthai"]


def run(*words: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    command = [str(word) for word in words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)


def written(folder: Path, text: str) -> Path:
    program = folder / "program.py"
    program.write_text(text)
    return program


@pytest.mark.parametrize("program", sorted(PROGRAMS.glob("p*.py")), ids=lambda path: path.stem)
def test_sample_program_runs_to_its_end(program: Path) -> None:
    if "import av" in program.read_text():
        pytest.importorskip("av", reason="av is not installed")
    scene = "virtual:synthetic" if "tracker" in program.stem else "virtual:pattern"
    done = run(*RUN, "--device", scene, program, MODELS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr


#: Program -> the header of its network.
COMPILED: dict[str, tuple[str, tuple[int, ...], Tensor]] = {
    "b1_faces_544x320.py": ("faces.blob", (1, 3, 320, 544), SSD_OUTPUT),
    "b2_landmarks_48x48.py": ("landmarks.blob", (1, 3, 48, 48), ("95", (1, 10, 1, 1), F16)),
    "b3_raw_ssd.py": ("ssd.blob", (1, 3, 300, 300), SSD_OUTPUT),
}


def test_programs_get_the_sizes_of_their_compiled_networks(
    tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    running = {}
    for program, (name, size, output) in COMPILED.items():
        (tmp_path / name).write_bytes(compiled_network([("data", size, U8)], [output]))
        command = [*RUN, "--device", "virtual:pattern", PROGRAMS / program, tmp_path]
        running[program] = start(*command, stderr=subprocess.PIPE)
    for program, process in running.items():
        errors = process.communicate(timeout=60)[1]
        assert process.returncode == 0, f"{program}: {errors}"
        # The header says 4 SHAVEs, b3 gives 2: a warning, and the network runs.
        assert ("compiled for 4 SHAVEs" in errors) == program.startswith("b3"), errors


def test_programs_that_depend_on_the_order_of_preview_and_stereo(
    start: Callable[..., subprocess.Popen[str]],
) -> None:
    programs = sorted(PROGRAMS.glob("o*.py"))
    running = {
        program: start(*RUN, "--device", "virtual:pattern", program, stderr=subprocess.PIPE)
        for program in programs
    }
    for program, process in running.items():
        errors = process.communicate(timeout=60)[1]
        assert process.returncode == 0, f"{program.name}: {errors}"


def test_ctrl_c_ends_a_blocking_getter(start: Callable[..., subprocess.Popen[str]]) -> None:
    program = PROGRAMS / "ctrl_c.py"
    command = [*RUN, "--device", "virtual:pattern", program]
    process = start(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in process.communicate(timeout=10)[1]
    assert process.returncode == -signal.SIGINT


def test_program_has_the_environment_of_a_direct_run(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("value = 5\n")
    (tmp_path / "depthai.py").write_text("raise ImportError('the program of this name')\n")
    text = """
import sys, beside, depthai
assert __name__ == "__main__"
assert __file__ == sys.argv[0]
assert sys.argv[1:] == ["--device", "x", "-h"], sys.argv
assert sys.path[0] == sys.argv[2 - 2].rpartition("/")[0]
assert sys.modules["__main__"].__file__ == __file__
assert depthai.Device.__module__ == "depthai"
sys.exit(beside.value)
"""
    program = written(tmp_path, text)
    done = run(*RUN, "--device", "virtual", program, "--device", "x", "-h")
    assert done.returncode == 5, done.stderr


@pytest.mark.parametrize(
    ("text", "status"),
    [("import sys; sys.exit(7)", 7), ("1 / 0", 1), ("raise SystemExit('words')", 1), ("", 0)],
)
def test_exit_status_is_that_of_the_program(tmp_path: Path, text: str, status: int) -> None:
    assert run(*RUN, written(tmp_path, text)).returncode == status


def test_missing_program_is_an_error_with_status_two(tmp_path: Path) -> None:
    done = run(*RUN, tmp_path / "nothing.py")
    assert done.returncode == 2
    assert "no such program" in done.stderr


def test_processes_that_a_program_starts_get_the_same_module(tmp_path: Path) -> None:
    text = """
import multiprocessing, subprocess, sys
import depthai

def version(queue):
    queue.put(depthai.__version__)

if __name__ == "__main__":
    spawn = multiprocessing.get_context("spawn")
    queue = spawn.Queue()
    child = spawn.Process(target=version, args=(queue,))
    child.start()
    assert queue.get(timeout=20) == "1.0.0.0+dev"
    child.join()
    code = "import depthai; print(depthai.__version__)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "1.0.0.0+dev\\n"
"""
    done = run(*RUN, written(tmp_path, text))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("ending", ["", "del p", "del device", "raise SystemExit(4)"])
def test_program_may_end_with_a_running_device(tmp_path: Path, ending: str) -> None:
    text = f"""
import depthai
device = depthai.Device()
p = device.create_pipeline({{"streams": ["left"]}})
p.get_available_data_packets(True)
{ending}
"""
    environment = {**os.environ, "DEPTHAI_DEVICE": "virtual:pattern"}
    done = run(*RUN, written(tmp_path, text), env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (4 if "4" in ending else 0, "", "")


def test_forked_child_drops_a_device_that_has_no_pipeline_yet(tmp_path: Path) -> None:
    text = """
import gc, os, signal, sys
import depthai
device = depthai.Device()
child = os.fork()
if child == 0:
    signal.alarm(20)
    assert device.create_pipeline({"streams": ["left"]}) is None
    del device
    gc.collect()
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
device._session.device._link.ping(timeout_s=5.0)
assert device._session.device.is_connected
p = device.create_pipeline({"streams": ["left"]})
assert p.get_available_data_packets(True)
"""
    done = run(*RUN, "--device", "virtual:pattern", written(tmp_path, text))
    assert done.returncode == 0, done.stderr


def test_device_that_a_daemon_thread_still_uses_is_reset_at_the_end() -> None:
    code = """
import atexit, threading
atexit.register(lambda: print(kept.is_connected))  # handlers registered later run first
from depthai_ros import depthai
def read(device):
    p = device.create_pipeline({"streams": ["left"]})
    while True:
        p.get_available_data_packets(True)
device = depthai.Device("virtual:pattern", False)
kept = device._session.device
threading.Thread(target=read, args=(device,), daemon=True).start()
while not device._session.pipeline:
    pass
"""
    done = run(sys.executable, "-c", code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "False\n", "")


def test_module_device_is_closed_from_a_destructor_at_exit(tmp_path: Path) -> None:
    text = """
import depthai

class Camera:
    def __init__(self):
        assert depthai.init_device("x.cmd")
        self.p = depthai.create_pipeline({"streams": ["left"]})
        self.p.get_available_data_packets(True)
    def __del__(self):
        del self.p
        depthai.deinit_device()

camera = Camera()
"""
    done = run(*RUN, "--device", "virtual:pattern", written(tmp_path, text))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_list_prints_the_devices_and_ends_with_status_zero(tmp_path: Path) -> None:
    program = written(tmp_path, "import depthai; depthai.init_device('', 'list')")
    done = run(*RUN, "--device", "virtual", program)
    assert (done.returncode, done.stdout) == (0, "Detected 1 device(s):\nvirtual\n")


def test_error_without_a_device_mentions_the_virtual_one(tmp_path: Path) -> None:
    text = "import depthai; print(depthai.init_device('x'), depthai.create_pipeline())"
    environment = {key: value for key, value in os.environ.items() if key != "DEPTHAI_DEVICE"}
    done = run(*RUN, written(tmp_path, text), env=environment)
    assert done.stdout == "False None\n"
    assert "DEPTHAI_DEVICE=virtual" in done.stderr


def test_module_works_under_its_long_name_without_the_runner() -> None:
    code = """
import pickle, sys
from depthai_ros import depthai
assert "depthai" not in sys.modules
for member in (depthai.AutofocusMode.AF_MODE_MACRO, depthai.CameraControl.Command.AE_LOCK):
    assert pickle.loads(pickle.dumps(member)) == member
"""
    done = run(sys.executable, "-c", code)
    assert done.returncode == 0, done.stderr
