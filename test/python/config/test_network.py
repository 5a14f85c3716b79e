"""Files that describe a network, and the search for them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from depthai_ros import config
from depthai_ros.errors import ConfigError


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


#: Text of a network's description -> error behind the file name.
BAD_NETWORKS = [
    ('{"NN_config": {},x}', "line 1 column 18: "),
    ('{\n "a": 1\n "b": 2}', "line 3 column 2: Expecting ',' delimiter"),
    ("[]", "an array, must be an object"),
    ('{"NN_config": []}', "NN_config is an array, must be an object"),
    ('{"NN_config": {"output_format": "boxes"}}',
     "NN_config.output_format is 'boxes', must be one of raw, detection"),
    ('{"NN_config": {"output_format": "detection"}}',
     "NN_config.NN_family is missing, must be one of mobilenet, YOLO"),
    (('{"NN_config": {"output_format": "detection", "NN_family": "mobilenet", '
     '"confidence_threshold": 2}}'),
     "NN_config.confidence_threshold is 2, must be between 0 and 1"),
    (('{"NN_config": {"output_format": "detection", "NN_family": "YOLO", '
     '"NN_specific_metadata": {"confidence_threshold": true}}}'),
     "NN_config.NN_specific_metadata.confidence_threshold is True, must be between 0 and 1"),
    (('{"NN_config": {"output_format": "detection", "NN_family": "YOLO", '
     '"NN_specific_metadata": 7}}'),
     "NN_config.NN_specific_metadata is a number, must be an object"),
    ('{"mappings": {"labels": ["a", 5]}}', "mappings.labels must be an array of strings"),
    ("[" * 50_000, "nested deeper than 32 levels"),
    ('{"tensors": 1e999}', "1e999, must be a finite number"),
    ('{"NN_config": {"output_format": ' + "1" * 400 + "}}", "an integer has more than 64 bits"),
    ('{"mappings": 5}', "mappings.labels must be an array of strings"),
    ('{"tensors": [5]}', "tensors must be an array of objects"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "complaint"), BAD_NETWORKS)
def test_bad_network_description_is_refused_with_file_and_place(tmp_path, text, complaint):
    path = write(tmp_path / "net.json", text)
    with pytest.raises(ConfigError) as caught:
        config.read_network_config(path)
    assert str(caught.value).startswith(f"{path}: {complaint}")


def test_network_description_that_is_not_text_is_refused(tmp_path):
    path = tmp_path / "net.json"
    path.write_bytes(b"{\xff}")
    with pytest.raises(ConfigError, match=r"net\.json: byte 1: not UTF-8 text"):
        config.read_network_config(str(path))


#: Description -> threshold read, and the document for the device.
NETWORKS = [
    ({}, 0.0, None),
    ({"NN_config": {"output_format": "raw"}}, 0.0, {"output_format": "raw"}),
    ({"NN_config": {"output_format": "detection", "NN_family": "mobilenet"}}, 0.4,
     {"output_format": "detection", "NN_family": "mobilenet", "confidence_threshold": 0.4}),
    ({"NN_config": {"output_format": "detection", "NN_family": "YOLO"}}, 0.4,
     {"output_format": "detection", "NN_family": "YOLO",
      "NN_specific_metadata": {"confidence_threshold": 0.4}}),
    ({"NN_config": {"output_format": "detection", "NN_family": "YOLO",
                    "NN_specific_metadata": {"classes": 80, "confidence_threshold": 0.6}}}, 0.6,
     {"output_format": "detection", "NN_family": "YOLO",
      "NN_specific_metadata": {"classes": 80, "confidence_threshold": 0.6}}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "threshold", "document"), NETWORKS)
def test_missing_threshold_of_a_network_is_filled_in(tmp_path, text, threshold, document):
    path = write(tmp_path / "net.json", json.dumps(text))
    network = config.read_network_config(path, confidence_threshold=0.4)
    assert (network.confidence_threshold, network.document) == (threshold, document)


def test_older_network_description_keeps_its_tensors_and_labels(tmp_path):
    text = json.dumps({"tensors": [{"output_tensor_name": "out"}], "mappings": {"labels": ["a"]}})
    network = config.read_network_config(write(tmp_path / "net.json", text))
    assert (network.output_format, network.labels) == ("raw", ("a",))
    assert network.tensors == ({"output_tensor_name": "out"},)


def yolo(**metadata: Any) -> dict[str, Any]:
    whole = {
        "classes": 2,
        "coordinates": 4,
        "anchors": [1, 2, 3, 4],
        "anchor_masks": {"side13": [0, 1]},
    }
    return {
        "output_format": "detection",
        "NN_family": "YOLO",
        "NN_specific_metadata": whole | metadata,
    }


def ssd(*sizes: int) -> dict[str, Any]:
    return {"tensors": [{"output_tensor_name": "out", "output_dimensions": list(sizes)}]}


METADATA = "NN_config.NN_specific_metadata"
#: Description -> what has no effect, behind the file name; several sentences are joined.
UNUSED = [
    ({"nn_config": {"output_format": "detection"}},
     ": nn_config is not used, the nearest is NN_config"),
    ({"NNConfig": {}, "mapping": {}}, (": NNConfig is not used, the nearest is NN_config; "
     ": mapping is not used, the nearest is mappings")),
    ({"tensor": []}, ": tensor is not used, the nearest is tensors"),
    ({}, " is not used: it has none of the keys NN_config, tensors, mappings"),
    ({"model": {"xml": "x"}}, " is not used: it has none of the keys NN_config, tensors, mappings"),
    ({"output_format": "detection"},
     ": output_format is not used, the nearest is NN_config.output_format"),
    ({"NN_config": {}, "labels": ["a"]}, ": labels is not used, the nearest is mappings.labels"),
    ({"NN_config": {"outputFormat": "detection"}},
     ": NN_config.outputFormat is not used, the nearest is NN_config.output_format"),
    ({"NN_config": {"NN_family": "mobilenet"}},
     ": NN_config.NN_family is not used: without the output_format detection the output is raw"),
    ({"NN_config": {"output_format": "detection", "NN_family": "YOLO"}},
     (": NN_config.NN_family YOLO is not used: NN_specific_metadata has no classes, coordinates, "
     "anchors, anchor_masks, without which the device finds no boxes")),
    ({"NN_config": yolo() | {"confidence_threshold": 0.5}},
     f": NN_config.confidence_threshold is not used: for YOLO it belongs in {METADATA}"),
    ({"NN_config": yolo(anchor_masks={"side26": [0, 2]})},
     (f": {METADATA}.anchor_masks.side26 is not used: it has 2, anchors has 2 pairs of numbers, "
     "counted from 0")),
    ({"NN_config": yolo(anchor_masks={"side26": 5})},
     (f": {METADATA}.anchor_masks.side26 is not used: it has 5, anchors has 2 pairs of numbers, "
     "counted from 0")),
    ({"NN_config": yolo(), "mappings": {"labels": ["a", "b", "c"]}},
     f": mappings.labels from number 2 on is not used: it has 3 names, {METADATA}.classes is 2"),
    (ssd(1, 5, 1, 1), (": tensors is not used: the driver decodes one tensor of the dimensions "
     "[1, 1, N, 7], an SSD; the output of the network is raw on nn/tensors")),
    # everything is used
    ({"NN_config": yolo(), "mappings": {"labels": ["a", "b"]}, "comment": "of nn_config"}, ""),
    ({"NN_config": {"output_format": "raw", "NN_family": "mobilenet"}, "nn_config": {}}, ""),
    ({"mappings": {"labels": ["a"]}}, ""),
    (ssd(1, 1, 100, 7), ""),
]  # fmt: skip


@pytest.mark.parametrize(("document", "sentence"), UNUSED)
def test_part_of_a_description_that_has_no_effect_is_named(tmp_path, document, sentence):
    path = write(tmp_path / "net.json", json.dumps(document))
    found = config.read_network_config(path).unused
    assert "; ".join(text.removeprefix(path) for text in found) == sentence


def test_hostile_description_gives_few_sentences(tmp_path):
    keys = {f"nn_confi{number}": {} for number in range(5000)}
    path = write(tmp_path / "net.json", json.dumps({"NN_confi\x1b": 1, "N" * 10**5: 2, **keys}))
    found = config.read_network_config(path).unused
    assert len(found) == 8
    assert "\x1b" not in "".join(found)


@pytest.mark.parametrize("record", [7, 10])
def test_device_decodes_the_ssds_of_older_descriptions(tmp_path, record):
    document = {**ssd(1, 1, 100, record), "mappings": {"labels": ["a"]}}
    path = write(tmp_path / "net.json", json.dumps(document))
    network = config.read_network_config(path, confidence_threshold=0.4)
    assert (network.output_format, network.labels) == ("detection", ("a",))
    assert network.document == {
        "output_format": "detection", "NN_family": "mobilenet", "confidence_threshold": 0.4
    }  # fmt: skip


def test_labels_are_printable(tmp_path):
    text = r'{"mappings": {"labels": ["\ud800", "\u001b[2J\n", "cat"]}}'
    network = config.read_network_config(write(tmp_path / "net.json", text))
    assert network.labels == ("\N{REPLACEMENT CHARACTER}", r"\x1b[2J\n", "cat")


def test_network_without_description_is_raw():
    assert config.read_network_config("") == config.NetworkConfig()


def test_blob_that_is_missing_or_empty_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"no\.blob: No such file or directory"):
        config.read_blob(str(tmp_path / "no.blob"))
    with pytest.raises(ConfigError, match=r"empty\.blob: the network blob is empty"):
        config.read_blob(write(tmp_path / "empty.blob", ""))
    with pytest.raises(ConfigError, match="a directory, must be a regular file"):
        config.read_blob(str(tmp_path))


def test_package_paths_lead_to_the_source_tree_or_an_install_prefix(tmp_path, monkeypatch):
    ours = config.resolve_path("package://depthai_ros/config/models/mobilenet_ssd.json")
    assert ours.is_file()
    share = tmp_path / "share" / "other"
    share.mkdir(parents=True)
    write(share / "net.blob", "x")
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"/nowhere{os.pathsep}{tmp_path}")
    assert config.read_blob("package://other/net.blob") == b"x"
    with pytest.raises(ConfigError, match=rf"not found; looked in {share}$"):
        config.resolve_path("package://other/none.blob")
    with pytest.raises(ConfigError, match="looked in no installed package of this name"):
        config.resolve_path("package://nobody/none.blob")
