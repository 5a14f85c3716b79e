"""Detects another node with the same name; ROS allows it, and requests reach either node."""

from __future__ import annotations

import time

from rclpy.node import Node, NodeNameNonExistentError

#: How long the middleware lists a killed process: the lease of Fast DDS (20 s) plus a margin.
_FORGOTTEN_S = 25.0
_SHOWN = 3


class NameConflicts:
    """Checks the ROS graph periodically, because nodes discover each other late."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._since_s: float | None = None  # when another one was first seen
        self._is_logged = False

    def check(self) -> str:
        """A sentence about the conflict, "" while the name is unique; logged once.

        Reported only if it lasts: the graph lists a killed node for a while.
        """
        count, now_s = self._count(), time.monotonic()
        logger, name = self._node.get_logger(), self._node.get_fully_qualified_name()
        if not count:
            if self._is_logged:
                logger.info(f"{name} is the only node of this name again")
            self._since_s, self._is_logged = None, False
            return ""
        words = self._words(count)
        if self._since_s is None:
            self._since_s = now_s  # its topics are discovered after it: the next check lists them
        elif not self._is_logged:
            self._is_logged = True
            logger.warning(f"{words}. A killed node stays listed for up to {_FORGOTTEN_S:.0f} s")
        return words if now_s - self._since_s > _FORGOTTEN_S else ""

    def _count(self) -> int:
        """Number of other nodes with the same name and namespace."""
        own = (self._node.get_name(), self._node.get_namespace())
        with_us = int(self._node.get_node_names_and_namespaces().count(own))
        return max(0, with_us - 1)

    def _words(self, count: int) -> str:
        name = self._node.get_fully_qualified_name()
        shared = self._shared_topics()
        topics = f", also publishing {', '.join(shared[:_SHOWN])}" if shared else ""
        more = f" and {len(shared) - _SHOWN} more" if len(shared) > _SHOWN else ""
        nodes = "is another node" if count == 1 else f"are {count} other nodes"
        return (
            f"there {nodes} called {name}{topics}{more}: a service call reaches any of them; "
            "give each node its own name (-r __node:=NAME, in launch files name:=NAME)"
        )

    def _shared_topics(self) -> list[str]:
        """Topics of this node that a node of the same name publishes, too."""
        own = (self._node.get_name(), self._node.get_namespace())
        try:
            topics = self._node.get_publisher_names_and_types_by_node(*own)
        except NodeNameNonExistentError:
            return []
        endpoints = {
            topic: self._node.get_publishers_info_by_topic(topic)
            for topic, _ in topics
            if topic.startswith(f"{self._node.get_fully_qualified_name()}/")
        }
        return sorted(
            topic
            for topic, ends in endpoints.items()
            if [(end.node_name, end.node_namespace) for end in ends].count(own) > 1
        )
