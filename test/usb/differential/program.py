"""Evaluates expressions with the Gen1 module that `import depthai` finds; equal for every module.

Runs in Python 3.8 or later with numpy; does not import this package.
    program.py TASK.json ANSWER.json
"""

import faulthandler
import hashlib
import inspect
import json
import pickle
import re
import sys
import time
from pathlib import Path

import depthai
import numpy as np

DEADLINE_S = 20.0
#: Special methods that are part of the API if a class has them.
SPECIAL = ("__len__", "__iter__", "__getitem__")


# -- values as text

FRAME = ("FrameType", "FrameWidth", "FrameHeight", "FrameBytesPP", "Stride")
TRACKLET = ("Id", "Label", "Status", "LeftCoord", "TopCoord", "RightCoord", "BottomCoord")


def getters(*names):
    """A function that reads these getters; without values that differ from frame to frame."""
    return lambda thing: {name: getattr(thing, "get" + name)() for name in names}


#: Class -> function that reads the contents of an instance.
CONTENTS = {
    "FrameMetadata": getters(*FRAME, "Category", "InstanceNum", "CameraName"),
    "Tracklet": getters(*TRACKLET),
    "ObjectTracker": lambda tracker: [
        tracker.getTracklet(number) for number in range(tracker.getNrTracklets())
    ],
    "Detection": lambda detection: detection.get_dict(),
    "Detections": list,
    "TensorInfo": lambda info: info.get_dict(),
}


