"""Results with older blob configurations: complete examples, and errors."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from depthai_ros import depthai, wire_formats
from depthai_ros.errors import ConfigError, ConfigTypeError
from depthai_ros.gen1.config import from_gen1
from depthai_ros.gen1.network import NetworkPlan, read_network_plan
from depthai_ros.gen1.results import ResultReader, make_result

MODELS = Path(__file__).resolve().parents[3] / "config/models"
SSD = MODELS / "mobilenet_ssd_entries.json"
SSD_DEPTH = MODELS / "mobilenet_ssd_depth_entries.json"
AGE_GENDER = MODELS / "age_gender_entries.json"
METADATA = wire_formats.FrameTrailer(21, 1, 1400, 1400, 1, 0, 1, 42, 3_500_000_000, 1400)


def layer(
    name: str, dimensions: list[int], *, offset: int = 0, index: int = 0, code: int = 0
) -> dict[str, Any]:
    """An output layer in outBlob form, densely packed."""
    size = np.dtype(wire_formats.TENSOR_DTYPES[code]).itemsize
    strides = [int(np.prod(dimensions[i + 1 :])) * size for i in range(len(dimensions))]
    shape = {"data_type": code, "order": [4, 3, 2, 1], "dimensions": dimensions, "strides": strides}
    return {"name": name, "offset": offset, "idx": index, "shape": shape}


def plan_of(path: Path | str, **ai: Any) -> NetworkPlan:
    config = {"ai": {"blob_file": "x.blob", "blob_file_config": str(path), **ai}}
    return read_network_plan(from_gen1(config))


def packet(plan: NetworkPlan, payload: bytes, *layers: dict[str, Any]) -> depthai.NNetPacket:
    results = ResultReader(plan.bound_to(layers), (), layers, len(layers))
    return make_result(np.frombuffer(payload, np.uint8), METADATA, results)


def changed(tmp_path: Path, source: Path, change: Any) -> Path:
    document = json.loads(source.read_text())
    change(document)
    target = tmp_path / "changed.json"
    target.write_text(json.dumps(document))
    return target


def test_worked_case_mobilenet_ssd() -> None:
    head = bytes.fromhex("0000804b333b00340030003800 3a00bc" + "00" * 12)
    result = packet(plan_of(SSD), head.ljust(1400, b"\0"), layer("detection_out", [1, 1, 100, 7]))
    c = result.entries()
    assert len(c) == 100
    assert len(c[0]) == 1
    assert len(c[0][0]) == 7
    names = ("id", "label", "confidence", "left", "top", "right", "bottom")
    assert [c[0][0][name] for name in names] == [0, 15, 0.89990234375, 0.25, 0.125, 0.5, 0.75]
    assert c[0][0][2] == c[0][0]["confidence"]
    assert c[1][0]["id"] == -1.0
    for tensor in (result.get_tensor("out"), result.get_tensor(0)):
        assert tensor is not None
        assert (tensor.shape, tensor.dtype) == ((1400,), np.uint8)
        assert tensor.flags.writeable
        halves = tensor.view(np.float16)
        assert halves.shape == (700,)
        assert halves[2] == np.float16(0.9)
    assert result.getOutputsList()[0].shape == (1, 1, 100, 7)
    with pytest.raises(RuntimeError):
        result.getDetectedObjects()


def test_worked_case_with_depth_read_from_ten_value_records() -> None:
    head = bytes.fromhex("0000804b333b0034003000380 03a662e66aa003e".replace(" ", ""))
    plan = plan_of(SSD_DEPTH)  # without calc_dist_to_bb: the payload of the device is used directly
    result = packet(plan, head.ljust(2000, b"\0"), layer("out", [1, 1, 100, 10]))
    entry = result.entries()[0][0]
    assert len(entry) == 10
    assert entry["distance_x"] == 0.0999755859375
    assert entry["distance_y"] == -0.04998779296875
    assert entry["distance_z"] == 1.5


def test_records_with_distances_are_made_from_the_devices_detections() -> None:
    plan = plan_of(SSD_DEPTH, calc_dist_to_bb=True)
    assert plan.network is not None
    assert plan.network.output_format == "detection"
    rows = np.zeros(2, wire_formats.DETECTION)
    rows[0] = (15, 0.9, 0.25, 0.125, 0.5, 0.75, 0.1, -0.05, 1.5)
    rows[1] = (5, 0.4, 0.1, 0.1, 0.2, 0.2, 0.3, 0.3, 3.0)
    payload = wire_formats.encode_detections(rows)
    result = packet(plan, payload, layer("detection_out", [1, 1, 100, 7]))
    expected = "0000804b333b003400300038003a662e66aa003e"
    flat = result.get_tensor("out")
    assert flat is not None
    assert flat[:20].tobytes().hex() == expected
    assert len(flat) == 2000
    entries = result.entries()
    assert entries[0][0]["distance_z"] == 1.5
    assert [entries[1][0][f"distance_{axis}"] for axis in "xyz"] == [0, 0, 0]  # below 0.5
    assert entries[1][0]["label"] == 5
    assert entries[2][0]["id"] == -1.0
    assert result.getOutputsList()[0].shape == (1, 1, 100, 10)


def test_records_with_seven_names_have_no_distances() -> None:
    plan = plan_of(SSD, calc_dist_to_bb=True)
    assert not plan.makes_records


def test_worked_case_age_gender() -> None:
    layers = (layer("age", [1, 1, 1, 1]), layer("prob", [1, 2, 1, 1], offset=64, index=1))
    payload = bytes.fromhex("f634").ljust(64, b"\0") + bytes.fromhex("1f25d73b")
    result = packet(plan_of(AGE_GENDER), payload, *layers)
    c = result.entries()
    assert (len(c), len(c[0]), len(c[0][1])) == (1, 2, 2)
    assert c[0][0]["age"] * 100 == 31.005859375
    assert c[0][1]["female"] == 0.0200042724609375
    assert c[0][1]["male"] == 0.97998046875
    tensor = result.get_tensor("out1")
    assert tensor is not None
    assert tensor.tobytes().hex() == "1f25d73b"
    assert result.getOutputsDict()["prob"][0, 1, 0, 0] == np.float16(0.98)


def test_entry_that_is_not_finite_is_skipped(tmp_path: Path) -> None:
    layers = (layer("age", [1, 1, 1, 1]), layer("prob", [1, 2, 1, 1], offset=64, index=1))
    payload = bytes.fromhex("007e").ljust(64, b"\0") + bytes.fromhex("1f25d73b")
    entries = packet(plan_of(AGE_GENDER), payload, *layers).entries()
    assert len(entries) == 1
    assert [entry["male"] for entry in entries[0]] == [0.97998046875]
    alone = bytes.fromhex("007c").ljust(64, b"\0") + bytes.fromhex("007cd73b")
    assert list(packet(plan_of(AGE_GENDER), alone, *layers).entries()) == []


def test_subnormal_halves_are_read_as_zero() -> None:
    head = bytes.fromhex("ff0300040180").ljust(1400, b"\0")
    entry = packet(plan_of(SSD), head, layer("out", [1, 1, 100, 7])).entries()[0][0]
    assert list(entry)[:3] == [0.0, 2.0**-14, 0.0]


@pytest.mark.parametrize("key", [7, 100, -1, "nope"])
@pytest.mark.parametrize("kind", [RuntimeError, IndexError, KeyError])
def test_missing_property_raises_the_exception_of_every_release(
    key: Any, kind: type[Exception]
) -> None:
    result = packet(plan_of(SSD), bytes(1400), layer("out", [1, 1, 100, 7]))
    with pytest.raises(kind):
        result.entries()[0][0][key]


@pytest.mark.parametrize("index", [100, 1 << 40])
def test_missing_entry_is_an_index_error(index: int) -> None:
    entries = packet(plan_of(SSD), bytes(1400), layer("out", [1, 1, 100, 7])).entries()
    with pytest.raises(IndexError):
        entries[index]
    with pytest.raises(TypeError):
        entries[-1]
    with pytest.raises(KeyError):
        entries["out"]  # type: ignore[index]


def test_smaller_declaration_reads_the_front_part(tmp_path: Path) -> None:
    path = changed(tmp_path, SSD, lambda d: d["tensors"][0].update(output_dimensions=[1, 1, 10, 7]))
    payload = np.arange(700, dtype="<f2").tobytes()
    entries = packet(plan_of(path), payload, layer("out", [1, 1, 100, 7])).entries()
    assert len(entries) == 10
    assert list(entries[9][0]) == [63, 64, 65, 66, 67, 68, 69]


def test_bytes_are_read_as_floats(tmp_path: Path) -> None:
    path = changed(tmp_path, SSD, lambda d: d["tensors"][0].update(output_properties_type="u8"))
    payload = bytes(range(200)) * 7
    entry = packet(plan_of(path), payload, layer("out", [1, 1, 100, 7])).entries()[1][0]
    assert list(entry) == [7, 8, 9, 10, 11, 12, 13]


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("output_properties_dimensions", [], False),
        ("output_properties_dimensions", [0, 3], False),
        ("output_properties_dimensions", [9], False),
        ("property_key_mapping", [], False),
        ("output_entry_iteration_index", -1, True),
    ],
)
def test_names_come_from_the_one_axis_that_has_them(
    tmp_path: Path, field: str, value: Any, named: bool
) -> None:
    path = changed(tmp_path, SSD, lambda d: d["tensors"][0].update({field: value}))
    entries = packet(plan_of(path), bytes(1400), layer("out", [1, 1, 100, 7])).entries()
    assert len(entries) == (1 if value == -1 else 100)
    if named:
        assert entries[0][0]["label"] == 0
    else:
        with pytest.raises(RuntimeError, match="no names"):
            entries[0][0]["label"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"output_properties_type": "float16"}, "output_properties_type is 'float16'"),
        ({"output_dimensions": []}, "none may be 0"),
        ({"output_dimensions": [1, 1, 0, 7]}, "none may be 0"),
        ({"output_dimensions": [1, -1]}, "holds -1"),
        ({"output_dimensions": "100"}, "must be an array"),
        ({"output_entry_iteration_index": 4}, "has 4 entries"),
        ({"output_entry_iteration_index": True}, "must be an integer"),
        ({"output_tensor_name": 3}, "must be text"),
        ({"property_key_mapping": [1]}, "must be arrays of texts"),
        ({"output_properties_dimensions": 3}, "must be an array"),
    ],
)
def test_wrong_field_is_refused_with_its_name(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    path = changed(tmp_path, SSD, lambda d: d["tensors"][0].update(change))
    with pytest.raises(ConfigTypeError) as caught:
        plan_of(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("field", sorted(json.loads(SSD.read_text())["tensors"][0]))
def test_missing_field_is_refused_with_its_name(tmp_path: Path, field: str) -> None:
    path = changed(tmp_path, SSD, lambda d: d["tensors"][0].pop(field))
    with pytest.raises(ConfigTypeError, match=f"has no {field}"):
        plan_of(path)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda d: d.update(tensors={}), ConfigError),
        (lambda d: d.update(tensors=[3]), ConfigTypeError),
        (lambda d: d.update(mappings=[]), ConfigError),
        (lambda d: d.update(mappings={"labels": "x"}), ConfigError),
        (lambda d: d.update(mappings={"labels": [1]}), ConfigError),
        (lambda d: d.update(NN_config=[]), ConfigTypeError),
        (lambda d: d.update(NN_config={"output_format": 1}), ConfigTypeError),
    ],
)
def test_wrong_type_of_tensors_or_mappings_is_refused(
    tmp_path: Path, change: Any, kind: type[Exception]
) -> None:
    with pytest.raises(ConfigError) as caught:
        plan_of(changed(tmp_path, SSD, change))
    assert caught.type is kind


@pytest.mark.parametrize(
    ("text", "words"), [('{"tensors": [],x}', "line 1 column 16"), ("// x", "line 1 column 1")]
)
def test_invalid_json_is_refused_with_line_and_column(
    tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "broken.json"
    path.write_text(text)
    with pytest.raises(ConfigTypeError, match=words):
        plan_of(path)


@pytest.mark.parametrize("name", ["", "/no/such/file.json", "package://depthai_ros/nothing.json"])
def test_missing_file_means_raw_tensors(name: str) -> None:
    plan = plan_of(name)
    assert plan.formats == ("raw", "raw")
    result = packet(plan, bytes(1400), layer("out", [1, 1, 100, 7]))
    with pytest.raises(RuntimeError, match="no `tensors`"):
        result.entries()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"nn_config": {}}', "nn_config is not used, the nearest is NN_config"),
        ("{}", "is not used: it has none of the keys NN_config, tensors, mappings"),
        (None, "is not used: there is no such file"),
    ],
)
def test_file_without_effect_is_accepted_with_a_warning(
    tmp_path: Path, text: str | None, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "net.json"
    if text is not None:
        path.write_text(text)
    assert plan_of(path).formats == ("raw", "raw")
    (warning,) = caplog.messages
    assert warning.startswith(str(path))
    assert words in warning


def test_more_or_larger_tensors_than_the_network_has_are_refused() -> None:
    with pytest.raises(ConfigTypeError, match="declares 2 tensors, the network has 1"):
        plan_of(AGE_GENDER).bound_to((layer("age", [1, 1, 1, 1]),))
    with pytest.raises(ConfigTypeError, match=r"means 1400 bytes, output 'x' .* has 14"):
        plan_of(SSD).bound_to((layer("x", [1, 1, 1, 7]),))


def test_payload_that_is_too_short_raises_when_it_is_read() -> None:
    result = packet(plan_of(SSD), bytes(100), layer("out", [1, 1, 100, 7]))
    with pytest.raises(RuntimeError, match="ends at byte 1400"):
        result.entries()


def test_second_stage_names_have_a_suffix() -> None:
    plan = plan_of(SSD, blob_file2="y.blob", blob_file_config2=str(AGE_GENDER))
    assert [tensor.name for tensor in plan.tensors] == ["out", "out_stage2", "out1_stage3"]
    assert plan.makes_records  # the device decodes the boxes for the second network


def test_file_with_both_styles_supports_both_getters(tmp_path: Path) -> None:
    raw = changed(tmp_path, SSD, lambda d: d.update(NN_config={"output_format": "raw"}))
    result = packet(plan_of(raw), bytes(1400), layer("detection_out", [1, 1, 100, 7]))
    assert result.get_tensor(0).shape == (1, 1, 100, 7)  # type: ignore[union-attr]
    assert len(result.entries()) == 100
    both = changed(tmp_path, SSD, lambda d: d.update(NN_config={"output_format": "detection"}))
    payload = wire_formats.encode_detections(np.zeros(3, wire_formats.DETECTION))
    result = packet(plan_of(both), payload, layer("detection_out", [1, 1, 100, 7]))
    assert result.getDetectedObjects().size == 3
    assert [entry[0]["id"] for entry in result.entries()][:4] == [0, 0, 0, -1]


def test_entries_outlive_packet_and_container() -> None:
    payload = np.arange(700, dtype="<f2").tobytes()
    result = packet(plan_of(SSD), payload, layer("out", [1, 1, 100, 7]))
    entry = result.entries()[3][0]
    del result
    assert copy.copy(list(entry)) == [21, 22, 23, 24, 25, 26, 27]
