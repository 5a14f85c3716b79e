"""Computes from arguments and parameter files what the launch files start.

Does not import `launch`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..bounded import shown
from ..config import BY_KEY, resolve_path, validate
from ..config.limits import Value, plain
from ..config.options import DEFAULT_NAME
from ..config.parameter_files import for_other_nodes, parameters_in
from ..config.yaml_files import read_yaml
from ..errors import ConfigError
from ..streams import ALIASES, COLOR_STREAMS
from ..transports import COMPRESSED, NOT_COMPRESSED
from .arguments import CAMERA, MOUNT, SHARE, given_options, is_true, number, unknown


def board_file(model: str) -> Path:
    """The parameter file of a board, given as a name in config/boards or a path.

    Raises  ConfigError, which lists the boards
    """
    if "/" in model or model.endswith(".yaml"):
        path = resolve_path(model)
        if path.is_file():
            return path
        raise ConfigError(f"argument camera_model: there is no file {model}")
    folder = resolve_path(f"{SHARE}/config/boards")
    boards = {path.stem.lower(): path for path in sorted(folder.glob("*.yaml"))}
    if model.lower() not in boards:
        names = ", ".join(name.upper() for name in boards)
        raise ConfigError(
            f"argument camera_model: {shown(model)} is not one of {names} and not a path"
        )
    return boards[model.lower()]


# -- one camera


@dataclass(frozen=True, slots=True)
class CameraPlan:
    """What camera.launch.py starts, computed from the arguments and the parameter files."""

    node: str  # full name
    prefix: str  # first part of the frames
    tf_source: str
    parent_frame: str  # "" = none
    mount: tuple[float, ...]  # x, y, z, roll, pitch, yaw on parent_frame
    board: Path
    files: tuple[Path, ...]  # parameter files, the last wins
    options: Mapping[str, Value]  # parameters that override the files
    warnings: tuple[str, ...] = ()  # requests that have no effect


def full_name(namespace: str, name: str) -> str:
    """Full name of a node."""
    return "/" + "/".join(part for part in (*namespace.split("/"), name) if part)


def camera(values: Mapping[str, str], base_namespace: str = "") -> CameraPlan:
    """The plan for arguments of camera.launch.py, included in `base_namespace`.

    Raises  ConfigError
    """
    name = values.get("name") or DEFAULT_NAME
    node = full_name(f"{base_namespace}/{values.get('namespace', '')}", name)
    model = values.get("camera_model", "")
    board = board_file(model or "OAK-D")
    own = [resolve_path(text.strip()) for text in values.get("params_file", "").split(",") if text]
    files = (*own, board) if model else (board, *own)
    in_files: dict[str, Any] = {}
    for path in files:
        in_files.update(parameters_in(path, node))
    options = given_options(values, CAMERA)
    effective = {**in_files, **options}
    tf_source = str(effective.get("tf.source", "urdf"))
    options["tf.source"] = tf_source
    prefix = str(effective.get("tf.prefix") or name)
    mount = tuple(number(values, argument.name) for argument in MOUNT[1:])
    parent = values.get("parent_frame") or str(in_files.get("tf.parent_frame", ""))
    mounted = bool(values.get("parent_frame")) or any(mount)
    _check_mount(tf_source, values, mounted)
    validate({"tf.prefix": prefix, "tf.parent_frame": parent})
    if not parent and (any(mount) or tf_source == "urdf"):
        parent = f"{prefix}_parent_frame"
    # The node can attach its base frame to a parent frame, but only without a pose.
    options["tf.parent_frame"] = parent if tf_source == "calibration" and not any(mount) else ""
    warnings = [for_other_nodes(path, node) for path in files]
    if is_true(values.get("pointcloud.enable", "")):
        warnings.append(problem := _cloud_problem(values, effective))
        if not problem:
            options["points.color"] = _points_color(values, effective)
    sentences = tuple(filter(None, warnings))
    return CameraPlan(node, prefix, tf_source, parent, mount, board, files, options, sentences)


def cloud_color(values: Mapping[str, str]) -> str:
    """The colour of the points, as `points.color` calls it."""
    color = values.get("pointcloud.color") or "none"
    return "mono" if color == "grey" else color


def _points_color(values: Mapping[str, str], effective: Mapping[str, Any]) -> str:
    """The colour of the node's cloud, which the arguments may change."""
    given = values.get("pointcloud.color")
    return cloud_color(values) if given else str(effective.get("points.color", "none"))


