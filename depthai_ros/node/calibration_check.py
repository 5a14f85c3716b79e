"""Answers ~/calibration_check: how well left, right, depth and rgb fit together.

A thread takes frames of one moment and measures; the service waits for it a short while, so that
the node stays responsive.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..calibration import board_check
from ..calibration.board_check import Figure
from ..calibration.calibration import Calibration
from ..calibration.camera_model import CameraModel, Matrix
from ..config.settings import Settings, frame_duration_us, stream_list, wire_rate_limit
from ..errors import DepthaiError
from ..messages.context import MessageContext
from ..messages.images import StampedPacket
from ..streams import STREAMS
from ..wire_formats import FrameSizes
from .supervisor import Supervisor

#: How long the service waits, how long the thread waits for frames besides their distance, and how
#: long a result is kept for a caller that comes again.
_ANSWER_S, _FRAMES_S, _KEEP_S = 2.0, 3.0, 60.0
#: The first one sees the corners to which depth belongs, and is needed in every case.
_STREAMS = ("right", "left", "depth", "color")
#: Largest difference of stamps, in distances of two frames.
_TOLERANCE = 0.6
_PAIR, _RGB = "mono pair", "depth to rgb"
_KEPT = "the distortion that the device keeps, and stereo.rectify host removes,"
_Boards = Mapping[str, list[Matrix]]  # corners of each board by camera, px
_PAIR_REMEDY = (
    "calibrate left and right again, and set both with set_camera_info "
    "(docs/services.md#calibration)"
)
_DEVICE_REMEDY = (
    "the device's own calibration is off: give it another one with depth.calibration_file and "
    "board_config.override_eeprom"
)
_RGB_REMEDY = (
    "calibrate the rgb camera again, its intrinsics and calibration.rgb_pose_file "
    "(docs/depth.md#calibrating-the-rgb-camera)"
)


class PoorCalibrationError(DepthaiError):
    """The check was made, and a figure is not good."""


class CheckError(DepthaiError):
    """The check could not be made."""


class _NotMeasuredError(Exception):
    """A part of the check is not possible."""

    def __init__(self, part: str, why: str) -> None:
        super().__init__(f"{part}: not measured: {why}")


@dataclass(frozen=True, slots=True)
class CheckedFrames:
    """What the check looks at. Images are upright and grey; those of absent streams are missing."""

    images: Mapping[str, NDArray[np.uint8]]  # left, right, rgb
    depth_mm: NDArray[np.uint16] | None  # 0 = not measured
    sizes: FrameSizes
    calibration: Calibration
    corners: tuple[int, int]

    def model(self, camera: str) -> CameraModel:
        """The model in camera_info."""
        size = self.sizes.rgb if camera == "rgb" else self.sizes.mono
        return self.calibration.camera(camera, size)

    def device_model(self, camera: str) -> CameraModel:
        """The model of a mono camera that the device has."""
        return self.calibration.with_models({}).camera(camera, self.sizes.mono)


class CalibrationCheck:
    """One check at a time, in a thread of its own."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._thread: threading.Thread | None = None
        self._started_s = 0.0
        self._subject: tuple[object, ...] = ()  # context, calibration and settings of the result
        self._result: str | Exception = ""

    def answer(self, context: MessageContext, calibration: Calibration) -> str:
        """The result of a check that was running, or of a new one.

        Raises  DepthaiError with the figures if one is not good, or why there are none
        """
        subject = context, calibration, self._supervisor.settings
        is_running = self._thread is not None and self._thread.is_alive()
        is_old = self._subject != subject or time.monotonic() - self._started_s > _KEEP_S
        if self._thread is None or (is_old and not is_running):
            self._subject, self._started_s = subject, time.monotonic()
            self._thread = threading.Thread(target=self._run, args=subject, name="check")
            self._thread.start()
        thread = self._thread
        thread.join(_ANSWER_S)
        if thread.is_alive():
            raise CheckError("the check is running: call again in a few seconds for its result")
        self._thread = None
        if isinstance(self._result, Exception):
            raise self._result
        return self._result

    def _run(self, context: MessageContext, calibration: Calibration, settings: Settings) -> None:
        try:
            board_check.opencv()
            frames = self._frames(context, calibration, settings)
            self._result = verdict(*measure(frames))
        except Exception as cause:  # `answer` raises it
            self._result = cause

    def _frames(
        self, context: MessageContext, calibration: Calibration, settings: Settings
    ) -> CheckedFrames:
        wanted = [stream for stream in _STREAMS if stream in stream_list(settings)]
        if "right" not in wanted:
            raise CheckError("stream_list has no right, the images that depth belongs to: add it")
        periods_s = {stream: _period_s(settings, stream) for stream in wanted}
        slowest_s = {
            stream: max(period_s, periods_s["right"]) for stream, period_s in periods_s.items()
        }
        packets = context.latest.wait_for(
            {stream: round(_TOLERANCE * 1e9 * period_s) for stream, period_s in slowest_s.items()},
            timeout_s=_FRAMES_S + 2 * max(slowest_s.values()),
            has_ended=lambda: self._supervisor.context is not context,
        )
        if missing := [stream for stream in wanted if stream not in packets]:
            raise CheckError(
                f"no frames of one moment: {', '.join(missing)} sent none near those of right; "
                "~/device/status and /diagnostics show which streams arrive"
            )
        columns, _, rows = settings["calibration.check_board"].partition("x")
        return CheckedFrames(
            images={
                STREAMS[name].camera: _grey(packet)
                for name, packet in packets.items()
                if name != "depth"
            },
            depth_mm=_depth(packets["depth"]) if "depth" in packets else None,
            sizes=context.images.sizes,
            calibration=calibration,
            corners=(int(columns), int(rows)),
        )