def shown(value):
    """Any value as a line of text, independent of the run and of the version of Python."""
    kind = type(value)
    if isinstance(value, np.ndarray):
        return f"array {value.shape} {value.dtype}"
    if value is None or isinstance(value, (bool, str)):
        return repr(value)
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    if isinstance(value, (float, np.floating)):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {shown(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        start, end = "[]" if isinstance(value, list) else "()"
        return start + ", ".join(map(shown, value)) + end
    if hasattr(kind, "__members__") or kind.__name__ == "DataType":
        return repr(value).strip()
    if isinstance(value, (type, np.dtype)):
        return getattr(value, "__name__", None) or str(value)
    if kind.__name__ in CONTENTS:
        return shown(CONTENTS[kind.__name__](value))
    return kind.__name__


def evaluated(text, names):
    """Result of an expression, or the name of its exception."""
    try:
        return shown(eval(text, names))
    except Exception as cause:
        return type(cause).__name__


# -- names and signatures


def argument_names(text):
    """Names and defaults from the signature in a compiled function's docstring."""
    words = re.split(r", (?![^\[\]]*\])", text) if text else []
    found = []
    for word in words:
        name, _, default = word.partition(" = ")
        name = name.partition(":")[0]
        if name != "self":
            shown_name = "_" if re.match(r"arg\d+$", name) else name
            found.append(shown_name + ("=" + default if default else ""))
    return "(" + ", ".join(found) + ")"


def signature(function):
    """Arguments of a function; positional-only ones as _."""
    lines = re.findall(r"^(?:\d+\. )?\w+\((.*)\) -> ", function.__doc__ or "", re.MULTILINE)
    if lines:
        return " or ".join(dict.fromkeys(map(argument_names, lines)))
    found = []
    for argument in list(inspect.signature(function).parameters.values()):
        if argument.name != "self":
            name = "_" if argument.kind == argument.POSITIONAL_ONLY else argument.name
            has_default = argument.default is not argument.empty
            found.append(name + (f"={argument.default!r}" if has_default else ""))
    return "(" + ", ".join(found) + ")"


def about(thing):
    """Kind of a public name: class, enumeration, attribute, or signature."""
    if isinstance(thing, type):
        members = getattr(thing, "__members__", None)
        if members is None:
            return "class"
        return ", ".join(f"{name} {int(member)}" for name, member in members.items())
    if isinstance(thing, property):
        return "attribute"
    return signature(thing) if callable(thing) else type(thing).__name__


def all_names():
    """All public names of the module, of its classes, and of nested classes."""
    found = {}

    def add(prefix, owner):
        for name in dir(owner):
            if name.startswith("_") and not (isinstance(owner, type) and name in SPECIAL):
                continue
            if isinstance(owner, type) and issubclass(owner, list) and not name.startswith("_"):
                continue  # append, sort, …
            thing = getattr(owner, name)
            found[prefix + name] = "method" if name in SPECIAL else about(thing)
            if isinstance(thing, type) and not hasattr(thing, "__members__"):
                add(prefix + name + ".", thing)

    add("", depthai)
    return found


# -- sessions


class Collection:
    """Collects packets until every stream has reached its last wanted exposure."""

    def __init__(self):
        self.newest = {}
        self.digests = {}
        self.stamps = {}
        self.order = []

    def add(self, name, packet, data):
        metadata = packet.getMetadata()
        self.newest[name] = packet
        if metadata is not None:
            number = metadata.getSequenceNum()
            self.digests.setdefault(name, {})[number] = hashlib.sha1(data).hexdigest()
            self.stamps.setdefault(name, {})[number] = metadata.getTimestamp()
            self.order.append((name, number))

    def has(self, name, number):
        return name in self.newest and max(self.stamps.get(name, {0: 0})) >= number

    def run(self, pipeline, wanted, meanwhile):
        end_s = time.monotonic() + DEADLINE_S
        while not all(self.has(*row) for row in wanted.items()):
            if time.monotonic() > end_s:
                raise SystemExit(f"not complete: {sorted(self.newest)}")
            meanwhile()
            results, packets = pipeline.get_available_nnet_and_data_packets()
            for packet in results:
                self.add("metaout", packet, result_bytes(packet))
            for packet in packets:
                self.add(packet.stream_name, packet, packet.getData().tobytes())
            time.sleep(0.002)


def result_bytes(packet):
    """Contents of a network result: detections, or tensors."""
    try:
        return repr([d.get_dict() for d in packet.getDetectedObjects()]).encode()
    except RuntimeError:
        return b"".join(tensor.tobytes() for tensor in packet.getOutputsList())


def are_rising(stamps):
    """True if later exposures have later stamps."""
    in_order = [stamps[number] for number in sorted(stamps)]
    return in_order == sorted(set(in_order))


def seconds_apart(some, others):
    """Difference of the stamps of two streams for one exposure."""
    number = max(set(some) & set(others))
    return round(abs(some[number] - others[number]), 6)


def streams_of(pipeline):
    """Streams in `get_available_data_packets`, read until five previews have arrived."""
    found, previews = set(), 0
    while previews < 5:
        names = [packet.stream_name for packet in pipeline.get_available_data_packets(True)]
        found.update(names)
        previews += names.count("previewout")
    return sorted(found)


class Program:
    """One task: open a device, run a pipeline, evaluate questions; each if the task has it."""

    def __init__(self, task):
        self.task = task
        self.answer = {"values": {}}
        self.names = {"depthai": depthai, "np": np, "pickle": pickle, "json": json, "Path": Path}
        self.names.update(apart=seconds_apart, rising=are_rising)
        self.names.update(streams_of=streams_of, forget=lambda name: bool(self.names.pop(name)))

    def ask(self, when):
        """Evaluate the questions of one moment of the session."""
        for text in self.task.get(when, ()):
            self.answer["values"].setdefault(when, {})[text] = evaluated(text, self.names)

    def run(self):
        if self.task.get("names"):
            self.answer["names"] = all_names()
        self.ask("alone")
        if "device" in self.task:
            self.names["device"] = depthai.Device(*self.task["device"])
            self.ask("opened")
        if "config" in self.task:
            self.names["pipeline"] = self.names["device"].create_pipeline(self.task["config"])
            self.ask("started")
            if "wanted" in self.task:
                self.collect()
                self.ask("ended")
            self.ask("undefined")
            self.ask("left")
        for config in self.task.get("configs", ()):
            self.try_config(config)
        self.names.clear()

    def collect(self):
        """Take packets until the task has enough."""
        collection = Collection()
        stills = iter([self.names["device"].request_jpeg] * ("jpegout" in self.task["wanted"]))
        collection.run(self.names["pipeline"], self.task["wanted"], lambda: next(stills, int)())
        self.names.update(collection.newest, stamps=collection.stamps, order=collection.order)
        self.answer["digests"] = collection.digests

    def try_config(self, config):
        """Result of `create_pipeline`; after a success the next one gets a new device."""
        if self.names.get("device") is None:
            self.names["device"] = depthai.Device("", False)
        outcome = evaluated(f"device.create_pipeline({config})", self.names)
        self.answer["values"].setdefault("configs", {})[config] = outcome
        if outcome == "CNNPipeline":
            self.names["device"] = None


def main():
    faulthandler.enable()
    faulthandler.dump_traceback_later(2 * DEADLINE_S, exit=True)
    task_file, answer_file = map(Path, sys.argv[1:])
    program = Program(json.loads(task_file.read_text()))
    program.run()
    answer_file.write_text(json.dumps(program.answer))


main()
