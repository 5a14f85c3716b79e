"""`make run` starts and ends node, virtual device and monitor together."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import urllib.request
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest
from programs import program

pytestmark = pytest.mark.distribution("variables of both processes, and how they end")

Start = Callable[..., "subprocess.Popen[str]"]
LeftRunning = Callable[[], list[str]]

RUN = Path(__file__).resolve().parents[3] / "tools" / "run"

#: Topics of config/virtual.yaml -> True if they have a rate.
TOPICS = {
    "/oak/left/image_raw": True,
    "/oak/left/camera_info": True,
    "/oak/right/image_raw": True,
    "/oak/right/camera_info": True,
    "/oak/depth/image_raw": True,
    "/oak/depth/camera_info": True,
    "/oak/disparity": True,
    "/oak/disparity/image_raw": True,
    "/oak/disparity/camera_info": True,
    "/oak/rgb/image_raw": True,
    "/oak/rgb/camera_info": True,
    "/oak/rgb/preview/image_raw": True,
    "/oak/rgb/preview/camera_info": True,
    "/oak/nn/detections": True,
    "/oak/nn/spatial_detections": True,
    "/oak/nn/markers": True,
    "/oak/nn/label_info": False,
    "/oak/nn/vision_info": False,
    "/oak/tracklets": True,
    "/oak/nn/tracked_detections": True,
    "/oak/device/status": False,
    "/diagnostics": False,
    "/tf_static": False,
}


def _run(start: Start, *arguments: str) -> subprocess.Popen[str]:
    return start(str(RUN), *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def _running(domain: str) -> dict[int, str]:
    """Command lines of our processes that have this domain and live, by their numbers."""
    mark = f"ROS_DOMAIN_ID={domain}".encode()
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            variables = (folder / "environ").read_bytes().split(b"\0")
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:  # ended meanwhile, or another user's
            continue
        if mark in variables and any(word.startswith(b"depthai_ros.") for word in words):
            found[int(folder.name)] = b" ".join(words).decode()
    return found


@pytest.fixture
def domain() -> str:
    """The test run's own domain; a run honours it."""
    return os.environ["ROS_DOMAIN_ID"]


@pytest.fixture
def left_running(domain: str) -> LeftRunning:
    """The processes that a run has left behind; other tests may share a device meanwhile."""
    before = _running(domain).keys()
    return lambda: [words for number, words in _running(domain).items() if number not in before]


@pytest.mark.complaint(25)
def test_every_topic_of_the_default_streams_arrives_and_nothing_stays(
    start: Start, tmp_path: Path, left_running: LeftRunning
) -> None:
    summary = tmp_path / "run.json"
    run = _run(start, "--duration", "3", "--summary", str(summary))
    output, errors = run.communicate(timeout=100)
    assert run.returncode == 0, output + errors
    assert left_running() == []
    document = json.loads(summary.read_text())
    topics = document["topics"]
    assert set(topics) == set(TOPICS)
    assert 3.0 <= document["duration_s"] < 7.0  # it ends with a report of the node
    for stream, counts in document["streams"].items():
        fates = sum(counts[key] for key in counts if key not in ("produced", "skipped"))
        assert counts["produced"] == fates > 0, stream
    for name, rated in TOPICS.items():
        entry = topics[name]
        assert set(entry) == {
            "type", "count", "fps", "expected_fps", "drops", "lost", "latency_ms", "mb_s",
            "compression_ratio",
        }, name  # fmt: skip
        assert entry["count"] >= 1, name
        assert entry["expected_fps"] == (30.0 if rated else None), name
        if rated and name != "/oak/nn/markers":  # a MarkerArray has no stamp of its own
            assert sum(entry["lost"].values()) == entry["drops"], name
            assert entry["fps"] <= 40.0, name  # delayed messages may arrive together
            assert entry["latency_ms"]["mean"] > 0.0, name
    assert topics["/oak/rgb/image_raw"]["type"] == "sensor_msgs/msg/Image"
    assert "23 topics in" in output.splitlines()[-1]