def _period_s(settings: Settings, stream: str) -> float:
    camera_s = frame_duration_us(settings, "rgb" if stream == "color" else "left") / 1e6
    limit = wire_rate_limit(settings, stream)
    return max(camera_s, 1 / limit) if limit else camera_s


def _grey(packet: StampedPacket) -> NDArray[np.uint8]:
    """The brightness; of i420 the first plane."""
    image = packet.sent.array
    rows = len(image) * 2 // 3 if packet.stream.layout == "i420" else len(image)
    upright = image[:rows, ::-1] if packet.is_mirrored else image[:rows]
    return np.ascontiguousarray(upright)


def _depth(packet: StampedPacket) -> NDArray[np.uint16]:
    depth = packet.sent.array
    upright = np.array(depth[:, ::-1] if packet.is_mirrored else depth)
    upright[upright > packet.settings.stereo.farthest_mm] = 0
    return upright


# -- figures


def measure(frames: CheckedFrames) -> tuple[list[Figure], list[str]]:
    """The figures that can be measured, and a sentence for each that cannot.

    Raises  CheckError if no board is seen
    """
    boards = {
        camera: board_check.find_boards(image, frames.corners)
        for camera, image in frames.images.items()
    }
    if not boards["right"]:
        columns, rows = frames.corners
        raise CheckError(
            f"no checkerboard with {columns}x{rows} inner corners in the right image: hold one, "
            "flat and lit, in view of all cameras, or set calibration.check_board to its size"
        )
    figures: list[Figure] = []
    notes: list[str] = []
    for measured in (_epipolar, _reprojection):
        try:
            found = measured(frames, boards)
        except _NotMeasuredError as cause:
            notes.append(str(cause))
        else:
            figures += found[0]
            notes += found[1]
    return figures, notes


def verdict(figures: list[Figure], notes: list[str]) -> str:
    """One line for each figure and note, and the verdict.

    Raises  PoorCalibrationError with the same text if a figure is not good; CheckError if there is
            none
    """
    bad = [figure for figure in figures if not figure.is_good]
    if not figures:
        raise CheckError("\n".join(notes))
    words = "; ".join(f"{figure.name} is not good: {figure.remedy}" for figure in bad)
    lines = [*map(str, figures), *notes, f"verdict: {words or 'the calibration is good'}"]
    if bad:
        raise PoorCalibrationError("\n".join(lines))
    return "\n".join(lines)


def _epipolar(frames: CheckedFrames, boards: _Boards) -> tuple[list[Figure], list[str]]:
    """Vertical distance of corners in the rectified pair, by camera_info and by the device."""
    if "left" not in boards:
        raise _NotMeasuredError(_PAIR, "stream_list has no left")
    left, right = frames.model("left"), frames.model("right")
    if not (left.k.any() and right.k.any()):
        raise _NotMeasuredError(_PAIR, "left and right are not calibrated")
    pair = board_check.matched(
        boards["left"],
        boards["right"],
        frames.corners,
        lambda pixels: board_check.rectified(pixels, left),
        lambda pixels: board_check.rectified(pixels, right),
    )
    if not pair.first:
        raise _NotMeasuredError(_PAIR, "no checkerboard is in both images")
    first, second = np.vstack(pair.first), np.vstack(pair.second)

    def figure(name: str, models: tuple[CameraModel, CameraModel], remedy: str) -> Figure:
        rows = [
            board_check.rectified(pixels, model)[:, 1:]
            for pixels, model in zip((first, second), models, strict=True)
        ]
        errors = rows[1] - rows[0]
        return Figure(name, errors, len(pair.first), board_check.GOOD_PX, remedy)

    figures = [figure(f"{_PAIR} by camera_info, epipolar error", (left, right), _PAIR_REMEDY)]
    device = frames.device_model("left"), frames.device_model("right")
    if {"left", "right"} & frames.calibration.models.keys() and device[0].k.any():
        name = f"{_PAIR} by the device's calibration, epipolar error"
        figures.append(figure(name, device, _DEVICE_REMEDY))
    homographies = frames.calibration.homographies(frames.sizes.mono)
    if not device[0].d.any() or homographies[0] is None or homographies[1] is None:
        return figures, []
    rows = board_check.moved(second, homographies[1]) - board_check.moved(first, homographies[0])
    rms_px = board_check.rms(rows[:, 1:])
    note = (
        f"{_PAIR} on the device, which keeps the distortion of the lenses: rows differ by "
        f"{rms_px:.2f} px rms"
    )
    return figures, [note]


