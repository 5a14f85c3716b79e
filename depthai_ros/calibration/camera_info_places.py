"""Where the camera_info files of a node are, with the rules of camera_info_manager."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from ..config.paths import resolve_path
from ..config.settings import Settings
from ..errors import ConfigError

FOLDER = "calibration.camera_info_folder"
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
#: Names of other files in a warning.
_LISTED = 3


def url_key(camera: str) -> str:
    """The option with the file of one camera."""
    return f"{camera}.camera_info_url"


def file_name(node: str, camera: str) -> str:
    """The name, without ".yaml", of a file for one camera of the node with this full name."""
    return f"{node.strip('/').replace('/', '_')}_{camera}"


def folder(settings: Settings) -> Path:
    """The folder of the files. Raises ConfigError."""
    return resolve_path(settings[FOLDER]) if settings[FOLDER] else _ros_home() / "camera_info"


def _ros_home() -> Path:
    return resolve_path(os.environ.get("ROS_HOME") or "~/.ros")


def from_url(text: str, name: str) -> Path:
    """The path of a URL; ${NAME} in it is `name`, ${ROS_HOME} the folder of ROS, by default ~/.ros.

    Raises  ConfigError
    """
    known = {"NAME": name}
    for variable in _VARIABLE.findall(text):
        if variable == "ROS_HOME":
            known[variable] = str(_ros_home())
        elif variable not in known:
            raise ConfigError(
                f"{text}: ${{{variable}}} is not known, only ${{NAME}}, ${{ROS_HOME}}"
            )
    return resolve_path(_VARIABLE.sub(lambda match: known[match[1]], text))


def written_file(settings: Settings, camera: str, name: str) -> Path:
    """The file that set_camera_info of a camera writes; `name` is its name without a folder.

    Raises  ConfigError
    """
    url = settings[url_key(camera)]
    return from_url(url, name) if url else folder(settings) / f"{name}.yaml"


def files(settings: Settings, camera: str, name: str) -> tuple[list[Path], list[str]]:
    """The existing files of a camera, best first, and warnings about places that have none.

    The order of all sources of a model: docs/services.md#calibration
    """
    found, warnings = [], []
    if url := settings[url_key(camera)]:
        try:
            path = from_url(url, name)
            if os.path.lexists(path):
                found.append(path)
            else:
                warnings.append(f"{url_key(camera)} is not used: there is no file {path}")
        except ConfigError as cause:
            warnings.append(f"{url_key(camera)} is not used: {cause}")
    try:
        path = folder(settings) / f"{name}.yaml"
        found += [path] if os.path.lexists(path) else []
    except ConfigError:
        pass  # `folder_warning` tells it once, not for each camera
    return found, warnings


def folder_warning(settings: Settings, names: Sequence[str]) -> str:
    """Why there is no folder, or the one that the user named has no file of these names; or ""."""
    try:
        place = folder(settings)
    except ConfigError as cause:
        if settings[FOLDER]:
            return f"{FOLDER} is not used: {cause}"
        return (
            "set_camera_info keeps nothing, and nothing kept is used: "
            f"{cause}; set ROS_HOME or {FOLDER}"
        )
    if not settings[FOLDER]:
        return ""
    if not os.path.lexists(place):
        return f"{FOLDER} is not used: there is no folder {place}; set_camera_info creates it"
    if not place.is_dir():
        return (
            f"{FOLDER} is not used: {place} is a file, must be a folder; "
            "CAMERA.camera_info_url takes a file"
        )
    wanted = [f"{name}.yaml" for name in names]
    if any(os.path.lexists(place / name) for name in wanted):
        return ""
    others = [path.name for path in islice(sorted(place.glob("*.yaml")), _LISTED)]
    if not others:
        return ""
    return f"{FOLDER} is not used: {place} has {', '.join(others)}, but none of {', '.join(wanted)}"
