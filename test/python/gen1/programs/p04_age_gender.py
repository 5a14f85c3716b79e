"""Two output tensors by name, and errors for malformed descriptions."""

import copy
import json
import os
import sys
import tempfile

import depthai

MODELS = sys.argv[1]
BLOB = MODELS + "/virtual_age_gender.blob"
with open(MODELS + "/age_gender_entries.json") as file:
    GOOD = json.load(file)


FOLDER = tempfile.TemporaryDirectory()


def start(document):
    path = os.path.join(FOLDER.name, "config.json")
    with open(path, "w") as file:
        json.dump(document, file)
    return depthai.create_pipeline(
        {"streams": ["metaout"], "ai": {"blob_file": BLOB, "blob_file_config": path}}
    )


def must_fail(change, words):
    document = copy.deepcopy(GOOD)
    change(document["tensors"])
    try:
        start(document)
    except RuntimeError as error:
        assert words in str(error), error
    else:
        raise AssertionError(words)


assert depthai.init_device("", "")
p = start(GOOD)
nnet_packet = p.get_available_nnet_and_data_packets(True)[0][0]
entries = nnet_packet.entries()
assert len(entries) == 1
assert len(entries[0]) == 2
for e in entries:
    assert abs(e[0]["age"] * 100 - 31) < 0.1
    assert abs(e[1]["female"] + e[1]["male"] - 1) < 1e-3
    assert len(e[1]) == 2
    for wrong in ("nope", 2):
        for kind in (RuntimeError, IndexError, KeyError):
            try:
                e[1][wrong]
            except kind:
                continue
            raise AssertionError(wrong)
assert len(nnet_packet.get_tensor("out1")) == 4
assert nnet_packet.get_tensor(1).view("f2")[1] > 0.97
assert nnet_packet.getOutputsList()[1].shape == (1, 2, 1, 1)

must_fail(lambda t: t[0].update(output_properties_type="f32"), "output_properties_type is 'f32'")
must_fail(lambda t: t[0].pop("output_dimensions"), "has no output_dimensions")
must_fail(lambda t: t[1].update(output_dimensions=[1, 2, 1, 3]), "means 12 bytes")
must_fail(lambda t: t[1].update(output_entry_iteration_index=4), "output_entry_iteration_index")
must_fail(lambda t: t[1].update(output_dimensions=[1, 0]), "none may be 0")
must_fail(lambda t: t.append(t[0]), "declares 3 tensors, the network has 2")

nameless = copy.deepcopy(GOOD)
nameless["tensors"][1]["property_key_mapping"] = []
e = start(nameless).get_available_nnet_and_data_packets(blocking=True)[0][0].entries()[0]
assert e[1][1] > 0.97
try:
    e[1]["male"]
except RuntimeError as error:
    assert "no names" in str(error)
else:
    raise AssertionError("there are no names")
