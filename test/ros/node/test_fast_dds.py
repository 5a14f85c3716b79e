"""Images arrive complete in another process with every transport setting of Fast DDS."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from nodes import DEADLINE_S, ROOT, Listener, StartNode
from test_patterns import PARAMETERS

from depthai_ros.ros_features import profile_name, profile_variable

pytestmark = pytest.mark.distribution(
    "the variable that names the profile, and the threads of Fast DDS"
)

Start = Callable[..., "subprocess.Popen[str]"]

#: As in the manual of Fast DDS. Images have no largest size, so it uses another transport for them.
DATA_SHARING = """<?xml version="1.0" encoding="UTF-8" ?>
<profiles xmlns="http://www.eprosima.com">
  <data_writer profile_name="writer" is_default_profile="true">
    <qos><data_sharing><kind>AUTOMATIC</kind></data_sharing></qos>
  </data_writer>
  <data_reader profile_name="reader" is_default_profile="true">
    <qos><data_sharing><kind>AUTOMATIC</kind></data_sharing></qos>
  </data_reader>
</profiles>
"""
SETTINGS = {
    "none": "",
    "ours": (ROOT / "config" / profile_name()).read_text(),
    "data sharing": DATA_SHARING,
}


#: Threads that would interrupt the sending thread.
RECEIVERS = r"dds\.(ev|shm)\.\d+"


def receivers(pid: int) -> dict[str, int]:
    """Scheduling policy of the threads in which Fast DDS receives or watches the time."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    names = {int(path.name): (path / "comm").read_text() for path in tasks}
    return {
        name: os.sched_getscheduler(thread)
        for thread, name in names.items()
        if re.match(RECEIVERS, name)
    }


@pytest.mark.parametrize("name", SETTINGS)
def test_images_arrive_complete_with_these_settings(
    name: str, tmp_path: Path, start_node: StartNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = tmp_path / "profile.xml"
    profile.write_text(SETTINGS[name])
    if SETTINGS[name]:
        monkeypatch.setenv(profile_variable(), str(profile))
    else:
        monkeypatch.delenv(profile_variable())
    monkeypatch.setenv("RMW_FASTRTPS_USE_QOS_FROM_XML", str(int(SETTINGS[name] == DATA_SHARING)))
    node = start_node(PARAMETERS)
    seen = subprocess.run(
        [sys.executable, str(ROOT / "test/support/pattern_program.py")],
        capture_output=True,
        text=True,
        timeout=2 * DEADLINE_S,
    )
    assert seen.returncode == 0, seen.stderr
    assert "every image is right" in seen.stdout
    policies = receivers(node.process.pid)
    assert len(policies) >= 3
    assert set(policies.values()) == {os.SCHED_BATCH if name == "ours" else os.SCHED_OTHER}
    assert node.stop() == 0
    assert "XMLPARSER" not in seen.stderr + node.output, "the settings could not be read"


#: Subscribes to the topic in its argument, and waits to be killed.
VICTIM = """
import sys
import rclpy
from std_msgs.msg import Header
rclpy.init()
node = rclpy.create_node("victim")
node.create_subscription(Header, sys.argv[1], print, 1)
rclpy.spin(node)
"""
#: Three times sooner than with the default of Fast DDS.
FORGOTTEN_S = 12.0


def test_killed_subscriber_is_forgotten_soon(start: Start) -> None:
    listener = Listener(deadline_s=FORGOTTEN_S)
    topic = "/test/killed_subscriber"
    victim = start(sys.executable, "-c", VICTIM, topic)
    listener.wait_until(lambda: listener.node.count_subscribers(topic), "the subscriber")
    victim.kill()
    listener.wait_until(lambda: not listener.node.count_subscribers(topic), "its end")
    listener.close()