def _cloud_problem(values: Mapping[str, str], effective: Mapping[str, Any]) -> str:
    """Why there is no point cloud of this colour, "" = there is."""
    listed = effective.get("stream_list", BY_KEY["stream_list"].default)
    if not isinstance(listed, (list, tuple)):  # the node refuses it
        return ""
    named = {ALIASES.get(str(name), str(name)) for name in listed}
    sent = {name for name in named if effective.get(f"stream.{name}.publish", True)}
    color = _points_color(values, effective)
    needed = filter(None, ("depth", COLOR_STREAMS.get(color)))
    if missing := [name for name in needed if name not in sent]:
        argument = "pointcloud.color" if values.get("pointcloud.color") else "points.color"
        return (
            f"pointcloud.enable is not used: {argument} {color} needs {', '.join(missing)}, "
            "which stream_list lacks or stream.NAME.publish switches off"
        )
    return ""


def _check_mount(tf_source: str, values: Mapping[str, str], mounted: bool) -> None:
    if tf_source not in ("urdf", "calibration", "none"):
        raise ConfigError(f"tf.source: {shown(tf_source)} is not one of urdf, calibration, none")
    is_unpublished = tf_source == "none" or (
        tf_source == "urdf" and not is_true(values.get("publish_urdf", "true"))
    )
    if is_unpublished and mounted:
        given = [argument.name for argument in MOUNT if values.get(argument.name)]
        raise ConfigError(
            f"no effect of {', '.join(given)}: with tf_source none, or urdf and publish_urdf "
            "false, the camera pose is published elsewhere"
        )


def cameras(path: Path, common: Mapping[str, str]) -> list[dict[str, str]]:
    """The arguments of each camera in the list of multi_camera.launch.py.

    `common` are the arguments for all cameras; the row of a camera overrides them.
    Raises  ConfigError if the list is malformed or two cameras collide
    """
    document = read_yaml(path)
    rows = document.get("cameras") if isinstance(document, dict) else None
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise ConfigError(f"{path}: it must contain 'cameras:' with a list, one '-' per camera")
    found = []
    for row in rows:
        if wrong := unknown(row, CAMERA):
            raise ConfigError(f"{path}: {wrong}")
        own = {key: _as_text(value) for key, value in row.items() if value is not None}
        found.append({**{name: text for name, text in common.items() if text}, **own})
    _check_collisions(path, found)
    return found


def _as_text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else plain(value)


def _check_collisions(path: Path, found: Sequence[Mapping[str, str]]) -> None:
    asked = [camera(values) for values in found]
    seen = {
        "the node name": [each.node for each in asked],
        "the frames of": [each.prefix for each in asked],
        "the device": [
            device
            for values in found
            if (device := values.get("device", "")) and not device.startswith("virtual")
        ],
    }
    for what, names in seen.items():
        for name in names:
            if names.count(name) > 1:
                raise ConfigError(f"{path}: two cameras would share {what} {name}")
    without = [
        each.node for each, values in zip(asked, found, strict=True) if "device" not in values
    ]
    if without and len(found) > 1:
        raise ConfigError(f"{path}: {without[0]} has no device; each of several cameras needs one")


# -- rviz


def renamed_rviz(document: Any, node: str, prefix: str) -> Any:
    """Rename the topics and frames of an rviz configuration that was made for DEFAULT_NAME."""
    if isinstance(document, dict):
        return {key: renamed_rviz(value, node, prefix) for key, value in document.items()}
    if isinstance(document, list):
        return [renamed_rviz(value, node, prefix) for value in document]
    if document == DEFAULT_NAME:
        return prefix
    if isinstance(document, str) and document.startswith(f"/{DEFAULT_NAME}/"):
        return node + document.removeprefix(f"/{DEFAULT_NAME}")
    return document


# -- recordings

#: Also recorded: images are of little use without their tf frames.
_ALWAYS = ("/tf", "/tf_static", "/diagnostics")


def recorded(node: str, topics: str, *, compressed: bool) -> list[str]:
    """Options of `ros2 bag record` that select topics of a camera: these, or all if there is none.

    With `compressed` the compressed topics of its images, in place of everything uncompressed.
    """
    names = [topic.strip().removeprefix(f"{node}/") for topic in topics.split(",")]
    names = [COMPRESSED.get(name, name) if compressed else name for name in names if name]
    if names:
        chosen = [name if name.startswith("/") else f"{node}/{name}" for name in names]
        return ["--topics", *chosen, *_ALWAYS]
    always = "|".join(f"{topic}$" for topic in _ALWAYS)
    without = f"(?!({'|'.join(sorted(NOT_COMPRESSED))})$)" if compressed else ""
    return ["--regex", f"^({re.escape(node)}/{without}|{always})"]