def test_ctrl_c_ends_everything_with_status_0(start: Start, left_running: LeftRunning) -> None:
    words = (str(RUN), "--", "-r", "__node:=front", "-r", "__ns:=/robot")
    run = start(*words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    assert run.stdout is not None
    lines = iter(run.stdout.readline, "")
    assert any("/robot/front/left/image_raw" in line for line in lines), "no live table"
    os.killpg(run.pid, signal.SIGINT)  # as a terminal does: to all of the group
    output, errors = run.communicate(timeout=40)
    assert run.returncode == 0, output + errors
    assert left_running() == []


def test_page_is_served_beside_the_node(start: Start, left_running: LeftRunning) -> None:
    pytest.importorskip("viser", reason="viser is missing: `make view` is NOT TESTED")
    words = (str(RUN), "--view=--port 0 --read-only")
    run = start(*words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    assert run.stdout is not None
    address = re.search(r"http://127\.0\.0\.1:\d+/\?token=\S+", run.stdout.readline())
    assert address, run.communicate(timeout=40)
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with browser.open(address[0], timeout=10) as page:
        assert b"<html" in page.read(1000)
    os.killpg(run.pid, signal.SIGINT)
    output, errors = run.communicate(timeout=40)
    assert run.returncode == 0, output + errors
    assert left_running() == []


def test_node_that_fails_says_why_and_ends_the_run(start: Start, left_running: LeftRunning) -> None:
    run = _run(start, "--duration", "4", "--", "-p", "camera.rgb.fps:=-3.0")
    output, errors = run.communicate(timeout=60)
    assert run.returncode == 1, output
    assert "camera.rgb.fps" in errors
    assert "the camera node ended by itself with status" in errors
    assert left_running() == []


def test_killed_run_ends_its_processes(start: Start, left_running: LeftRunning) -> None:
    run = _run(start)
    assert run.stdout is not None
    assert "waiting for" in run.stdout.readline()
    run.kill()
    run.communicate(timeout=30)  # returns when no process has its pipes open
    assert left_running() == []


def test_run_uses_its_own_domain_if_the_user_set_none(start: Start) -> None:
    variables = {name: value for name, value in os.environ.items() if name != "ROS_DOMAIN_ID"}
    run = start(str(RUN), env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert run.stderr is not None
    said = re.search(r"ROS domain (\d+)", run.stderr.readline())
    assert said
    assert 1 <= int(said[1]) <= 101
    assert said[1] != os.environ["ROS_DOMAIN_ID"]
    run.send_signal(signal.SIGSTOP)
    for status in Path(f"/proc/{run.pid}/task").glob("*/status"):  # any thread may get a signal
        blocked = re.search(r"SigBlk:\s*(\w+)", status.read_text())
        assert blocked
        assert int(blocked[1], 16) >> (signal.SIGINT - 1) & 1, status
    run.send_signal(signal.SIGINT)
    run.send_signal(signal.SIGCONT)
    run.communicate(timeout=40)
    assert run.returncode == 0


@pytest.mark.parametrize(
    ("free_mib", "segment_mib"),
    [(4096, 64), (192, 64), (64, 21), (48, 16), (47, None)],
)
def test_shared_memory_segments_fit_into_what_is_free(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    free_mib: int,
    segment_mib: int | None,
) -> None:
    run = program("run")
    usage = namedtuple("usage", "free")(free_mib << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)
    profile = run.fast_dds_profile(tmp_path)
    if segment_mib is None:
        assert profile is None
        assert f"/dev/shm has {free_mib} MiB free" in capsys.readouterr().err
    else:
        assert f"<segment_size>{segment_mib << 20}</segment_size>" in profile.read_text()


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ([], "/oak"),
        (["-r", "__node:=front"], "/front"),
        (["-r", "__ns:=/robot/head"], "/robot/head/oak"),
        (["-r", "__ns:=/robot", "--remap", "__node:=front", "-p", "x:=1"], "/robot/front"),
    ],
)  # fmt: skip
def test_monitor_watches_the_node_that_the_arguments_name(arguments: list[str], name: str) -> None:
    assert program("run").node_name(arguments) == name
