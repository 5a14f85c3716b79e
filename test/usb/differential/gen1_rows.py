"""Makes the rows of measured.json from the answers and requests of both Gen1 modules."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from gen1_hosts import HOSTS, Pair
from gen1_sessions import SESSIONS
from gen1_tap import Recording

#: Part, call, official, ours.
Row = tuple[str, str, str, str]

ABSENT = "–"
RESET = bytes.fromhex("addeadde")
LONG_LIST = 8
#: Minimum number of common exposures for a verdict about images.
LEAST_COMMON = 2
#: Streams whose bytes depend on earlier frames.
WITH_PAST = {"video", "object_tracker", "jpegout"}
MOMENTS = {
    "opened": "before a pipeline",
    "started": "right after the start",
    "ended": "running",
    "left": "when the device was let go of",
    "configs": "",
}


def both(part: str, official: Mapping[str, str], ours: Mapping[str, str]) -> Iterator[Row]:
    """A row for each call that one of them has."""
    for call in dict.fromkeys([*official, *ours]):
        yield part, call, official.get(call, ABSENT), ours.get(call, ABSENT)


def name_rows(answers: Pair) -> Iterator[Row]:
    """Names, signatures, enumerations."""
    yield from both("Names and arguments", answers["official"].names, answers["ours"].names)


def value_rows(title: str, answers: Pair) -> Iterator[Row]:
    """Results of calls, by moment of the session."""
    for moment, words in MOMENTS.items():
        values = [answers[host].values.get(moment, {}) for host in HOSTS]
        yield from both(f"Session “{title}”{', ' * bool(words)}{words}", *values)


def undefined_rows(title: str, answers: Pair, fates: Mapping[str, str]) -> Iterator[Row]:
    """Questions for our module only, and the known behaviour of the official one."""
    values = answers["ours"].values.get("undefined", {})
    yield from both(f"Session “{title}”, what the official module must not be asked", fates, values)


def image_rows(title: str, answers: Pair) -> Iterator[Row]:
    """Whether both returned the same bytes for the same exposures."""
    official, ours = answers["official"].digests, answers["ours"].digests
    for stream in official:
        if stream in WITH_PAST:
            continue
        common = official[stream].keys() & ours.get(stream, {}).keys()
        equal = all(official[stream][number] == ours[stream][number] for number in common)
        verdict = "the same" if equal else "others"
        if len(common) < LEAST_COMMON:
            verdict = f"only {len(common)} exposures in common"
        part = f"Session “{title}”, contents by exposure"
        yield part, f"all bytes of {stream}", "the same", verdict


def command_rows(title: str, answers: Pair) -> Iterator[Row]:
    """The packet of each command; commands that raised an exception sent none."""
    packets: dict[str, dict[str, str]] = {}
    for host in HOSTS:
        recording = answers[host].recordings[0]
        sent = [packet for packet in recording.payloads("host_capture") if packet != RESET]
        calls = [call for call, value in answers[host].values["started"].items() if value == "None"]
        assert len(sent) == len(calls), f"{host}: {len(sent)} packets of {len(calls)} calls"
        packets[host] = {
            call: f"{len(packet)} bytes: {packet.rstrip(bytes(1)).hex(' ')}"
            for call, packet in zip(calls, sent, strict=True)
        }
    yield from both("Commands, as the device receives them", packets["official"], packets["ours"])


def leaves(document: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Path and value of every leaf of a JSON document; numbers in single precision."""
    if isinstance(document, dict):
        for key in sorted(document):
            yield from leaves(document[key], f"{path}.{key}" if path else key)
    elif isinstance(document, list) and document and isinstance(document[0], dict):
        for index, entry in enumerate(document):
            yield f"{path}[{index}]", ", ".join(f"{key} {value}" for key, value in leaves(entry))
    elif isinstance(document, list) and len(document) > LONG_LIST:
        text = json.dumps([f"{number:.6g}" for number in document])
        yield path, f"{len(document)} numbers, sha1 {hashlib.sha1(text.encode()).hexdigest()[:8]}"
    else:
        is_float = isinstance(document, float)
        yield path, f"{document:.6g}" if is_float else json.dumps(document)


def documents(recording: Recording) -> list[dict[str, str]]:
    """Each configuration that the host sent, as path -> value."""
    texts = [payload.rstrip(b"\0") for payload in recording.payloads("config_h2d")]
    return [dict(leaves(json.loads(text))) for text in texts]


def config_rows(title: str, answers: Pair, usual: Mapping[str, Mapping[str, str]]) -> Iterator[Row]:
    """config_h2d as the device receives it; without the values of the first session."""
    found = {host: documents(answers[host].recordings[0]) for host in HOSTS}
    assert len(found["official"]) == len(found["ours"])
    for number, pair in enumerate(zip(found["official"], found["ours"], strict=True)):
        for path in sorted({*pair[0], *pair[1]}):
            values = [document.get(path, ABSENT) for document in pair]
            if [usual.get(host, {}).get(path) for host in HOSTS] != values:
                again = " (second)" * (number > 0)
                yield f"config_h2d{again} of session “{title}”", path, values[0], values[1]


def opening_rows(title: str, answers: Pair) -> Iterator[Row]:
    """Streams in opening order with their windows; digests of the networks."""
    part = f"What is opened and loaded in session “{title}”"
    texts, blobs = [], []
    for host in HOSTS:
        recording = answers[host].recordings[0]
        windows = recording.windows().items()
        texts.append(", ".join(f"{name} {size}" for name, size in windows))
        sums = [hashlib.sha1(blob).hexdigest()[:8] for blob in recording.payloads("inBlob")]
        blobs.append(", ".join(sums) or ABSENT)
    yield part, "streams and windows", *texts
    if blobs != [ABSENT, ABSENT]:
        yield part, "inBlob, sha1", *blobs


def session_rows(title: str, answers: Pair, fates: Mapping[str, str], usual: Pair) -> Iterator[Row]:
    """All rows of one session."""
    yield from value_rows(title, answers)
    yield from undefined_rows(title, answers, fates)
    yield from image_rows(title, answers)
    if title == "commands":
        yield from command_rows(title, answers)
    if "config" in SESSIONS[title]:
        is_usual = answers is usual
        known = {} if is_usual else {h: documents(usual[h].recordings[0])[0] for h in HOSTS}
        yield from config_rows(title, answers, known)
        yield from opening_rows(title, answers)
