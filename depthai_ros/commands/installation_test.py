"""Tests an installation: shows the preview image with detections of the 20-class detector."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .. import depthai
from ..bounded import clean_text
from ..config import read_json_file

_MODELS = "package://depthai_ros/config/models/"
_WINDOW = "depthai-test"
_SCALE = 2
#: Time limit for the first packet of a device.
_START_S = 15.0
_ESCAPE, _Q = 27, ord("q")
_INK = (255, 255, 255)
_NO_WINDOWS = (
    "OpenCV cannot open a window: install opencv-python and set DISPLAY, or use --headless"
)


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="depthai-test",
        description="Show the preview image with the detections of a network; q or Esc ends. "
        "Without --device and DEPTHAI_DEVICE it shows the virtual device.",
    )
    parser.add_argument("--device", metavar="SELECTOR", help="usb, virtual, unix:/path, …")
    parser.add_argument("--blob", default="", help="compiled MobileNet-SSD (for a real device)")
    parser.add_argument("--config", default=_MODELS + "mobilenet_ssd.json", help="its description")
    parser.add_argument("--headless", action="store_true", help="open no window")
    parser.add_argument("--save", metavar="FILE.png", help="write the last image")
    parser.add_argument("--duration", type=float, metavar="S", help="seconds to run; headless: 3")
    return parser.parse_args(words)


class AnnotatedPreview:
    """The preview image with detections and frame rate drawn into it."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = labels
        self._arrivals: deque[float] = deque(maxlen=60)
        self.image: NDArray[np.uint8] | None = None
        self.frames = 0
        self.objects: list[depthai.Detection] = []
        self.seen: set[str] = set()

    @property
    def fps(self) -> float:
        """Frames per second over the last frames."""
        span_s = self._arrivals[-1] - self._arrivals[0] if self._arrivals else 0.0
        return (len(self._arrivals) - 1) / span_s if span_s > 0.0 else 0.0

    def take(self, pipeline: depthai.CNNPipeline) -> bool:
        """Draw the frames and results that arrived; False if there was no new frame."""
        results, packets = pipeline.get_available_nnet_and_data_packets()
        for result in results:
            self.objects = list(result.getDetectedObjects())
            self.seen |= {self._label(found) for found in self.objects}
        if not packets:
            return False
        self.frames += len(packets)
        self._arrivals.extend([time.monotonic()] * len(packets))
        self.image = self._draw(packets[-1].getData())
        return True

    def _label(self, found: depthai.Detection) -> str:
        number = int(found.label)
        return self._labels[number] if number < len(self._labels) else str(number)

    def _draw(self, planes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        image: Any = np.ascontiguousarray(planes.transpose(1, 2, 0))
        height, width = (size * _SCALE for size in image.shape[:2])
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
        for found in self.objects:
            corners = [
                (round(x * width), round(y * height))
                for x, y in ((found.x_min, found.y_min), (found.x_max, found.y_max))
            ]
            color = _color(found.label)
            cv2.rectangle(image, corners[0], corners[1], color, 2)
            text = f"{self._label(found)} {found.confidence:.0%}"
            if found.depth_z > 0:
                text += f" {found.depth_z:.2f} m"
            _write(image, text, corners[0], color)
        _write(image, f"{self.fps:.1f} fps", (0, height), (60, 60, 60))
        return np.asarray(image, np.uint8)


def _color(label: int) -> tuple[int, int, int]:
    """A different saturated colour for each class."""
    hue = np.array([[[label * 37 % 180, 200, 170]]], np.uint8)
    blue, green, red = cv2.cvtColor(hue, cv2.COLOR_HSV2BGR)[0, 0].tolist()
    return blue, green, red


def _write(image: Any, text: str, corner: tuple[int, int], color: tuple[int, ...]) -> None:
    """Draw text on a filled background above `corner`, or below it if there is no room."""
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, 0.5
    (width, height), below = cv2.getTextSize(text, font, scale, 1)
    x = max(0, min(corner[0], image.shape[1] - width - 4))
    bottom = corner[1] if corner[1] >= height + below + 4 else corner[1] + height + below + 4
    top_left, bottom_right = (x, bottom - height - below - 4), (x + width + 4, bottom)
    cv2.rectangle(image, top_left, bottom_right, color, cv2.FILLED)
    cv2.putText(image, text, (x + 2, bottom - below), font, scale, _INK, 1, cv2.LINE_AA)


def _labels(path: str) -> list[str]:
    try:
        document = read_json_file(path)
        return [clean_text(str(label)) for label in document["mappings"]["labels"]]
    except (ValueError, LookupError, TypeError):
        return []


def _show(
    view: AnnotatedPreview,
    duration_s: float | None,
    keep_on: Callable[[AnnotatedPreview, bool], bool],
    pipeline: depthai.CNNPipeline,
) -> None:
    """Show frames until the time is over or the user ends the program."""
    start_s = time.monotonic()
    while True:
        is_new = view.take(pipeline)
        now_s = time.monotonic()
        if not view.frames and now_s - start_s > _START_S:
            return
        if duration_s is not None and view.frames and now_s - start_s > duration_s:
            return
        if not keep_on(view, is_new):
            return


def _window(view: AnnotatedPreview, is_new: bool) -> bool:
    if is_new and view.image is not None:
        cv2.imshow(_WINDOW, view.image)
    return cv2.waitKey(5) not in (_ESCAPE, _Q)


def _no_window(_view: AnnotatedPreview, is_new: bool) -> bool:
    if not is_new:
        time.sleep(0.005)
    return True


def _has_screen() -> bool:
    """False without a display: some builds of OpenCV then abort when they open a window."""
    return sys.platform != "linux" or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))


