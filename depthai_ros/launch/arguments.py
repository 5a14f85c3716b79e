"""The argument tables of the launch files.

Knows nothing of `launch` itself, so that documents and tests need no ROS. An argument that is
empty was not given: then the parameter files count, and after them the defaults.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..config import BY_KEY, OPTIONS, Option
from ..config.limits import Value, plain
from ..config.options import DEFAULT_NAME
from ..errors import ConfigError

TRUTHS = {"true": True, "1": True, "false": False, "0": False}
_BOOLEANS = ("true", "false")
#: Our share directory, in paths.
SHARE = "package://depthai_ros"


@dataclass(frozen=True, slots=True)
class Argument:
    """One launch argument; with `option` it sets that parameter of the node."""

    name: str
    meaning: str
    default: str = ""
    choices: tuple[str, ...] = ()
    option: str = ""


def _sets(key: str, name: str = "", meaning: str = "") -> Argument:
    """The argument that sets one option, in the option's own words."""
    option = BY_KEY[key]
    unit = f" [{option.unit}]" if option.unit else ""
    default = plain(option.default) or "empty"
    limits = f" ({option.limits})" if option.limits else ""
    words = meaning or f"{option.meaning}{unit}{limits}; parameter default {default}"
    return Argument(name or key, words, option=key)


_WHO = (
    Argument("name", "name of the node, and first part of its frames", DEFAULT_NAME),
    Argument("namespace", "namespace of the node, below the one this file is included in"),
)
#: Where the camera is: the frame it is mounted on, then the pose there.
MOUNT = (
    Argument("parent_frame", "frame that the camera is mounted on; empty = NAME_parent_frame"),
    *(
        Argument(f"cam_pos_{axis}", f"where on it, {axis} [m]; empty = 0")
        for axis in ("x", "y", "z")
    ),
    *(
        Argument(f"cam_{angle}", f"how it is turned there, {angle} [rad]; empty = 0")
        for angle in ("roll", "pitch", "yaw")
    ),
)
_SIM_TIME = Argument("use_sim_time", "take the time from /clock; empty = false", "", _BOOLEANS)
_TF_PREFIX = _sets("tf.prefix", "tf_prefix")
_RVIZ = (
    Argument("use_rviz", "start rviz2", "false", _BOOLEANS),
    Argument("rviz_config", "name of a file in config/rviz, or the path of one", "oak_d"),
)
_COMPOSITION = (
    Argument(
        "use_composition",
        "load the point cloud into the running container container_name instead of starting one "
        "(the camera node itself is a process of its own)",
        "false",
        _BOOLEANS,
    ),
    Argument("container_name", "the container's name; empty = NAME_container"),
)
_CLOUD_COLOR = Argument(
    "pointcloud.color",
    "none; grey: of the right camera, needs stream rectified_right; rgb: needs color and a "
    "calibrated rgb camera",
    "none",
    ("none", "grey", "rgb"),
)
_OUTPUT = Argument(
    "output",
    "where the output goes: screen, log, both, own_log or full",
    "screen",
    ("screen", "log", "both", "own_log", "full"),
)
_MIDDLEWARE = Argument(
    "large_messages",
    "Fast DDS settings for pictures: true = config/fastdds.xml, false = none of ours, or the path "
    "of others; empty = true, unless the environment names some or /dev/shm is too small",
)

_NODE_ARGUMENTS = (
    *_WHO,
    Argument(
        "params_file",
        "parameter file, or several with commas between them, the last wins; a path or "
        "package://PACKAGE/PATH",
    ),
    Argument(
        "camera_model",
        "board for the URDF and for a device whose EEPROM is blank: a name in config/boards, or "
        "the path of such a file; empty = OAK-D, which counts less than params_file",
    ),
    _sets("device.id", "device"),
    _sets("stream_list"),
    *MOUNT,
    Argument(
        "publish_urdf",
        "with tf_source urdf: start robot_state_publisher for the camera's own URDF (true), or "
        "leave that to the robot (false)",
        "true",
        _BOOLEANS,
    ),
    Argument(
        "tf_source",
        "who publishes the camera frames: robot_state_publisher with the board's numbers (urdf), "
        "the node with the device's calibration (calibration), or neither; empty = tf.source in "
        "params_file, else urdf",
        "",
        ("urdf", "calibration", "none"),
        "tf.source",
    ),
    _TF_PREFIX,
    *_RVIZ,
    Argument(
        "pointcloud.enable",
        "start depth_image_proc in a container: topic points",
        "false",
        _BOOLEANS,
    ),
    _CLOUD_COLOR,
    *_COMPOSITION,
    Argument(
        "autostart",
        "configure and activate by itself; empty = true",
        "",
        _BOOLEANS,
        option="autostart",
    ),
    Argument("respawn", "start the node again when it has ended", "false", _BOOLEANS),
    Argument("log_level", "debug, info, warn, error or fatal; empty = info"),
    _SIM_TIME,
    _OUTPUT,
    _MIDDLEWARE,
)
_SHORT = {argument.option for argument in _NODE_ARGUMENTS}

#: Of those, the ones that bear the name of their parameter.
_LISTED = [argument for argument in _NODE_ARGUMENTS if argument.name == argument.option]

