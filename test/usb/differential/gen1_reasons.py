"""Reasons for the differences between our Gen1 module and the official one, one row for each."""

from __future__ import annotations

import re
from pathlib import Path

#: The last measurement, row by row: part, call, official, ours.
TABLE = Path(__file__).with_name("measured.json")

#: Part, call (both as regular expressions), reason. The first match applies.
REASONS: list[tuple[str, str, str]] = [
    # -- names
    (
        "0.2.0.1",
        "PyTensorEntryContainerIterator.*",
        "What iterating over `entries()` gives is an iterator of no name.",
    ),
    (
        "Names",
        r"Device\.(request_af_mode|send_disparity_confidence_threshold)",
        "The argument may also be given by name.",
    ),
    (
        "^(Names|The module)",
        r".*TensorInfo\.Dimension.*",
        "The official name of the dimension C ends with a blank: `Dimension.C` fails there.",
    ),
    (
        "Names",
        r"(DataPacketList|NNetPacketList|ObjectTracker)\.\w+",
        "Can do more: programs of the first releases got these, and programs loop over them.",
    ),
    (
        "Names",
        r"[a-z]\w*|NNetPacket\.entries|TensorEntry.*",
        "Part of the API of June to September 2020, which later releases dropped.",
    ),
    (
        "module",
        r"depthai\.__version__",
        "Programs that insist on a release accept any version that ends with `+dev`.",
    ),
    (
        "",
        r"depthai\.(NNetPacketList|DataPacketList)\(\)|type\(pipeline\.get_\w+\(\)\)",
        "The lists are the classes of the first releases and lists at once.",
    ),
    # -- sessions
    (
        "must not be asked",
        r".*\.create_pipeline\(.*",
        "Two threads read the one stream there, and crash when the device goes.",
    ),
    (
        "must not be asked",
        r".*\.send_camera_control\(.*",
        "More than 64 bytes do not fit the command stream: an error instead of a hang.",
    ),
    ("must not be asked", ".*", "An error, or a defined value, where the official one has none."),
    (
        "old memory",
        ".*",
        "A calibration that is too old is an error, and the program goes on.",
    ),
    (
        "",
        r"streams_of\(pipeline\)",
        "The API's first document: `get_available_data_packets` is without network results.",
    ),
    # -- what the device receives
    (
        "config_h2d of session “every key”",
        r"video_config\.\w+",
        "Names of encoder settings are written as the table has them; letter case means nothing.",
    ),
    (
        "config_h2d",
        r"video_config\.\w+",
        "With the stream `video` the encoder's defaults are said, not left to the firmware.",
    ),
    (
        "config_h2d",
        r"_pipeline\._streams\[1\]",
        "Disparity is asked for once, and both get every exposure; officially they share them.",
    ),
    (
        "What is opened",
        "streams and windows",
        "Streams are opened in the device's order, also the one of which colours are made.",
    ),
    # -- configurations
    (
        "configurations",
        r".*(\('left',\)|Path\(|np\.|a'b|object\(\)|\{1: 2\}|nan).*",
        "The dict is read as it is; officially its text is rewritten to JSON, which fails.",
    ),
    ("configurations", ".*depth_raw.*", "Names of streams of every release are known."),
    (
        "configurations",
        ".*confidence_threshold.*",
        "A key of the first releases; officially it has been an error since 0.3.",
    ),
    (
        "configurations",
        r"\{'ai': \{'blob_file': None\}\}",
        "None in place of a text is as if the key were not there.",
    ),
    (
        "configurations",
        r"\{'ai': (1|None)\}|.*'warp_rectify': 3.*|\{'video_config': 1\}",
        "A section that is no dict is a mistake of the program: told, not ignored.",
    ),
]


def reason_for(row: tuple[str, str, str, str]) -> str:
    """The reason of a row whose sides differ, "" if there is none."""
    part, call = row[:2]
    fitting = (
        why for there, what, why in REASONS if re.search(there, part) and re.fullmatch(what, call)
    )
    return next(fitting, "")
