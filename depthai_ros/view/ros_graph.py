"""Looks at one node in the ROS graph, and subscribes to topics as their publishers offer them.

Only the thread of the executor uses it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from rclpy.node import Node, NodeNameNonExistentError
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from .ros_topics import Demand, TopicFeed

#: A topic that every node has, whatever its state.
_EVERYWHERE = "/parameter_events"


class Offer(NamedTuple):
    """What a publisher offers."""

    type_name: str
    reliability: ReliabilityPolicy
    durability: DurabilityPolicy


class NodeGraph:
    """Topics and services of one node. `is_there` is false if the graph has no such node."""

    def __init__(self, ros: Node, target: str) -> None:
        self._ros, self._target = ros, target
        self._namespace, _, self._name = target.rpartition("/")
        self._endpoints: frozenset[bytes] = frozenset()
        self.is_there = False
        self.topics: Mapping[str, str] = {}  # full name -> type
        self.services: Mapping[str, str] = {}  # name below the node -> type

    def look(self) -> bool:
        """Look again; true if the node is another one than before: it was started again."""
        found = frozenset(
            bytes(row.endpoint_gid)
            for row in self._ros.get_publishers_info_by_topic(_EVERYWHERE)
            if self._is_target(row)
        )
        # A node that was killed stays listed for a while, beside its successor.
        is_new, self._endpoints = bool(found - self._endpoints), found
        self.is_there = bool(found)
        where = self._name, self._namespace or "/"
        try:
            topics = self._ros.get_publisher_names_and_types_by_node(*where)
            services = self._ros.get_service_names_and_types_by_node(*where)
        except NodeNameNonExistentError:
            topics = services = []
        self.topics = {name: types[0] for name, types in topics}
        self.services = {
            name.removeprefix(f"{self._target}/"): types[0]
            for name, types in services
            if name.startswith(f"{self._target}/")
        }
        return is_new

    def _is_target(self, endpoint: Any) -> bool:
        namespace = endpoint.node_namespace.rstrip("/")
        return bool(endpoint.node_name == self._name and namespace == self._namespace)

    def offers(self, topic: str) -> list[Offer]:
        """What publishers offer on a topic, those of the node first."""
        rows = self._ros.get_publishers_info_by_topic(topic)
        return [_offer_of(row) for row in sorted(rows, key=self._is_target, reverse=True)]


def _offer_of(endpoint: Any) -> Offer:
    """What one publisher offers; unknown values are those of a driver."""
    qos = endpoint.qos_profile
    is_weak = qos.reliability == ReliabilityPolicy.BEST_EFFORT
    is_kept = qos.durability == DurabilityPolicy.TRANSIENT_LOCAL
    return Offer(
        endpoint.topic_type,
        ReliabilityPolicy.BEST_EFFORT if is_weak else ReliabilityPolicy.RELIABLE,
        DurabilityPolicy.TRANSIENT_LOCAL if is_kept else DurabilityPolicy.VOLATILE,
    )


class Subscriptions:
    """The subscriptions of the page."""

    def __init__(self, ros: Node, graph: NodeGraph) -> None:
        self._ros, self._graph = ros, graph
        self._rows: dict[str, tuple[TopicFeed[Any], Offer, Any]] = {}

    def match(self, demands: Mapping[str, Demand]) -> None:
        """Receive exactly these topics, each as its publisher offers it."""
        offers = {topic: self._graph.offers(topic) for topic in demands}
        for topic in [*self._rows]:
            feed, used, subscription = self._rows[topic]
            demand = demands.get(topic)
            # Without a publisher the subscription stays for the next one.
            is_served = demand is not None and (used in offers[topic] or not offers[topic])
            if demand is None or demand.feed is not feed or not is_served:
                self._ros.destroy_subscription(subscription)
                del self._rows[topic]
        for topic, demand in demands.items():
            fitting = [row for row in offers[topic] if row.type_name == _name_of(demand)]
            if topic not in self._rows and fitting:
                self._rows[topic] = demand.feed, fitting[0], self._subscribe(demand, fitting[0])

    def _subscribe(self, demand: Demand, offer: Offer) -> Any:
        profile = QoSProfile(
            depth=demand.depth, reliability=offer.reliability, durability=offer.durability
        )
        return self._ros.create_subscription(
            demand.message_type, demand.topic, demand.feed.arrive, profile, raw=True
        )


def _name_of(demand: Demand) -> str:
    """Name of a message type, as the graph has it."""
    package = demand.message_type.__module__.partition(".")[0]
    return f"{package}/msg/{demand.message_type.__name__}"
