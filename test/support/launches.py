"""Launch files in processes, stand-ins for foreign programs, and a node that observes others."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import stat
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from depthai_ros.ros_features import profile_variable

ROOT = Path(__file__).resolve().parents[2]
HAS_ROS = importlib.util.find_spec("rclpy") is not None
DEADLINE_S = 40.0
#: launch waits 5 s after SIGINT and 5 s after SIGTERM for its children.
_END_S = 20.0


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:  # the parent package is missing; our folder launch/ is not that package
        return False


def _share() -> Path:
    if not HAS_ROS:
        return ROOT
    from ament_index_python.packages import get_package_share_directory

    return Path(get_package_share_directory("depthai_ros"))


#: Where the package has installed its launch files and configuration.
SHARE = _share()
HAS_LAUNCH = _is_installed("launch.actions") and _is_installed("launch_ros.actions")

#: Replaces `ros2` for the command lines: launch depthai_ros FILE …, launch PATH …
_RUNNER = """
import sys
import launch
from launch.launch_description_sources import PythonLaunchDescriptionSource
if sys.argv[2] == "depthai_ros":
    file, words = {folder!r} + "/" + sys.argv[3], sys.argv[4:]
else:
    file, words = sys.argv[2], sys.argv[3:]
source = PythonLaunchDescriptionSource(file)
arguments = [tuple(word.split(":=", 1)) for word in words]
service = launch.LaunchService(argv=words, noninteractive=True)
service.include_launch_description(launch.LaunchDescription(
    [launch.actions.IncludeLaunchDescription(source, launch_arguments=arguments)]))
sys.exit(service.run())
"""

#: Stand-in that records its arguments and parameter files, then waits for a signal.
_RECORDER = """#!{python}
import json, os, signal, sys
words = sys.argv[1:]
files = [words[i + 1] for i, word in enumerate(words) if word == "--params-file"]
record = dict(program={program!r}, words=words, files=[open(name).read() for name in files],
              profile=os.environ.get({variable!r}, ""))
with open({folder!r} + "/" + str(os.getpid()) + ".new", "w") as out:
    json.dump(record, out)
os.rename(out.name, out.name.replace(".new", ".json"))
stop = (signal.SIGINT, signal.SIGTERM)
signal.pthread_sigmask(signal.SIG_BLOCK, stop)
signal.sigwait(stop)
"""

#: Stand-in for a component container: records load requests.
_CONTAINER = """#!{python}
import json, sys
import rclpy
from composition_interfaces.srv import LoadNode
rclpy.init()
node = rclpy.create_node("component_container")
def load(request, response):
    record = dict(program="load_node", container=node.get_fully_qualified_name(),
                  plugin=request.plugin_name, name=request.node_name,
                  namespace=request.node_namespace, remaps=list(request.remap_rules))
    name = request.node_namespace.replace("/", ".") + "." + request.node_name
    with open({folder!r} + "/" + name + ".new", "w") as out:
        json.dump(record, out)
    import os
    os.rename(out.name, out.name.replace(".new", ".json"))
    response.success = True
    response.full_node_name = request.node_namespace + "/" + request.node_name
    return response
node.create_service(LoadNode, "~/_container/load_node", load)
try:
    rclpy.spin(node)
except (KeyboardInterrupt, rclpy.executors.ExternalShutdownException):
    pass
