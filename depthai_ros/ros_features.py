"""What the ROS 2 at hand has: the only place for differences between its releases.

Each difference is looked up by feature, a file or a name, and never by the name of the release: the
names in the comments only say which releases were read. Loads nothing of ROS when it is imported,
because launch files and tools use it before rclpy is there.
"""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any

#: Variables that name the profile file of Fast DDS: version 3, version 2. Version 2 does not know
#: the first; with version 3, rmw_fastrtps 9.3 and later reads the second, with a warning.
#: Source: Fast DDS, XMLParserCommon.cpp; rmw_fastrtps_shared_cpp, participant.cpp
PROFILE_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
#: Our profile; the second is for a Fast DDS without settings of threads, which refuses the first as
#: a whole. Source: XMLParser.cpp of Fast DDS 2.6 (Humble), parseXMLCommonSharedMemTransportData
_PROFILES = ("fastdds.xml", "fastdds_without_threads.xml")
#: That for a camera which another machine watches; one element has another name in version 3.
_REMOTE_PROFILES = ("fastdds_remote_3.xml", "fastdds_remote.xml")
#: Folder of the package in an install prefix: Fast DDS 2 has the name fastrtps, version 3 fastdds.
_FAST_DDS_2, _FAST_DDS_3 = "share/fastrtps", "share/fastdds"
_THREAD_SETTINGS = "include/fastdds/rtps/attributes/ThreadSettings.hpp"
#: Headers of rmw are in include/rmw/rmw; up to Galactic they were in include/rmw.
_RMW = "share/rmw"
_DISCOVERY_OPTIONS = "include/rmw/rmw/discovery_options.h"

#: Class -> where it is, best first, as module:name.
_PLACES = {
    # The events executor does not poll all topics for every message. Jazzy has it since 7.1.4.
    "Executor": ("rclpy.experimental:EventsExecutor", "rclpy.executors:SingleThreadedExecutor"),
    # Humble has only the second module; since Lyrical there is only the first.
    "PublisherEventCallbacks": (
        "rclpy.event_handler:PublisherEventCallbacks",
        "rclpy.qos_event:PublisherEventCallbacks",
    ),
}


def ros_class(name: str) -> type[Any]:
    """The class of rclpy for this purpose, a row of the table.

    Raises  ImportError with every place where it was looked for
    """
    for place in _PLACES[name]:
        module, _, attribute = place.partition(":")
        try:
            found: type[Any] = getattr(import_module(module), attribute)
        except (ImportError, AttributeError):
            continue
        return found
    raise ImportError(f"rclpy has no {name}: looked for {', '.join(_PLACES[name])}")


def publisher_address(handle: Any) -> int | None:
    """The address of the rcl_publisher_t of a `publisher.handle`; None if rclpy hides it."""
    address: int | None = getattr(handle, "pointer", None)
    return address


def how_to_install(package: str) -> str:
    """The command that installs a ROS package on Ubuntu."""
    return (
        f"apt install ros-{os.environ.get('ROS_DISTRO', '$ROS_DISTRO')}-{package.replace('_', '-')}"
    )


def profile_variable() -> str:
    """The one of PROFILE_VARIABLES that the installed Fast DDS reads."""
    return PROFILE_VARIABLES[_has_fast_dds_2()]


def profile_name() -> str:
    """Name of the profile file in config/ that the installed Fast DDS can read."""
    return _PROFILES[_has_fast_dds_2() and _find(_THREAD_SETTINGS) is None]


def remote_profile_name() -> str:
    """Name of the profile file in config/ for a camera that another machine watches."""
    return _REMOTE_PROFILES[_has_fast_dds_2()]


def local_discovery() -> dict[str, str]:
    """Environment variables for finding nodes on this machine only.

    Source  rcl, discovery_options.c and localhost.c; where both exist, rcl warns about the old one.
    """
    if _find(_RMW) is not None and _find(_DISCOVERY_OPTIONS) is None:
        return {"ROS_LOCALHOST_ONLY": "1"}
    return {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}


def _has_fast_dds_2() -> bool:
    """True if a program of this environment loads version 2; False also if there is none."""
    return _find(_FAST_DDS_2, _FAST_DDS_3) == _FAST_DDS_2


def _find(*paths: str) -> str | None:
    """The first of these paths that exists, in the first install prefix that has one of them."""
    prefixes = filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep))
    found = (path for prefix in prefixes for path in paths if Path(prefix, path).exists())
    return next(found, None)
