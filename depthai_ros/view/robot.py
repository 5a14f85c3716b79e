"""The shapes of a robot's model: what a URDF says about each link, within bounds."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree as ET

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, DecodeError

_MOST_CHARACTERS, _MOST_SHAPES, _LARGEST_M = 4 << 20, 300, 1000.0
_GREY = (160, 160, 160)
_KINDS = {"box": ("size", 3), "cylinder": ("radius length", 2), "sphere": ("radius", 1)}


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """A visual of a link; `sizes` in m: sides of a box, radius and length, radius, mesh scale."""

    link: str
    kind: str  # box, cylinder, sphere or mesh
    sizes: tuple[float, ...]
    pose: NDArray[np.float64]  # in the frame of the link, (4, 4)
    color: tuple[int, int, int]
    file: str = ""  # of a mesh: package://PACKAGE/PATH or file:///PATH


def shapes(urdf: str) -> list[Shape]:
    """The visuals of all links; those that cannot be drawn are left out. Raises DecodeError."""
    if len(urdf) > _MOST_CHARACTERS:
        raise DecodeError(f"robot_description has {len(urdf)} characters, at most 4 Mi are read")
    if re.search(r"<!(DOCTYPE|ENTITY)", urdf, re.IGNORECASE):
        raise DecodeError("robot_description defines entities, which a URDF does not need")
    try:
        root = ET.fromstring(urdf)
    except ET.ParseError as error:
        raise DecodeError(f"robot_description is no XML: {error}") from None
    colors = {
        material.get("name", ""): color
        for material in root.iter("material")
        if (color := _color(material)) is not None
    }
    found = (shape for link in root.iter("link") for shape in _of_link(link, colors))
    return [shape for shape, _ in zip(found, range(_MOST_SHAPES), strict=False)]


def _of_link(link: ET.Element, colors: dict[str, tuple[int, int, int]]) -> Iterator[Shape]:
    for visual in link.iterfind("visual"):
        geometry = visual.find("geometry")
        if geometry is None or len(geometry) == 0:
            continue
        element, material = geometry[0], visual.find("material")
        color = None if material is None else _color(material)
        if color is None and material is not None:
            color = colors.get(material.get("name", ""))
        try:
            sizes = _sizes(element)
            pose = _pose(visual.find("origin"))
        except ConfigError:
            continue
        yield Shape(
            link.get("name", ""), element.tag, sizes, pose, color or _GREY,
            element.get("filename", ""),
        )  # fmt: skip


def _sizes(element: ET.Element) -> tuple[float, ...]:
    if element.tag == "mesh":
        return _numbers(element.get("scale", "1 1 1"), 3)
    if element.tag not in _KINDS:
        raise ConfigError(f"unknown shape {element.tag}")
    names, count = _KINDS[element.tag]
    return _numbers(" ".join(element.get(name, "") for name in names.split()), count)


def _numbers(text: str, count: int) -> tuple[float, ...]:
    try:
        numbers = tuple(float(word) for word in text.split())
    except ValueError:
        numbers = ()
    if len(numbers) != count or not all(abs(number) <= _LARGEST_M for number in numbers):
        raise ConfigError(f"{text[:80]!r} is not {count} numbers up to {_LARGEST_M:g}")
    return numbers


def _color(material: ET.Element) -> tuple[int, int, int] | None:
    color = material.find("color")
    if color is None:
        return None
    try:
        red, green, blue, _ = _numbers(color.get("rgba", ""), 4)
    except ConfigError:
        return None
    shares = (min(max(share, 0.0), 1.0) for share in (red, green, blue))
    red, green, blue = (255 * share for share in shares)
    return round(red), round(green), round(blue)


def _pose(origin: ET.Element | None) -> NDArray[np.float64]:
    pose: NDArray[np.float64] = np.eye(4)
    if origin is not None:
        pose[:3, 3] = _numbers(origin.get("xyz", "0 0 0"), 3)
        roll, pitch, yaw = _numbers(origin.get("rpy", "0 0 0"), 3)
        pose[:3, :3] = _about(2, yaw) @ _about(1, pitch) @ _about(0, roll)
    return pose


def _about(axis: int, angle: float) -> NDArray[np.float64]:
    """The rotation about one axis."""
    first, second = (axis + 1) % 3, (axis + 2) % 3
    matrix: NDArray[np.float64] = np.eye(3)
    matrix[first, first] = matrix[second, second] = math.cos(angle)
    matrix[second, first], matrix[first, second] = math.sin(angle), -math.sin(angle)
    return matrix