"""

#: Package -> its program; "" = only the package itself is needed.
PACKAGES = {
    "robot_state_publisher": "robot_state_publisher",
    "tf2_ros": "static_transform_publisher",
    "rviz2": "rviz2",
    "rclcpp_components": "component_container",
    "depth_image_proc": "",
    "ros2bag": "",
    "rosbag2_storage_mcap": "",
}


class StandIns:
    """An install prefix with programs that only record their arguments."""

    def __init__(self, folder: Path) -> None:
        self.prefix = folder / "prefix"
        self._records = folder / "records"
        self._records.mkdir(parents=True)
        self.path = folder / "bin"
        self._write(self.path / "ros2", _RECORDER, "ros2")

    def install(self, *packages: str) -> None:
        """Install stand-ins for these packages; they hide installed ones."""
        for package in packages:
            index = self.prefix / "share/ament_index/resource_index/packages" / package
            index.parent.mkdir(parents=True, exist_ok=True)
            index.touch()
            program = PACKAGES[package]
            if program:
                text = _CONTAINER if program == "component_container" else _RECORDER
                self._write(self.prefix / "lib" / package / program, text, program)

    def _write(self, path: Path, text: str, program: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        names = {"python": sys.executable, "program": program, "variable": profile_variable()}
        path.write_text(text.format(**names, folder=str(self._records)))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def calls(self, program: str) -> list[dict[str, Any]]:
        """The recorded calls of a program."""
        records = [json.loads(path.read_text()) for path in self._records.glob("*.json")]
        return [record for record in records if record["program"] == program]

    def wait_for(self, program: str, count: int = 1) -> list[dict[str, Any]]:
        wait_until(lambda: len(self.calls(program)) >= count, f"{count} calls of {program}")
        return self.calls(program)


def wait_until(condition: Callable[[], Any], what: str) -> None:
    end_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end_s, f"still waiting for {what}"
        time.sleep(0.02)


class Launched:
    """A running launch file."""

    def __init__(self, folder: Path, stand_ins: StandIns, *words: str, **variables: str) -> None:
        self._output = folder / "output.log"
        runner = folder / "ros2"
        runner.write_text(_RUNNER.format(folder=str(SHARE / "launch")))
        paths = [str(stand_ins.prefix), os.environ.get("AMENT_PREFIX_PATH", "")]
        if not Path(words[0]).is_absolute():
            words = ("depthai_ros", *words)
        environment = {
            **os.environ,
            "AMENT_PREFIX_PATH": os.pathsep.join(paths),
            "PATH": f"{stand_ins.path}{os.pathsep}{os.environ['PATH']}",
            "RCUTILS_COLORIZED_OUTPUT": "0",
            "PYTHONUNBUFFERED": "1",
            **variables,
        }
        with self._output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, str(runner), "launch", *words],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=folder,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self._output.read_text()

    def wait_for_output(self, words: str, count: int = 1) -> None:
        wait_until(
            lambda: self.output.count(words) >= count or self.process.poll() is not None, words
        )
        assert self.output.count(words) >= count, self.output

    def wait(self) -> int:
        """Wait for the launch to end by itself; returns the exit status."""
        return self.process.wait(DEADLINE_S)

    def stop(self) -> int:
        """Send SIGINT as Ctrl-C does, and check that no process is left."""
        os.killpg(self.process.pid, signal.SIGINT)
        status = self.process.wait(_END_S)
        wait_until(lambda: not self._session(), f"the end of {self._session()}:\n{self.output}")
        return status

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(_END_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for pid in self._session():
            os.kill(pid, signal.SIGKILL)

    def _session(self) -> list[int]:
        """Running processes that this launch has started."""
        found = []
        for entry in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = entry.read_text().rpartition(")")[2].split()
            except OSError:  # the process has ended
                continue
            if int(fields[3]) == self.process.pid and fields[0] != "Z":
                found.append(int(entry.parent.name))
        return found


StartLaunch = Callable[..., Launched]


class Observer:
    """A node that reads topics, services and parameters of other nodes."""

    def __init__(self) -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.node import Node

        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self.node = Node("observer", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)

    def close(self) -> None:
        import rclpy

        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)

    def wait_until(self, condition: Callable[[], Any], what: str) -> None:
        end_s = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < end_s, f"still waiting for {what}"
            self._executor.spin_once(timeout_sec=0.1)

    def collect(self, message_type: Any, topic: str, *, latched: bool = False) -> list[Any]:
        """Subscribe; messages are appended to the list while the observer waits."""
        from rclpy.qos import DurabilityPolicy, QoSProfile

        durability = DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
        messages: list[Any] = []
        profile = QoSProfile(depth=10, durability=durability)
        self.node.create_subscription(message_type, topic, messages.append, profile)
        return messages

    def stamps_ns(self, node: str) -> dict[str, list[int]]:
        """Stamps of each topic with headers below the node's name; appended as by `collect`."""
        from depthai_ros.commands.watched_topic import begins_with_header, message_class

        stamps: dict[str, list[int]] = {}
        for topic, type_name in self._published(node):
            message_type = message_class(type_name)
            if not topic.startswith(f"{node}/") or not begins_with_header(message_type):
                continue
            kept = stamps[topic] = []

            def arrived(raw: bytes, kept: list[int] = kept) -> None:
                seconds, nanoseconds = struct.unpack_from("<4xiI", raw)
                kept.append(seconds * 10**9 + nanoseconds)

            self.node.create_subscription(message_type, topic, arrived, 10, raw=True)
        return stamps

    def first(self, message_type: Any, topic: str, *, latched: bool = False) -> Any:
        """One message of a topic."""
        messages = self.collect(message_type, topic, latched=latched)
        self.wait_until(lambda: messages, f"a message on {topic}")
        return messages[0]

    def call(self, service_type: Any, name: str, request: Any) -> Any:
        """Call a service; returns the response."""
        client = self.node.create_client(service_type, name)
        self.wait_until(client.service_is_ready, f"service {name}")
        future = client.call_async(request)
        self.wait_until(future.done, f"an answer of {name}")
        self.node.destroy_client(client)
        return future.result()

    def parameters(self, node: str, *names: str) -> list[Any]:
        """Values of a node's parameters."""
        from rcl_interfaces.srv import GetParameters
        from rclpy.parameter import parameter_value_to_python

        request = GetParameters.Request(names=list(names))
        answer = self.call(GetParameters, f"{node}/get_parameters", request)
        return [parameter_value_to_python(value) for value in answer.values]

    def topics(self, node: str) -> set[str]:
        """Topics that a node publishes, without /rosout and /parameter_events."""
        return {topic for topic, _ in self._published(node)} - {"/rosout", "/parameter_events"}

    def _published(self, node: str) -> list[tuple[str, str]]:
        """Topics of a node and their types; waits until the node is discovered."""
        namespace, _, name = node.rpartition("/")
        namespace = namespace or "/"
        self.wait_until(
            lambda: (name, namespace) in self.node.get_node_names_and_namespaces(), f"node {node}"
        )
        found = self.node.get_publisher_names_and_types_by_node(name, namespace)
        return [(topic, types[0]) for topic, types in found]
