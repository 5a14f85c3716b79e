"""Measures a calibration with checkerboards: errors between the images, in pixels.

OpenCV finds the corners. It is loaded by the first check and not with this module, because a node
that only publishes images does not need it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from .camera_model import CameraModel, Matrix

#: Width at which boards are searched first, and again if none is found, px.
_SEARCH_WIDTHS = (640, 1280)
_MOST_BOARDS = 8
#: A found board is covered, with its margin, before the next search.
_COVER = 1.5
#: Half the window of the refinement, as a share of the distance of two corners, and its limits, px.
_WINDOW_SHARE, _WINDOW_PX = 0.35, (2, 11)
#: Boards in two images are the same if they are no further apart, in lengths of the board.
_REACH = 1.5
#: Least share of the pixels of a board that have depth.
_MIN_DEPTH = 0.5
#: Largest deviation from the plane of a board, in units of the median deviation.
_OUTLIER = 4.0
#: A good error of a mono image; one of another image is in proportion to its focal length.
GOOD_PX = 0.5


def opencv() -> Any:
    """The module cv2, with one thread. Raises ConfigError if it is not installed."""
    try:
        cv2 = importlib.import_module("cv2")
    except ImportError:
        raise ConfigError(
            "OpenCV is needed to find checkerboards: install python3-opencv (apt) or "
            "opencv-python-headless (pip)"
        ) from None
    cv2.setNumThreads(1)  # the other cores are for the streams
    return cv2


class Found(NamedTuple):
    """The same corners in two images, board by board, each shape (N, 2) px."""

    first: list[Matrix]
    second: list[Matrix]


@dataclass(frozen=True, slots=True)
class Figure:
    """Errors of all corners, px: (N, 2) x and y, or (N, 1) only y."""

    name: str
    errors: Matrix
    boards: int
    good_px: float
    remedy: str

    @property
    def is_good(self) -> bool:
        """True if the error is small enough."""
        return self.rms_px < self.good_px

    @property
    def rms_px(self) -> float:
        """Root of the mean square of the distances."""
        return rms(self.errors)

    def __str__(self) -> str:
        worst = float(np.linalg.norm(self.errors, axis=1).max())
        *across, down = self.errors.mean(axis=0)
        mean = "".join(f"{right:+.2f} right " for right in across) + f"{down:+.2f} down"
        boards = "1 board" if self.boards == 1 else f"{self.boards} boards"
        return (
            f"{self.name}: {self.rms_px:.2f} px rms, {worst:.2f} px at most, mean {mean}; "
            f"{len(self.errors)} corners on {boards}; good is below {self.good_px:.1f} px"
        )


def rms(errors: Matrix) -> float:
    """Root of the mean square of the lengths of the rows."""
    return float(np.sqrt((errors**2).sum(axis=1).mean()))


# -- corners


def find_boards(grey: NDArray[np.uint8], corners: tuple[int, int]) -> list[Matrix]:
    """The inner corners of every board in an image, shape (N, 2) px each.

    `corners` are columns and rows of inner corners; boards may be of different sizes.
    """
    cv2 = opencv()
    width = grey.shape[1]
    for search_width in _SEARCH_WIDTHS:
        scale = min(1.0, search_width / width)
        boards = list(_coarse_boards(cv2, grey, corners, scale))
        if boards or scale == 1.0:
            break
    return [_refined(cv2, grey, board, corners) for board in boards]


def _coarse_boards(
    cv2: Any, grey: NDArray[np.uint8], corners: tuple[int, int], scale: float
) -> Iterator[Matrix]:
    size = round(grey.shape[1] * scale), round(grey.shape[0] * scale)
    image = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    if image is grey:
        image = grey.copy()
    scales = np.divide(size, grey.shape[::-1])
    for _ in range(_MOST_BOARDS):
        is_found, points = cv2.findChessboardCornersSB(image, corners)
        if not is_found:
            return
        points = points.reshape(-1, 2).astype(np.float64)
        yield (points + 0.5) / scales - 0.5
        middle = points.mean(axis=0)
        cover = cv2.convexHull((middle + (points - middle) * _COVER).astype(np.int32))
        cv2.fillConvexPoly(image, cover, int(image.mean()))


def _refined(cv2: Any, grey: NDArray[np.uint8], board: Matrix, corners: tuple[int, int]) -> Matrix:
    grid = board.reshape(corners[1], corners[0], 2)
    steps = [np.linalg.norm(np.diff(grid, axis=axis), axis=2).min() for axis in (0, 1)]
    half = int(np.clip(_WINDOW_SHARE * min(steps), *_WINDOW_PX))
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-3)
    start = board.astype(np.float32).reshape(-1, 1, 2)
    found = cv2.cornerSubPix(np.ascontiguousarray(grey), start, (half, half), (-1, -1), criteria)
    return np.asarray(found.reshape(-1, 2), np.float64)


def matched(
    first: Sequence[Matrix],
    second: Sequence[Matrix],
    corners: tuple[int, int],
    to_first: Callable[[Matrix], Matrix],
    to_second: Callable[[Matrix], Matrix],
) -> Found:
    """The boards that are in both images, with their corners in the same order.

    `to_first` and `to_second` map pixels to an image in which the same corners lie near each other.
    """
    found, left = Found([], []), list(second)
    for board in first:
        here = to_first(board)
        reach = _REACH * float(np.linalg.norm(np.ptp(here, axis=0)))
        away = [float(np.linalg.norm(to_second(other).mean(0) - here.mean(0))) for other in left]
        if not away or min(away) > reach:
            continue
        other = left.pop(int(np.argmin(away)))
        orders = _orders(other, corners)
        spread = [float(np.std(to_second(order) - here, axis=0).sum()) for order in orders]
        found.first.append(board)
        found.second.append(orders[int(np.argmin(spread))])
    return found


def _orders(board: Matrix, corners: tuple[int, int]) -> list[Matrix]:
    """The orders in which the corners of a turned board are found."""
    grid = board.reshape(corners[1], corners[0], 2)
    turns = range(4) if corners[0] == corners[1] else (0, 2)
    return [np.rot90(grid, turn).reshape(-1, 2) for turn in turns]


# -- lenses


def rectified(pixels: Matrix, model: CameraModel) -> Matrix:
    """Pixels of the raw image -> of the rectified image of a camera_info, shape (N, 2)."""
    cv2 = opencv()
    points, p = pixels.reshape(-1, 1, 2), np.ascontiguousarray(model.p[:, :3])
    if model.distortion_model == "equidistant":
        straight = cv2.fisheye.undistortPoints(points, model.k, model.d, R=model.r, P=p)
    else:
        straight = cv2.undistortPoints(points, model.k, model.d, R=model.r, P=p)
    return np.asarray(straight.reshape(-1, 2), np.float64)


def projected(points: Matrix, model: CameraModel, to_camera: Matrix | None = None) -> Matrix:
    """Points in the optical axes of a camera -> pixels of its raw image, (N, 3) -> (N, 2).

    `to_camera` (4x4) maps points of other axes to those of the camera first.
    """
    cv2 = opencv()
    if to_camera is not None:
        points = points @ to_camera[:3, :3].T + to_camera[:3, 3]
    project = cv2.fisheye if model.distortion_model == "equidistant" else cv2
    origin = np.zeros(3)
    pixels, _ = project.projectPoints(points.reshape(-1, 1, 3), origin, origin, model.k, model.d)
    return np.asarray(pixels.reshape(-1, 2), np.float64)


def moved(pixels: Matrix, homography: Matrix) -> Matrix:
    """Pixels through a homography, shape (N, 2)."""
    ends = np.column_stack([pixels, np.ones(len(pixels))]) @ homography.T
    return np.asarray(ends[:, :2] / ends[:, 2:], np.float64)


# -- depth


def depth_of_corners(depth_mm: NDArray[np.uint16], corners: Matrix) -> Matrix | None:
    """Depth of the corners of one board, m; None if too few of its pixels are measured.

    The reciprocal of depth is linear in the pixels of a plane: a plane through all pixels of the
    board averages the steps of the disparity, and leaves out an object in front of it.

    Shape   (H, W), (N, 2) px -> (N,)
    """
    cv2 = opencv()
    mask = np.zeros(depth_mm.shape, np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.rint(corners).astype(np.int32)), 1)
    y, x = np.nonzero(mask)
    depth = depth_mm[y, x]
    is_measured = depth > 0
    if is_measured.sum() < max(8, _MIN_DEPTH * len(depth)):
        return None
    x, y, inverse = x[is_measured], y[is_measured], 1e3 / depth[is_measured]
    terms = np.column_stack([x, y, np.ones(len(x))])
    kept = np.abs(inverse - np.median(inverse)) <= 0.5 * np.median(inverse)
    plane = np.linalg.lstsq(terms[kept], inverse[kept], rcond=None)[0]
    residuals = np.abs(terms @ plane - inverse)
    kept = residuals <= max(_OUTLIER * float(np.median(residuals)), 1e-9)
    plane = np.linalg.lstsq(terms[kept], inverse[kept], rcond=None)[0]
    found = np.column_stack([corners, np.ones(len(corners))]) @ plane
    return np.asarray(1 / found, np.float64) if (found > 0).all() else None


def points_of(corners: Matrix, depth_m: Matrix, k: Matrix) -> Matrix:
    """Points in optical axes, shape (N, 3) m, of pixels of an image without distortion."""
    rays = np.column_stack([corners, np.ones(len(corners))]) @ np.linalg.inv(k).T
    return np.asarray(rays * depth_m[:, None], np.float64)
