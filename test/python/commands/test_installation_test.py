"""The installation test: its saved image, and its errors."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from depthai_ros.commands.installation_test import AnnotatedPreview

HAS_WINDOWS = not re.search(r"GUI: +NONE", cv2.getBuildInformation())
COMMAND = [sys.executable, "-m", "depthai_ros.commands.installation_test"]


def run(*words: object, selector: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DEPTHAI_DEVICE": selector}
    command = [*COMMAND, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)


def test_frames_that_are_taken_together_have_no_rate_yet() -> None:
    view = AnnotatedPreview([])
    view._arrivals.extend([5.0, 5.0])  # the first frames, after a busy moment
    assert view.fps == 0.0
    view._arrivals.append(5.5)
    assert view.fps == 4.0


def test_image_with_labelled_boxes_is_saved_without_a_screen(tmp_path: Path) -> None:
    done = run("--headless", "--duration", "1", "--save", tmp_path / "out.png")
    assert done.returncode == 0, done.stderr
    assert "--device usb" in done.stdout
    assert "person" in done.stdout
    image = cv2.imread(str(tmp_path / "out.png"))
    assert image.shape == (600, 600, 3)
    assert np.ptp(image) > 100


def test_box_is_drawn_around_the_object(tmp_path: Path) -> None:
    target = tmp_path / "out.png"
    done = run("--headless", "--duration", "0.5", "--save", target, selector="virtual:pattern")
    assert done.returncode == 0, done.stderr
    image = cv2.imread(str(target)).astype(int)
    # The person of the pattern is at x 0.25..0.5, y 0.125..0.75; its box has one colour.
    sides = [image[75:450, 150], image[75:450, 300], image[450, 150:300]]
    ink = image[450, 225]
    for side in sides:
        assert (abs(side - ink).max(axis=-1) < 3).mean() > 0.9


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--device", "usb"], 2, "--blob FILE"),
        (["--device", "unix:/nobody/here", "--headless"], 1, "could not be started"),
        (["--device", "virtual", "--headless", "--config", "/dev/null"], 1, ""),
        (["--headless", "--duration", "0.1", "--save", "/no/folder/out.png"], 1, "cannot write"),
        (["--nonsense"], 2, "usage"),
    ],
)
def test_error_has_an_exit_status_and_a_message(
    words: list[str], status: int, message: str
) -> None:
    done = run(*words)
    assert done.returncode == status, done.stdout + done.stderr
    assert message in done.stderr


@pytest.mark.skipif(HAS_WINDOWS, reason="this OpenCV has windows")
def test_opencv_without_windows_is_reported_with_an_alternative() -> None:
    done = run("--duration", "0.1")
    assert done.returncode == 1
    assert "--headless" in done.stderr
