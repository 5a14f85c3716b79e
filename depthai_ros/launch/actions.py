"""Actions of the launch files: declared arguments, environment for images, started programs.

Only this module imports `launch`, and only launch files import this module.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml
from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    GroupAction,
    IncludeLaunchDescription,
    LogInfo,
    OpaqueFunction,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.logging import get_logger
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.substitutions import ExecutableInPackage

from ..bounded import shown
from ..config import read_file, resolve_path, validate
from ..config.limits import Value
from ..config.options import DEFAULT_NAME
from ..config.yaml_files import read_yaml
from ..errors import ConfigError
from ..ros_features import (
    PROFILE_VARIABLES,
    how_to_install,
    profile_name,
    profile_variable,
    remote_profile_name,
)
from .arguments import LAUNCH_FILES, REMOTE, SHARE, TRUTHS, is_true, unknown
from .environment import MEMORY, SEGMENTS, free_bytes, segment_bytes
from .plan import CameraPlan, full_name, renamed_rviz

_RESPAWN_DELAY_S = 2.0
#: Largest Fast DDS profile that is read.
_PROFILE_BYTES = 1 << 20

Start = Callable[[LaunchContext, Mapping[str, str]], list[Any]]


def described(file: str, start: Start) -> LaunchDescription:
    """The description of one of our launch files.

    When the file runs, `start` gets the arguments as texts and returns the actions.
    """
    name, arguments = Path(file).name, LAUNCH_FILES[Path(file).name]
    declared = [
        DeclareLaunchArgument(
            argument.name,
            default_value=argument.default,
            description=argument.meaning,
            choices=sorted({argument.default, *argument.choices}) if argument.choices else None,
        )
        for argument in arguments
    ]

    def run(context: LaunchContext) -> list[Any]:
        if _is_what_the_user_started(file, name):
            given = [word.partition(":=")[0] for word in context.argv if ":=" in word]
            if wrong := unknown(given, arguments):
                raise ConfigError(wrong)
        values = {
            argument.name: LaunchConfiguration(argument.name).perform(context)
            for argument in arguments
        }
        return start(context, values)

    return LaunchDescription([*declared, OpaqueFunction(function=run)])


def _is_what_the_user_started(file: str, name: str) -> bool:
    """True if `ros2 launch` was called with this file; an including file has its own arguments."""
    for package, word in pairwise(sys.argv):
        if Path(word).name == name and (package == "depthai_ros" or Path(word).exists()):
            return package == "depthai_ros" or Path(word).samefile(file)
    return False


def namespace_of(context: LaunchContext) -> str:
    """The namespace that this file is included in."""
    return str(context.launch_configurations.get("ros_namespace", ""))


def node_of(context: LaunchContext, values: Mapping[str, str]) -> str:
    """Full name of the camera node with these arguments `name` and `namespace`."""
    return full_name(f"{namespace_of(context)}/{values['namespace']}", values["name"])


def sim_time(values: Mapping[str, str]) -> dict[str, bool]:
    """The parameter use_sim_time, if it was given."""
    given = values.get("use_sim_time", "")
    return {"use_sim_time": is_true(given)} if given else {}


def own_file(name: str, text: str) -> Path:
    """A file in memory that the programs read; it lasts until the launch ends, however that ends.

    `ros2 launch` ended by SIGTERM runs nothing more that could remove a file.
    """
    number = os.memfd_create(name)
    os.set_inheritable(number, False)
    with open(number, "w", encoding="utf-8", closefd=False) as file:
        file.write(text)
    return Path(f"/proc/{os.getpid()}/fd/{number}")


def parameter_files(values: Mapping[str, Value]) -> list[str]:
    """A parameter file for one program; none without values.

    launch_ros would write one too, but never removes it. This file is JSON, which quotes every
    text: each YAML parser then reads "1.3" and "1e5" as text.
    """
    if not values:
        return []
    typed = {
        key: list(value) or [""] if isinstance(value, tuple) else value
        for key, value in values.items()
    }
    document = {"/**": {"ros__parameters": typed}}
    return [str(own_file("parameters.yaml", json.dumps(document, ensure_ascii=False)))]


def need(package: str, purpose: str) -> None:
    """Check that a package is installed.

    Raises  ConfigError with the purpose and how to install the package
    """
    try:
        get_package_prefix(package)
    except PackageNotFoundError:
        raise ConfigError(
            f"{purpose} needs the package {package}, which is not installed here "
            f"({how_to_install(package)})"
        ) from None


def need_options(values: Mapping[str, str]) -> None:
    """Check the packages of what these arguments start, before anything starts.

    Raises  ConfigError as `need`
    """
    if is_true(values.get("use_rviz", "")):
        need("rviz2", "use_rviz")
    if is_composed(values):
        need("depth_image_proc", "pointcloud.enable")


def is_composed(values: Mapping[str, str]) -> bool:
    """True if depth_image_proc makes a cloud beside that of the camera node."""
    return all(is_true(values.get(name, "")) for name in ("pointcloud.enable", "use_composition"))


def part(name: str, arguments: Mapping[str, str]) -> GroupAction:
    """Include another launch file of this package with these arguments; the others are defaults."""
    path = resolve_path(f"{SHARE}/launch/{name}")
    given = {argument.name: argument.default for argument in LAUNCH_FILES[name]} | dict(arguments)
    source = PythonLaunchDescriptionSource(str(path))
    included = IncludeLaunchDescription(source, launch_arguments=list(given.items()))
    return GroupAction([included], scoped=True)


def chosen(values: Mapping[str, str], file: str) -> dict[str, str]:
    """The arguments that another launch file of this package also has."""
    names = {argument.name for argument in LAUNCH_FILES[file]}
    return {name: text for name, text in values.items() if name in names}


# -- programs


def picture_environment(large_messages: str, camera: str = "") -> dict[str, str]:
    """Environment variables for a process that publishes or subscribes to images.

    `camera` is the full name of the camera node that the process is.

    Raises  ConfigError
    """
    truth = TRUTHS.get(large_messages.lower())
    named = any(os.environ.get(name) for name in PROFILE_VARIABLES)
    if truth is False or (named and not large_messages):
        return {}
    path = _profile(large_messages if truth is None else "", camera)
    if not path.is_file():
        raise ConfigError(
            f"argument large_messages: there is no file {path}; true, false, "
            f"{REMOTE} or a path is expected"
        )
    needed = SEGMENTS * segment_bytes(read_file(path, _PROFILE_BYTES).decode("utf-8", "replace"))
    if not large_messages and needed > free_bytes():
        return {}
    memory = {name: value for name, value in MEMORY.items() if name not in os.environ}
    return {profile_variable(): str(path), **memory}


def _profile(text: str, camera: str) -> Path:
    """The Fast DDS profile of an argument; that for other machines has the topics of `camera`."""
    if text == REMOTE:
        path, usual = resolve_path(f"{SHARE}/config/{remote_profile_name()}"), f"/{DEFAULT_NAME}"
        if camera in ("", usual):
            return path.absolute()
        document = read_file(path, _PROFILE_BYTES).decode("utf-8")
        return own_file(path.name, document.replace(f'"{usual}/', f'"{camera}/'))
    return resolve_path(text or f"{SHARE}/config/{profile_name()}").absolute()


def camera_node(asked: CameraPlan, values: Mapping[str, str], action: type[Node] = Node) -> Node:
    """The camera node as an action of this type. Later parameter files override earlier ones."""
    level = values["log_level"]
    own = parameter_files({**asked.options, **sim_time(values)})
    return action(
        package="depthai_ros",
        executable="camera_node",
        name=values["name"],
        namespace=values["namespace"],
        parameters=[*map(str, asked.files), *own],
        ros_arguments=["--log-level", level] if level else [],
        output=values["output"],
        emulate_tty=sys.stdout.isatty(),  # no colours in a file
        respawn=is_true(values["respawn"]),
        respawn_delay=_RESPAWN_DELAY_S,
        additional_env=picture_environment(values["large_messages"], asked.node),
    )


def camera_frames(asked: CameraPlan, values: Mapping[str, str]) -> list[Node]:
    """The publisher of the camera frames: each frame has exactly one."""
    texts = [f"{value:g}" for value in asked.mount]
    if asked.tf_source == "urdf" and is_true(values["publish_urdf"]):
        words = {
            "name": asked.prefix,
            "parent": asked.parent_frame,
            "board": str(asked.board),
            "xyz": " ".join(texts[:3]),
            "rpy": " ".join(texts[3:]),
        }
        namespace = "/".join(filter(None, (values["namespace"], values["name"])))
        return [robot_state_publisher(namespace, "camera.urdf.xacro", words, values)]
    if asked.tf_source == "calibration" and any(asked.mount):
        need("tf2_ros", "a camera with a pose (cam_pos_x, …)")
        named = zip(("x", "y", "z", "roll", "pitch", "yaw"), texts, strict=True)
        words_of_pose = [word for name, text in named for word in (f"--{name}", text)]
        ends = ["--frame-id", asked.parent_frame, "--child-frame-id", asked.prefix]
        mount = Node(
            package="tf2_ros",
            executable="static_transform_publisher",
            name=f"{values['name']}_mount",
            namespace=values["namespace"],
            arguments=[*words_of_pose, *ends],
            output=values["output"],
        )
        return [mount]
    return []


def beside(asked: CameraPlan, values: Mapping[str, str]) -> list[Any]:
    """The publisher of the camera frames, and optionally a point cloud, rviz2 and the page."""
    need_options(values)
    for sentence in asked.warnings:
        get_logger("depthai_ros").warning(sentence)
    actions: list[Any] = camera_frames(asked, values)
    if is_composed(values):
        file = "pointcloud.launch.py"
        color = values["pointcloud.color"] or str(asked.options.get("points.color", ""))
        actions.append(part(file, {**chosen(values, file), "pointcloud.color": color}))
    if is_true(values["use_rviz"]):
        file = "rviz.launch.py"
        actions.append(part(file, {**chosen(values, file), "tf_prefix": asked.prefix}))
    if is_true(values["view"]):
        actions.append(page(asked.node, values))
    return actions


def page(node: str, values: Mapping[str, str]) -> Any:
    """depthai-view for a camera node. Without viser it says how to install it; the rest goes on."""
    program = ExecutableInPackage("depthai-view", "depthai_ros")
    return ExecuteProcess(
        cmd=[program, "--node", node, "--port", values["view_port"]],
        name="depthai_view",
        output=values["output"],
        additional_env=picture_environment(values["large_messages"]),
    )


def robot_state_publisher(
    namespace: str, xacro_file: str, words: Mapping[str, str], values: Mapping[str, str]
) -> Node:
    """robot_state_publisher for one of our xacro files.

    Raises  ConfigError
    """
    need("robot_state_publisher", "tf_source urdf (unlike calibration)")
    description = {"robot_description": urdf(xacro_file, words)}
    return Node(
        package="robot_state_publisher",
        executable="robot_state_publisher",
        namespace=namespace,
        parameters=parameter_files({**description, **sim_time(values)}),
        output=values["output"],
    )


def urdf(xacro_file: str, words: Mapping[str, str]) -> str:
    """A URDF from one of our xacro files.

    Raises  ConfigError
    """
    try:
        import xacro  # an optional package
    except ImportError:
        need("xacro", "tf_source urdf (unlike calibration)")
        raise
    path = resolve_path(f"{SHARE}/urdf/{xacro_file}")
    return str(xacro.process_file(str(path), mappings=dict(words)).toxml())


def rviz(node: str, prefix: str, values: Mapping[str, str]) -> list[Any]:
    """rviz2 with one of our configurations, adapted to this camera.

    Raises  ConfigError
    """
    need("rviz2", "rviz")
    validate({"tf.prefix": prefix})
    text = values["rviz_config"]
    own = resolve_path(f"{SHARE}/config/rviz") / f"{text}.rviz"
    path = own if own.is_file() else resolve_path(text)
    if not path.is_file():
        names = ", ".join(sorted(known.stem for known in own.parent.glob("*.rviz")))
        raise ConfigError(
            f"argument rviz_config: {shown(text)} is not one of {names} and not a file"
        )
    file = path
    if own.is_file() and text != "multi_camera":
        document = renamed_rviz(read_yaml(path), node, prefix)
        path = own_file(f"{text}.rviz", yaml.safe_dump(document, sort_keys=False))
    return [
        LogInfo(msg=f"rviz2 shows {node or 'all cameras'} with {file}"),
        Node(
            package="rviz2",
            executable="rviz2",
            name=f"rviz_{node.strip('/').replace('/', '_') or 'cameras'}",
            arguments=["-d", str(path)],
            parameters=parameter_files(sim_time(values)),
            output=values.get("output", "screen"),
            additional_env=picture_environment(values.get("large_messages", "")),
        ),
    ]


def bag(verb: str, words: Sequence[str], environment: Mapping[str, str]) -> Any:
    """`ros2 bag VERB`.

    Raises  ConfigError
    """
    need("ros2bag", f"ros2 bag {verb}")
    need("rosbag2_storage_mcap", f"ros2 bag {verb} with mcap")
    return ExecuteProcess(
        cmd=["ros2", "bag", verb, *words],
        name=f"ros2_bag_{verb}",
        output="screen",
        additional_env=dict(environment),
    )