def _selector(arguments: argparse.Namespace) -> str:
    chosen = arguments.device or os.environ.get("DEPTHAI_DEVICE")
    if chosen:
        return str(chosen)
    print("Showing the virtual device. For a real one: depthai-test --device usb --blob FILE")
    return "virtual"


def main(words: Sequence[str] | None = None) -> int:
    """Entry point; returns 0 if frames arrived, 1 if not, 2 for unsuitable arguments."""
    arguments = _arguments(words)
    os.environ["DEPTHAI_DEVICE"] = selector = _selector(arguments)
    if selector.startswith("usb") and not arguments.blob:
        print("depthai-test: a real device needs a compiled network: --blob FILE", file=sys.stderr)
        return 2
    if not arguments.headless and not _has_screen():
        print(f"depthai-test: {_NO_WINDOWS}", file=sys.stderr)
        return 1
    device = depthai.Device("", False)
    blob = arguments.blob or _MODELS + "virtual_ssd.blob"
    ai = {"blob_file": blob, "blob_file_config": arguments.config, "calc_dist_to_bb": True}
    pipeline = device.create_pipeline({"streams": ["previewout", "metaout"], "ai": ai})
    if pipeline is None:
        print(f"depthai-test: {selector} could not be started", file=sys.stderr)
        return 1
    view = AnnotatedPreview(_labels(arguments.config))
    duration_s = arguments.duration
    if arguments.headless and duration_s is None:
        duration_s = 3.0
    try:
        _show(view, duration_s, _no_window if arguments.headless else _window, pipeline)
    except KeyboardInterrupt:
        pass
    except cv2.error:
        print(f"depthai-test: {_NO_WINDOWS}", file=sys.stderr)
        return 1
    return _report(view, selector, arguments.save)


def _report(view: AnnotatedPreview, selector: str, save: str | None) -> int:
    found = ", ".join(sorted(view.seen)) or "nothing"
    print(f"{selector}: {view.frames} frames, {view.fps:.1f} fps, found: {found}")
    if view.image is None:
        print("depthai-test: no frame arrived", file=sys.stderr)
        return 1
    if save:
        if not Path(save).parent.is_dir() or not cv2.imwrite(save, view.image):
            print(f"depthai-test: cannot write {save}", file=sys.stderr)
            return 1
        print(f"wrote {save}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
