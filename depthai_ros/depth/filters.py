"""Filters on depth, in the order of config/filters.py; each is off unless it is enabled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from ..calibration.camera_model import CameraModel, pinhole
from ..config.filters import PARAMETERS, PREFIX, decimation

Depth = NDArray[np.uint16]

#: Filters that work on disparity.
_ON_DISPARITY = ("speckle", "spatial", "temporal")
#: Rows that smooth_in_space keeps in its scratch array.
_LANES = 16


def decimated(model: CameraModel, size: int) -> CameraModel:
    """The camera of a decimated image; rows and columns that fill no square are left out."""
    width, height = model.width // size, model.height // size
    return model.window(0, 0, width * size, height * size).resized(width, height)


def disparity_scale(settings: Mapping[str, Any], model: CameraModel) -> float:
    """Disparity (px) times depth (mm): focal length times baseline.

    For a camera without calibration it is that of board_config, which the device uses as well.
    """
    focal_px, shift = float(model.p[0, 0]), float(model.p[0, 3])
    if focal_px > 0 and shift != 0:
        return abs(shift) * 1000
    fov_deg = settings["board_config.left_fov_deg"]
    focal_px = float(pinhole((model.width, model.height), fov_deg)[0, 0])
    return focal_px * float(settings["board_config.left_to_right_distance_cm"]) * 10


@dataclass(frozen=True, slots=True)
class _Plan:
    """The values of one frame's filters, by their keys without PREFIX."""

    values: Mapping[str, Any]

    def has(self, name: str) -> bool:
        return bool(self.values[f"{name}.enable"])

    @property
    def on_disparity(self) -> bool:
        return any(map(self.has, _ON_DISPARITY))


def _plan(settings: Mapping[str, Any]) -> _Plan:
    return _Plan({row.key: settings[PREFIX + row.key] for row in PARAMETERS})


class DepthFilters:
    """The filters of one camera with their memory; one frame after the other, in one thread.

    `shape` is (height, width) of the filtered depth, `model` its camera.
    """

    def __init__(self, settings: Mapping[str, Any], model: CameraModel) -> None:
        """`model`: the camera of the depth that comes in. Decimation is that of these settings."""
        self._size = decimation(settings)
        self._from = (model.height, model.width)
        self.model = decimated(model, self._size)
        self.shape = (self.model.height, self.model.width)
        self._scale = disparity_scale(settings, model)
        self._plan = _plan(settings)
        self._arrays: dict[str, NDArray[Any]] = {}
        self._last_ns: int | None = None

    @property
    def is_active(self) -> bool:
        """True if a filter is enabled."""
        others = ("threshold", *_ON_DISPARITY, "hole_filling")  # decimation stays as it was
        return self._size > 1 or any(map(self._plan.has, others))

    def update(self, settings: Mapping[str, Any]) -> None:
        """Use other settings from the next frame on, except for those of decimation.

        What temporal remembers stays, unless the new settings disable it. Another thread may call
        this.
        """
        self._plan = _plan(settings)

    def apply(self, depth: Depth, destination: Depth, stamp_ns: int) -> Depth:
        """Filter one frame; returns `destination`.

        Shape   depth (H, W) as the camera's model -> destination `shape`, C-contiguous
        Units   mm, 0 = not measured; nanoseconds, of any clock
        Raises  ValueError for other shapes and types
        """
        _check("depth", depth, self._from)
        _check("destination", destination, self.shape)
        plan = self._plan
        stages: list[tuple[str, Callable[[_Plan, Depth, Depth], None]]] = []
        if plan.has("threshold"):
            stages.append(("near", self._threshold))
        if self._size > 1:
            stages.append(("small", self._decimate))
        if plan.on_disparity:
            stages.append(("smooth", self._smooth))
        if plan.has("hole_filling"):
            stages.append(("filled", self._fill_holes))
        self._forget_if_due(plan, stamp_ns)
        source = depth
        for number, (name, run) in enumerate(stages, 1):
            shape = self._from if name == "near" else self.shape
            into = destination if number == len(stages) else self._array(name, shape, np.uint16)
            run(plan, source, into)
            source = into
        if not stages:
            np.copyto(destination, depth)
        return destination

    def _threshold(self, plan: _Plan, source: Depth, destination: Depth) -> None:
        low, high = (round(plan.values[f"threshold.{end}_m"] * 1000) for end in ("min", "max"))
        _core.keep_between(source=source, destination=destination, low=low, high=high)

    def _decimate(self, _plan: _Plan, source: Depth, destination: Depth) -> None:
        _core.decimate(source=source, destination=destination, size=self._size)

    def _smooth(self, plan: _Plan, source: Depth, destination: Depth) -> None:
        """The filters on disparity."""
        values = plan.values
        disparity = self._array("disparity", self.shape, np.float32)
        _core.disparity_of_depth(source=source, destination=disparity, scale=self._scale)
        if plan.has("speckle"):
            _core.remove_speckles(
                disparity=disparity,
                scratch=self._array("runs", (3, *self.shape), np.uint32),
                smallest=values["speckle.min_size_px"],
                difference=values["speckle.delta_px"],
            )
        if plan.has("spatial"):
            _core.smooth_in_space(
                disparity=disparity,
                scratch=self._array("strip", (max(self.shape), _LANES), np.float32),
                alpha=values["spatial.alpha"],
                delta=values["spatial.delta_px"],
                iterations=values["spatial.iterations"],
            )
        if plan.has("temporal"):
            _core.smooth_in_time(
                disparity=disparity,
                state=self._array("state", self.shape, np.float32),
                history=self._array("history", self.shape, np.uint8),
                alpha=values["temporal.alpha"],
                delta=values["temporal.delta_px"],
                persistence=values["temporal.persistence"],
            )
        _core.depth_of_disparity(source=disparity, destination=destination, scale=self._scale)

    def _fill_holes(self, plan: _Plan, source: Depth, destination: Depth) -> None:
        _core.fill_holes(
            source=source,
            destination=destination,
            scratch=self._array("columns", (self.shape[1],), np.uint32),
            mode=plan.values["hole_filling.mode"],
            longest=plan.values["hole_filling.max_px"],
            scale=self._scale,
            delta=plan.values["hole_filling.delta_px"],
        )

    def _forget_if_due(self, plan: _Plan, stamp_ns: int) -> None:
        """Start the average anew after a gap, after a step back, and after a time without it."""
        last_ns, self._last_ns = self._last_ns, stamp_ns if plan.has("temporal") else None
        longest_ns = plan.values["temporal.max_gap_ms"] * 1e6
        if last_ns is None or not 0 <= stamp_ns - last_ns <= longest_ns:
            for name in ("state", "history"):
                if name in self._arrays:
                    self._arrays[name].fill(0)

    def _array(self, name: str, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        """An array that stays for the following frames; zero at first."""
        if name not in self._arrays:
            self._arrays[name] = np.zeros(shape, dtype)
        return self._arrays[name]


def _check(name: str, image: Depth, shape: tuple[int, int]) -> None:
    if image.shape != shape or image.dtype != np.uint16 or not image.flags.c_contiguous:
        raise ValueError(
            f"{name} is {image.shape} {image.dtype}, must be a C-contiguous {shape} uint16"
        )
