"""Reasons for the differences between our Gen1 module and the official one, one per row."""

from __future__ import annotations

import re
from pathlib import Path

#: The last measurement; rows: part, call, official, ours.
TABLE = Path(__file__).with_name("measured.json")

#: Part, call (both regular expressions), reason. The first match applies.
REASONS: list[tuple[str, str, str]] = [
    # -- names
    (
        "0.2.0.1",
        "PyTensorEntryContainerIterator.*",
        "The iterator of `entries()` has no public class.",
    ),
    (
        "Names",
        r"Device\.(request_af_mode|send_disparity_confidence_threshold)",
        "The argument also has a name.",
    ),
    (
        "^(Names|The module)",
        r".*TensorInfo\.Dimension.*",
        "The official name of the dimension C ends with a blank: `Dimension.C` fails there.",
    ),
    (
        "Names",
        r"(DataPacketList|NNetPacketList|ObjectTracker)\.\w+",
        "Extra methods: the first releases had these classes, and programs iterate over them.",
    ),
    (
        "Names",
        r"Device\.get_(distortion_coeffs|intrinsic|rgb_rotation|rgb_translation)",
        "Extra methods: the last development builds had them, and programs call them.",
    ),
    (
        "Names",
        r"[a-z]\w*|NNetPacket\.entries|TensorEntry.*",
        "Part of the API of June to September 2020, which later releases dropped.",
    ),
    (
        "module",
        r"depthai\.__version__",
        "Programs that require a release accept any version that ends with `+dev`.",
    ),
    (
        "",
        r"depthai\.(NNetPacketList|DataPacketList)\(\)|type\(pipeline\.get_\w+\(\)\)",
        "The lists have the classes of the first releases, which are subclasses of list.",
    ),
    # -- sessions
    (
        "must not be asked",
        r".*\.create_pipeline\(.*",
        "In the official module two threads read the stream and crash when the device closes.",
    ),
    (
        "must not be asked",
        r".*\.send_camera_control\(.*",
        "More than 64 bytes do not fit into the command stream: an error instead of a hang.",
    ),
    ("must not be asked", ".*", "An error or a defined value; officially it is undefined."),
    (
        "old memory",
        ".*",
        "A calibration that is too old raises an error; officially it ends the process.",
    ),
    (
        "",
        r"streams_of\(pipeline\)",
        "By the first API document `get_available_data_packets` omits network results.",
    ),
    # -- what the device receives
    (
        "config_h2d of session “every key”",
        r"video_config\.\w+",
        "Names of encoder settings are sent in lower case; the case has no effect.",
    ),
    (
        "config_h2d",
        r"video_config\.\w+",
        "With the stream `video` the encoder's defaults are sent, not left to the firmware.",
    ),
    (
        "config_h2d",
        r"_pipeline\._streams\[1\]",
        "Disparity is requested once, and both streams get every exposure; officially they share.",
    ),
    (
        "What is opened",
        "streams and windows",
        "Streams are opened in the device's order, including the source of `disparity_color`.",
    ),
    # -- configurations
    (
        "configurations",
        r".*(\('left',\)|Path\(|np\.|a'b|object\(\)|\{1: 2\}|nan).*",
        "The dict is read directly; officially its text is rewritten to JSON, which fails.",
    ),
    ("configurations", ".*depth_raw.*", "Stream names of every release are accepted."),
    (
        "configurations",
        ".*confidence_threshold.*",
        "A key of the first releases; officially it has been an error since 0.3.",
    ),
    (
        "configurations",
        r"\{'ai': \{'blob_file': None\}\}",
        "None for a text is treated as an absent key.",
    ),
    (
        "configurations",
        r"\{'ai': (1|None)\}|.*'warp_rectify': 3.*|\{'video_config': 1\}",
        "A section that is not a dict is an error; officially it is ignored.",
    ),
]


def reason_for(row: tuple[str, str, str, str]) -> str:
    """The reason for a row with a difference; "" if none matches."""
    part, call = row[:2]
    fitting = (
        why for there, what, why in REASONS if re.search(there, part) and re.fullmatch(what, call)
    )
    return next(fitting, "")
