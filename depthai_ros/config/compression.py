"""How images are compressed: the parameters for all topics, and those of each topic.

A parameter of one topic has the value of that for all topics, unless the user sets it by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..streams import COMPRESSED_TOPICS, TRANSPORTS
from .limits import Limits, Value, between, one_of

#: Group of the options, and start of every key.
GROUP = "compressed"
_COLOR, _DEPTH = TRANSPORTS["mono8"], TRANSPORTS["16UC1"]


@dataclass(frozen=True, slots=True)
class CompressionParameter:
    """One parameter of the topics of these transports.

    `name` is that of the image_transport plugins. `for_all` is the name of the parameter for all
    topics, where it has another.
    """

    name: str
    default: Value
    meaning: str
    limits: Limits
    unit: str = ""
    transports: tuple[str, ...] = (_COLOR, _DEPTH)
    for_all: str = ""

    @property
    def key(self) -> str:
        """The whole key of the parameter for all topics."""
        return f"{GROUP}.{self.for_all or self.name}"

    def key_of(self, image: str) -> str:
        """The whole key of the parameter of one image topic."""
        return f"{GROUP}.{dotted(image)}.{self.name}"


PARAMETERS = (
    CompressionParameter(
        "format",
        "jpeg",
        "format of /compressed: jpeg, or png, which keeps every value and takes longer",
        one_of("jpeg", "png"),
        transports=(_COLOR,),
    ),
    CompressionParameter(
        "format",
        "png",
        "format of /compressedDepth: png, or rvl, which takes less time and more room",
        one_of("png", "rvl"),
        transports=(_DEPTH,),
        for_all="depth_format",
    ),
    CompressionParameter(
        "jpeg_quality", 95, "quality of JPEG", between(1, 100), unit="%", transports=(_COLOR,)
    ),
    CompressionParameter("png_level", 3, "0 = fastest PNG, 9 = smallest", between(0, 9)),
    CompressionParameter(
        "depth_max",
        10.0,
        "largest depth on /compressedDepth; what is farther counts as not measured",
        between(1.0, 100.0),
        unit="m",
        transports=(_DEPTH,),
    ),
    CompressionParameter(
        "depth_quantization",
        100.0,
        "steps of 32FC1 on /compressedDepth: a larger value has finer steps near, coarser ones far",
        between(1.0, 150.0),
        transports=(_DEPTH,),
    ),
    CompressionParameter(
        "max_fps",
        0.0,
        "highest rate of compressed images; 0 = that of the image",
        between(0.0, 120.0),
        unit="Hz",
    ),
)


def dotted(topic: str) -> str:
    """The name of a topic as a part of a parameter's name."""
    return topic.replace("/", ".")


def parameters_of(image: str) -> dict[str, CompressionParameter]:
    """The parameters of an image topic by their names."""
    transport = COMPRESSED_TOPICS[image].name.rpartition("/")[2]
    return {row.name: row for row in PARAMETERS if transport in row.transports}


#: Key of a parameter of one topic -> the key of that for all topics.
INHERITED: dict[str, str] = {
    row.key_of(image): row.key
    for image in COMPRESSED_TOPICS
    for row in parameters_of(image).values()
}

#: The parameters that choose a format.
FORMAT_KEYS = tuple(
    key for key in dict.fromkeys((*INHERITED.values(), *INHERITED)) if key.endswith("format")
)

#: Name that the image_transport plugins give a parameter, behind that of the node -> our key.
_ALIASES: dict[str, str] = {
    f"{dotted(topic.name)}.{row.name}": row.key_of(image)
    for image, topic in COMPRESSED_TOPICS.items()
    for row in parameters_of(image).values()
}


def own_key(name: str, node: str) -> str:
    """The key for a parameter name of the image_transport plugins; other names as they are.

    `node` is the name of the node, without its namespace; the plugins write a dot in front of it,
    if the node has a namespace.
    Source  compressed_image_transport, compressed_publisher.cpp
    """
    return _ALIASES.get(name.removeprefix(".").removeprefix(f"{node}."), name)


def compression_of(settings: Mapping[str, Any], image: str) -> dict[str, Any]:
    """The values of the parameters of an image topic by their names."""
    return {name: settings[row.key_of(image)] for name, row in parameters_of(image).items()}