#: camera.launch.py. Every parameter of the node is also an argument.
CAMERA = (
    *_NODE_ARGUMENTS,
    *(_sets(option.key) for option in OPTIONS if option.key not in _SHORT | {"tf.parent_frame"}),
)
POINTCLOUD = (*_WHO, _CLOUD_COLOR, *_COMPOSITION, _SIM_TIME, _OUTPUT, _MIDDLEWARE)
RVIZ = (*_WHO, _TF_PREFIX, _RVIZ[1], _SIM_TIME, _OUTPUT, _MIDDLEWARE)
RECORD = (
    *_WHO,
    Argument("topics", "of the camera, with commas between them; empty = all of them"),
    Argument("bag", "folder to write; empty = a new one, named after the time"),
    _MIDDLEWARE,
)
REPLAY = (
    Argument("bag", "recording to play"),
    Argument("rate", "how fast, 1 = as it was", "1.0"),
    Argument("loop", "start again at the end", "false", _BOOLEANS),
    *_WHO,
    _TF_PREFIX,
    *_RVIZ,
    Argument("pointcloud.enable", "start depth_image_proc: topic points", "false", _BOOLEANS),
    _CLOUD_COLOR,
)
_ONE_EACH = {"name", "namespace", "device", "tf_prefix", *(argument.name for argument in MOUNT)}
#: multi_camera.launch.py: the arguments of one camera that may be given for all.
MULTI_CAMERA = (
    Argument("cameras", "list of cameras", f"{SHARE}/config/multi_camera.yaml"),
    Argument("use_rviz", "start rviz2, once for all", "false", _BOOLEANS),
    Argument("rviz_config", _RVIZ[1].meaning, "multi_camera"),
    *(
        argument
        for argument in CAMERA
        if argument.name not in _ONE_EACH | {"use_rviz", "rviz_config"}
    ),
)
ROBOT = (
    *(argument for argument in _NODE_ARGUMENTS if argument.name in {"name", "namespace"}),
    *(
        argument
        for argument in _NODE_ARGUMENTS
        if argument.name in {"params_file", "camera_model", "device", "stream_list"}
    ),
    Argument("use_rviz", "start rviz2", "false", _BOOLEANS),
    _SIM_TIME,
    _OUTPUT,
)
#: lifecycle.launch.py: a camera that this launch moves from state to state.
LIFECYCLE = (
    Argument(
        "goal",
        "how far to take the node: inactive (configured, topics are there) or active (pictures)",
        "active",
        ("inactive", "active"),
    ),
    *(argument for argument in CAMERA if argument.name != "autostart"),
)
#: Launch file -> how many of its arguments it does not share with camera.launch.py, listed first.
_OWN_ARGUMENTS = {"multi_camera.launch.py": 3, "lifecycle.launch.py": 1}
#: Launch file -> its arguments.
LAUNCH_FILES = {
    "camera.launch.py": CAMERA,
    "lifecycle.launch.py": LIFECYCLE,
    "multi_camera.launch.py": MULTI_CAMERA,
    "camera_as_part_of_a_robot.launch.py": ROBOT,
    "pointcloud.launch.py": POINTCLOUD,
    "rviz.launch.py": RVIZ,
    "record.launch.py": RECORD,
    "replay.launch.py": REPLAY,
}


# -- what was given


def is_true(text: str) -> bool:
    """True if an argument says so; empty is false."""
    return bool(TRUTHS.get(text.lower(), False))


def unknown(given: Iterable[str], arguments: Sequence[Argument]) -> str:
    """One sentence about the names that are no arguments; empty if there are none."""
    known = [argument.name for argument in arguments]
    sentences = []
    for name in given:
        if name not in known:
            nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
            sentences.append(f"{name} is not an argument, the nearest is {nearest}")
    if not sentences:
        return ""
    short = ", ".join(argument.name for argument in arguments if argument.name != argument.option)
    return f"{'; '.join(sentences)}. The arguments are: {short}" + (
        ", and every parameter of the node"
        if arguments in (CAMERA, LIFECYCLE, MULTI_CAMERA)
        else ""
    )


def given_options(values: Mapping[str, str], arguments: Sequence[Argument]) -> dict[str, Value]:
    """Parameters of the node that were given as arguments, in their types.

    Raises  ConfigError if a text is not of the parameter's type
    """
    return {
        argument.option: read(BY_KEY[argument.option], values[argument.name], argument.name)
        for argument in arguments
        if argument.option and values.get(argument.name, "")
    }


def read(option: Option, text: str, name: str) -> Value:
    """The text of an argument as the option's type; its limits are the node's affair.

    Raises  ConfigError
    """
    default = option.default
    try:
        if isinstance(default, bool):
            return TRUTHS[text.lower()]
        if isinstance(default, tuple):
            return tuple(word.strip() for word in text.strip("[]").split(",") if word.strip())
        return type(default)(text)
    except (KeyError, ValueError):
        kinds = {bool: "true or false", int: "an integer", float: "a number"}
        wanted = kinds[type(default)]
        raise ConfigError(f"argument {name}: {text!r} is not {wanted}") from None


def number(values: Mapping[str, str], name: str) -> float:
    """A number that has no parameter; empty is 0.

    Raises  ConfigError
    """
    try:
        return float(values.get(name) or 0.0)
    except ValueError:
        raise ConfigError(f"argument {name}: {values[name]!r} is not a number") from None


# -- documents


def documented(name: str) -> Sequence[Argument]:
    """The arguments of a launch file that docs/launch.md has a table of.

    Parameters under their own names are left to docs/parameters.md.
    """
    own = [each for each in LAUNCH_FILES[name] if each.name != each.option or each in _LISTED]
    return own[: _OWN_ARGUMENTS.get(name)]


def markdown(arguments: Sequence[Argument]) -> str:
    """A table of arguments."""
    lines = ["| argument | default | meaning |", "|---|---|---|"]
    for argument in arguments:
        default = f"`{argument.default}`" if argument.default else ""
        lines.append(f"| `{argument.name}` | {default} | {argument.meaning} |")
    return "\n".join(lines) + "\n"
