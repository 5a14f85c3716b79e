"""Names of the topics after remapping, as image_transport gives them.

A transport and the camera_info follow their image, unless a remap rule names them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from rclpy.node import Node

from ..errors import ConfigError
from ..streams import TRANSPORTS, Topic

#: Last parts of the names of topics that are other forms of the image before them.
_TRANSPORTS = frozenset({*TRANSPORTS.values(), "ffmpeg"})
#: Topics of this node that are not in the stream table.
_OTHER_TOPICS = ("/diagnostics", "/tf_static")


class TopicNames:
    """The names under which to create publishers; rcl applies the remap rules to them."""

    def __init__(self, node: Node, topics: Iterable[Topic]) -> None:
        """Raises ConfigError if two of the topics would have one name."""
        self._node = node
        topics = list(topics)
        self._names = {topic.name: self._name(topic.name) for topic in topics}
        shown = [topic for topic in topics if topic.camera_info]
        self._infos = {topic.name: self._beside(topic) for topic in shown}
        self._part(shown)
        self._check(topics)

    def topic(self, topic: Topic) -> str:
        """Name of a topic."""
        return self._names[topic.name]

    def camera_info(self, topic: Topic) -> str:
        """Name of the camera_info of an image topic."""
        return self._infos[topic.name]

    def full(self, name: str) -> str:
        """The name after remapping."""
        return str(self._node.resolve_topic_name(name))

    def _is_remapped(self, name: str) -> bool:
        return self.full(name) != self._expanded(name)

    def _expanded(self, name: str) -> str:
        """The full name without remapping."""
        return str(self._node.resolve_topic_name(name, only_expand=True))

    def _name(self, relative: str) -> str:
        name = f"~/{relative}"
        image, _, transport = name.rpartition("/")
        if transport in _TRANSPORTS and self._is_remapped(image) and not self._is_remapped(name):
            return f"{self.full(image)}/{transport}"
        return name

    def _beside(self, topic: Topic) -> str:
        """The camera_info in the namespace of the image, if that has moved.

        Source  image_transport, getCameraInfoTopic()
        """
        own, image = f"~/{topic.camera_info}", self._names[topic.name]
        full = self.full(image)
        has_moved = full != self._expanded(f"~/{topic.name}")
        if not has_moved or self._is_remapped(own):
            return own
        for transport in _TRANSPORTS:
            full = full.removesuffix(f"/{transport}")
        return f"{full.rpartition('/')[0]}/camera_info"

    def _part(self, topics: Iterable[Topic]) -> None:
        """Where images of different cameras have moved to one namespace, camera_info stays."""
        owners = defaultdict(set)
        for name in self._names.values():
            owners[self.full(name)].add(name)
        for topic in topics:
            owners[self.full(self._infos[topic.name])].add(f"~/{topic.camera_info}")
        for topic in topics:
            moved, own = self._infos[topic.name], f"~/{topic.camera_info}"
            if moved != own and len(owners[self.full(moved)]) > 1:
                self._infos[topic.name] = own
                self._node.get_logger().warning(
                    f"{self.full(own)} stays there: {self.full(moved)} beside the remapped image "
                    f"would also be {', '.join(sorted(owners[self.full(moved)] - {own}))}; to move "
                    f"it, add a remap rule for {own}"
                )

    def _check(self, topics: Iterable[Topic]) -> None:
        """Raise ConfigError if remap rules give two topics the same name."""
        taken = {self.full(name): name for name in _OTHER_TOPICS}
        for topic in topics:
            names = [(f"~/{topic.name}", self._names[topic.name])]
            if topic.camera_info:
                names.append((f"~/{topic.camera_info}", self._infos[topic.name]))
            for own, name in names:
                full = self.full(name)
                other = taken.setdefault(full, own)
                if other != own:
                    raise ConfigError(
                        f"{other} and {own} would both be {full}: "
                        "change the remap rule that gives one topic the other's name"
                    )
