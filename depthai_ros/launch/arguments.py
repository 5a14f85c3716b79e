"""The argument tables of the launch files.

Does not import `launch`: the generated documents and the tests need no ROS. An empty argument is
one that was not given. Priority: launch argument, then parameter files, then default.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..bounded import nearest, shown
from ..config import BY_KEY, OPTIONS, Option
from ..config.limits import Value, plain
from ..config.options import DEFAULT_NAME
from ..errors import ConfigError
from ..streams import COLOR_STREAMS

TRUTHS = {"true": True, "1": True, "false": False, "0": False}
_BOOLEANS = ("true", "false")
#: The share directory of this package, in paths.
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
    """The argument that sets one option; its meaning is that of the option unless given."""
    option = BY_KEY[key]
    unit = f" [{option.unit}]" if option.unit else ""
    default = plain(option.default) or "empty"
    limits = f" ({option.limits})" if option.limits else ""
    words = meaning or f"{option.meaning}{unit}{limits}; parameter default {default}"
    return Argument(name or key, words, option=key)


_WHO = (
    Argument("name", "name of the node and first part of its frames", DEFAULT_NAME),
    Argument("namespace", "namespace of the node, below that of the including file"),
)
#: Where the camera is mounted: the parent frame, then the pose in it.
MOUNT = (
    Argument("parent_frame", "frame that the camera is mounted on; empty = NAME_parent_frame"),
    *(
        Argument(f"cam_pos_{axis}", f"position in parent_frame, {axis} [m]; empty = 0")
        for axis in ("x", "y", "z")
    ),
    *(
        Argument(f"cam_{angle}", f"orientation in parent_frame, {angle} [rad]; empty = 0")
        for angle in ("roll", "pitch", "yaw")
    ),
)
_SIM_TIME = Argument("use_sim_time", "use the time of /clock; empty = false", "", _BOOLEANS)
_TF_PREFIX = _sets("tf.prefix", "tf_prefix")
_RVIZ = (
    Argument("use_rviz", "start rviz2, of the package rviz2", "false", _BOOLEANS),
    Argument("rviz_config", "name of a file in config/rviz, or a path", "oak_d"),
)
_VIEW = (
    Argument(
        "view",
        "start depthai-view, the camera's page for a browser on this machine; its address is in "
        "the output (docs/view.md)",
        "false",
        _BOOLEANS,
    ),
    Argument("view_port", "port of the page; 0 = a free one", "8080"),
)
_COMPOSITION = (
    Argument(
        "use_composition",
        "with pointcloud.enable, load depth_image_proc into the running container container_name; "
        "it makes a second cloud there, topic points_proc (the camera node always runs in a "
        "process of its own)",
        "false",
        _BOOLEANS,
    ),
    Argument("container_name", "name of the container; empty = NAME_container"),
)
_CLOUD_COLOR = Argument(
    "pointcloud.color",
    "colour of the points: none; mono (or grey): from the right camera, needs stream "
    "rectified_right; rgb: needs stream color and a calibrated rgb camera; empty = points.color of "
    "the camera node that the launch file starts, else none",
    "",
    (*COLOR_STREAMS, "grey"),
)
_OUTPUT = Argument(
    "output",
    "output of the programs: screen, log, both, own_log or full",
    "screen",
    ("screen", "log", "both", "own_log", "full"),
)
#: Value of large_messages for a camera that another machine watches.
REMOTE = "remote"
_MIDDLEWARE = Argument(
    "large_messages",
    "Fast DDS profile and memory settings for images: true = config/fastdds.xml, remote = "
    "config/fastdds_remote.xml (docs/network.md), false = none, or the path of a profile; empty = "
    "true, unless the environment names a profile or /dev/shm is too small",
)

_NODE_ARGUMENTS = (
    *_WHO,
    Argument(
        "params_file",
        "parameter file, or several separated by commas, of which the last wins; each is a path or "
        "package://PACKAGE/PATH",
    ),
    Argument(
        "camera_model",
        "board for the URDF and for a device with a blank EEPROM: a name in config/boards, or the "
        "path of such a file; overrides params_file. Default: OAK-D, which params_file overrides",
    ),
    _sets("device.id", "device"),
    _sets("stream_list"),
    *MOUNT,
    Argument(
        "publish_urdf",
        "with tf_source urdf: true = start a robot_state_publisher for the URDF of the camera, "
        "false = the URDF of the robot contains the camera",
        "true",
        _BOOLEANS,
    ),
    Argument(
        "tf_source",
        "publisher of the camera frames: robot_state_publisher from the board file (urdf), the "
        "node from the device's calibration (calibration), or neither (none); empty = tf.source in "
        "params_file, else urdf",
        "",
        ("urdf", "calibration", "none"),
        "tf.source",
    ),
    _TF_PREFIX,
    *_RVIZ,
    *_VIEW,
    Argument(
        "pointcloud.enable",
        "give the cloud of the node, topic points, the colour pointcloud.color; the topic itself "
        "comes with stream depth",
        "false",
        _BOOLEANS,
    ),
    _CLOUD_COLOR,
    *_COMPOSITION,
    Argument(
        "autostart",
        "the node configures and activates itself; empty = true",
        "",
        _BOOLEANS,
        option="autostart",
    ),
    Argument("respawn", "restart the node when it exits", "false", _BOOLEANS),
    Argument("log_level", "log level of the node: debug, info, warn, error or fatal; empty = info"),
    _SIM_TIME,
    _OUTPUT,
    _MIDDLEWARE,
)
_SHORT = {argument.option for argument in _NODE_ARGUMENTS}

#: The arguments above that have the same name as their parameter.
_LISTED = [argument for argument in _NODE_ARGUMENTS if argument.name == argument.option]

#: camera.launch.py. Every parameter of the node is also an argument, but for those of one topic.
CAMERA = (
    *_NODE_ARGUMENTS,
    *(
        _sets(option.key)
        for option in OPTIONS
        if not option.topic and option.key not in _SHORT | {"tf.parent_frame"}
    ),
)
POINTCLOUD = (*_WHO, _CLOUD_COLOR, *_COMPOSITION, _SIM_TIME, _OUTPUT, _MIDDLEWARE)
RVIZ = (*_WHO, _TF_PREFIX, _RVIZ[1], _SIM_TIME, _OUTPUT, _MIDDLEWARE)
RECORD = (
    *_WHO,
    Argument("topics", "topics of the camera to record, separated by commas; empty = all"),
    Argument(
        "compressed",
        "record the compressed topic of each image in place of the raw one; with topics empty also "
        "video, if stream video carries it, and everything small, but neither points nor what can "
        "be computed from the recording",
        "false",
        _BOOLEANS,
    ),
    Argument("bag", "folder to write; empty = a new folder, named after the current time"),
    _MIDDLEWARE,
)
REPLAY = (
    Argument("bag", "folder of the recording to play; required"),
    Argument("rate", "playback speed; 1 = as recorded", "1.0"),
    Argument("loop", "play again from the start at the end", "false", _BOOLEANS),
    *_WHO,
    _TF_PREFIX,
    *_RVIZ,
    Argument(
        "pointcloud.enable",
        "start depth_image_proc (a package); it publishes the topic points_proc",
        "false",
        _BOOLEANS,
    ),
    _CLOUD_COLOR,
)
_ONE_EACH = {
    *("name", "namespace", "device", "tf_prefix"),
    *(argument.name for argument in (*MOUNT, *_VIEW)),
}
_LISTED_ARGUMENT = " here: each camera has its own, in the list that cameras:=FILE names"
#: multi_camera.launch.py: the arguments of camera.launch.py that may apply to all cameras.
MULTI_CAMERA = (
    Argument("cameras", "YAML file with the list of cameras", f"{SHARE}/config/multi_camera.yaml"),
    Argument("use_rviz", "start one rviz2 (package rviz2) for all cameras", "false", _BOOLEANS),
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
    _RVIZ[0],
    _SIM_TIME,
    _OUTPUT,
)
#: lifecycle.launch.py: the launch file requests the transitions of the node.
LIFECYCLE = (
    Argument(
        "goal",
        "state to bring the node to: inactive (configured, topics exist) or active (publishing)",
        "active",
        ("inactive", "active"),
    ),
    *(argument for argument in CAMERA if argument.name != "autostart"),
)
#: Launch file -> number of its own arguments; they are listed before those of camera.launch.py.
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


# -- given arguments


def is_true(text: str) -> bool:
    """True if the text of an argument is true; empty is false."""
    return bool(TRUTHS.get(text.lower(), False))


def unknown(given: Iterable[str], arguments: Sequence[Argument]) -> str:
    """An error message about the names that are not arguments; empty if all are known."""
    known = [argument.name for argument in arguments]
    sentences = []
    for name in given:
        if name not in known:
            is_listed = arguments == MULTI_CAMERA and name in _ONE_EACH
            hint = _LISTED_ARGUMENT if is_listed else nearest(name, known)
            sentences.append(f"{name} is not an argument{hint}")
    if not sentences:
        return ""
    short = ", ".join(argument.name for argument in arguments if argument.name != argument.option)
    return f"{'; '.join(sentences)}. The arguments are: {short}" + (
        ", and every parameter of the node"
        if arguments in (CAMERA, LIFECYCLE, MULTI_CAMERA)
        else ""
    )


def given_options(values: Mapping[str, str], arguments: Sequence[Argument]) -> dict[str, Value]:
    """Parameters of the node that were given as arguments, converted to their types.

    Raises  ConfigError if a text cannot be converted
    """
    return {
        argument.option: read(BY_KEY[argument.option], values[argument.name], argument.name)
        for argument in arguments
        if argument.option and values.get(argument.name, "")
    }


def read(option: Option, text: str, name: str) -> Value:
    """Convert the text of an argument to the type of the option; the node checks the limits.

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
        expected = kinds[type(default)]
        raise ConfigError(f"argument {name}: {shown(text)} is not {expected}") from None


def number(values: Mapping[str, str], name: str) -> float:
    """The number of an argument that sets no parameter; empty is 0.

    Raises  ConfigError
    """
    try:
        return float(values.get(name) or 0.0)
    except ValueError:
        raise ConfigError(f"argument {name}: {shown(values[name])} is not a number") from None


# -- documents


def documented(name: str) -> Sequence[Argument]:
    """The arguments of a launch file that docs/launch.md lists in a table.

    docs/parameters.md lists those that have the name of a parameter.
    """
    own = [each for each in LAUNCH_FILES[name] if each.name != each.option or each in _LISTED]
    return own[: _OWN_ARGUMENTS.get(name)]