def _reprojection(frames: CheckedFrames, boards: _Boards) -> tuple[list[Figure], list[str]]:
    """Distance of the corners in the rgb image from where depth and calibration put them.

    Depth is that of the device's rectified image, which keeps the distortion: a corner lies in it
    where the homography puts it, on the ray where its lens puts it, and with the left image its
    depth is corrected, too.
    """
    rgb_from_depth, homography = _needed_for_rgb(frames, boards)
    rgb, depth_mm, right = frames.model("rgb"), frames.depth_mm, frames.device_model("right")
    assert depth_mm is not None
    errors_px = _disparity_errors(frames, boards)
    disparity_m = float(right.p[0, 0]) * frames.calibration.baseline_m  # px times metres
    expected: list[Matrix] = []
    as_published: list[Matrix] = []
    for number, board in enumerate(boards["right"]):
        on_device = board_check.moved(board, homography)
        depth_m = board_check.depth_of_corners(depth_mm, on_device)
        if depth_m is None:
            continue
        true_m = disparity_m / (disparity_m / depth_m - errors_px.get(number, 0.0))
        for pixels, distances_m, projected in (
            (board_check.rectified(board, right), true_m, expected),
            (on_device, depth_m, as_published),
        ):
            points = board_check.points_of(pixels, distances_m, right.p[:, :3])
            projected.append(board_check.projected(points, rgb, rgb_from_depth))
    if not expected:
        raise _NotMeasuredError(_RGB, "depth is not measured on half of any checkerboard")
    pair = board_check.matched(expected, boards["rgb"], frames.corners, _same, _same)
    if not pair.first:
        raise _NotMeasuredError(_RGB, "no checkerboard of the right image is in the rgb image")
    errors = np.vstack(pair.second) - np.vstack(pair.first)
    zoom = float(rgb.k[0, 0] / right.p[0, 0])
    good_px = _good_rgb_px(zoom, rgb_from_depth, frames.calibration.baseline_m)
    figure = Figure(f"{_RGB}, reprojection error", errors, len(pair.first), good_px, _RGB_REMEDY)
    if not right.d.any():
        return [figure], []
    moved = np.vstack(as_published) - np.vstack(expected)
    rms_px = board_check.rms(moved)
    note = f"{_RGB}: {_KEPT} moves depth by {rms_px:.2f} px rms"
    return [figure], [note]


def _disparity_errors(frames: CheckedFrames, boards: _Boards) -> dict[int, Matrix]:
    """By number of the board in the right image: what distortion adds to the disparity of its
    corners on the device, px; not for boards that the left image does not show."""
    homographies = frames.calibration.homographies(frames.sizes.mono)
    models = frames.device_model("left"), frames.device_model("right")
    if homographies[0] is None or homographies[1] is None:
        return {}
    found = {}
    for number, board in enumerate(boards["right"]):
        pair = board_check.matched(
            [board],
            boards.get("left", []),
            frames.corners,
            lambda pixels: board_check.rectified(pixels, models[1]),
            lambda pixels: board_check.rectified(pixels, models[0]),
        )
        for left in pair.second:
            on_device = board_check.moved(left, homographies[0]) - board_check.moved(
                board, homographies[1]
            )
            true = board_check.rectified(left, models[0]) - board_check.rectified(board, models[1])
            found[number] = (on_device - true)[:, 0]
    return found


def _needed_for_rgb(frames: CheckedFrames, boards: _Boards) -> tuple[Matrix, Matrix]:
    """The map from depth to rgb, and the homography from the right image to depth."""
    calibration = frames.calibration
    rgb_from_depth = calibration.rgb_from_depth()
    homography = calibration.homographies(frames.sizes.mono)[1]
    if frames.depth_mm is None or "rgb" not in boards:
        missing = "depth" if frames.depth_mm is None else "color"
        raise _NotMeasuredError(_RGB, f"stream_list has no {missing}")
    if homography is None or calibration.stereo is None:
        raise _NotMeasuredError(_RGB, "the mono cameras are not calibrated")
    if not frames.model("rgb").k.any():
        raise _NotMeasuredError(_RGB, f"{calibration.rgb_warning}; {_RGB_REMEDY}")
    if rgb_from_depth is None:
        raise _NotMeasuredError(
            _RGB,
            "the pose of the rgb camera is not known: set calibration.rgb_pose_file "
            "(docs/depth.md#calibrating-the-rgb-camera)",
        )
    return rgb_from_depth, homography


def _same(pixels: Matrix) -> Matrix:
    return pixels


def _good_rgb_px(zoom: float, rgb_from_depth: Matrix, baseline_m: float) -> float:
    """Errors of the corners, and half a step of the disparity, which moves points along the way
    from right to rgb; both in px of the rgb image."""
    half_step_px = 0.5 * float(np.linalg.norm(rgb_from_depth[:3, 3])) / baseline_m
    return zoom * (board_check.GOOD_PX + half_step_px)
