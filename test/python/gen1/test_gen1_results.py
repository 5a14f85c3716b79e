"""Tensors, detections, packets and enumerations of the Gen1 API, from known bytes."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import numpy as np
import pytest
from test_gen1_entries import METADATA, layer

from depthai_ros import depthai, wire_formats
from depthai_ros.gen1.network import NetworkPlan
from depthai_ros.gen1.packets import make_metadata, make_packet, read_tracker
from depthai_ros.gen1.results import ResultReader, make_result

DETECTION = bytes.fromhex(
    "010000000f0000006666663f0000803e0000003e0000003f0000403fcdcccc3dcdcc4cbd0000c03f"
).ljust(3604, b"\0")


def result_of(
    payload: bytes, *layers: dict[str, Any], formats: tuple[Any, Any] = ("raw", "raw"), first: int
) -> depthai.NNetPacket:
    results = ResultReader(NetworkPlan(formats=formats), (), layers, first)
    return make_result(np.frombuffer(payload, np.uint8), METADATA, results)


def test_detection_from_the_documented_bytes() -> None:
    found = result_of(DETECTION, formats=("detection", "raw"), first=0).getDetectedObjects()
    assert found.size == len(found) == 1
    assert bool(found)
    detection = found[0]
    assert detection.get_dict() == {
        "label": 15,
        "confidence": 0.8999999761581421,
        "x_min": 0.25,
        "y_min": 0.125,
        "x_max": 0.5,
        "y_max": 0.75,
        "depth_x": pytest.approx(0.1),
        "depth_y": pytest.approx(-0.05),
        "depth_z": 1.5,
    }
    assert json.loads(json.dumps(detection.get_dict()))["label"] == 15
    assert (detection.x_min, detection.y_min) == (0.25, 0.125)
    assert (detection.x_max, detection.y_max) == (0.5, 0.75)
    assert (detection.depth_x, detection.depth_y) == pytest.approx((0.1, -0.05))
    assert (type(detection.label), type(detection.depth_z)) == (int, float)
    for wrong in (1, -1):
        with pytest.raises(IndexError):
            found[wrong]
    with pytest.raises(AttributeError):
        detection.label = 3
    kept = list(found)
    kept.remove(kept[0])
    assert kept == []


@pytest.mark.parametrize("payload", [bytes(3604), DETECTION[:100], b"\xff" * 3604])
def test_packet_without_detections_is_empty_and_a_malformed_one_an_error(payload: bytes) -> None:
    result = result_of(payload, formats=(None, "raw"), first=0)
    if not any(payload):
        assert not result.getDetectedObjects()
        return
    with pytest.raises(RuntimeError):
        result.getDetectedObjects()


@pytest.mark.parametrize(
    ("code", "name"), list(enumerate(["float16", "uint8", "int32", "float32", "int8"]))
)
def test_tensor_has_the_type_and_strides_that_the_device_reports(code: int, name: str) -> None:
    dtype = np.dtype(wire_formats.TENSOR_DTYPES[code])
    padded = layer("padded", [1, 2, 1, 3], offset=8, code=code)
    padded["shape"]["strides"] = [64, 32, 32, dtype.itemsize]
    payload = np.zeros(80, np.uint8)
    rows: Any = np.ndarray((2, 3), dtype, payload.data, 8, (32, dtype.itemsize))
    rows[:] = [[1, 2, 3], [4, 5, 6]]
    tensor = result_of(payload.tobytes(), padded, first=1)["padded"]
    assert tensor is not None
    assert tensor.dtype == np.dtype(name)
    assert tensor.tolist() == [[[[1, 2, 3]], [[4, 5, 6]]]]
    assert tensor.flags.c_contiguous
    assert tensor.flags.writeable
    assert tensor.flags.owndata
    info = result_of(b"", padded, first=1).getOutputLayersInfo()[0]
    assert (str(info.data_type), repr(info.data_type)) == (name, name)
    assert info.strides[1] == 32


def test_second_stage_is_raw_after_a_decoded_first_one() -> None:
    layers = (layer("ssd", [1, 1, 100, 7]), layer("age", [1, 1, 1, 1], offset=3648, index=1))
    payload = DETECTION.ljust(3648, b"\0") + np.float16(0.5).tobytes()
    result = result_of(payload, *layers, formats=("detection", "raw"), first=1)
    assert result.getDetectedObjects()[0].label == 15
    assert result.get_tensor(1).item() == 0.5  # type: ignore[union-attr]
    for access in (lambda: result.get_tensor(0), result.getOutputsList, result.getOutputsDict):
        with pytest.raises(RuntimeError):
            access()
    assert result.getTensorsSize() == 2


def test_of_two_tensors_with_the_same_name_the_later_is_returned() -> None:
    layers = (layer("x", [1, 1, 1, 1]), layer("x", [1, 1, 1, 1], offset=2, index=1))
    result = result_of(np.array([1, 2], "<f2").tobytes(), *layers, first=2)
    assert result["x"].item() == 2  # type: ignore[union-attr]
    assert list(result.getOutputsDict()) == ["x"]


def test_outputs_are_sorted_by_name_and_listed_by_number() -> None:
    layers = (layer("b", [1, 1, 1, 1]), layer("a", [1, 1, 1, 1], offset=2, index=1))
    result = result_of(np.array([1, 2], "<f2").tobytes(), *layers, first=2)
    assert list(result.getOutputsDict()) == ["a", "b"]
    assert [tensor.item() for tensor in result.getOutputsList()] == [1, 2]
    assert result[True].item() == 2  # type: ignore[union-attr]


def test_layer_without_a_dimension_says_so() -> None:
    flat = layer("flat", [7])
    flat["shape"]["order"] = [1]
    info = result_of(b"", flat, first=1).getOutputLayersInfo()[0]
    assert info.get_dimension(depthai.TensorInfo.Dimension.WIDTH) == 7
    with pytest.raises(RuntimeError, match="no dimension"):
        info.get_dimension(depthai.TensorInfo.Dimension.CHANNEL)
    with pytest.raises(TypeError):
        info.get_dimension(1)
    assert list(info.get_dict()) == [
        "name",
        "order",
        "dimensions",
        "strides",
        "data_type",
        "offset",
        "element_size",
        "index",
    ]
    assert "Width : 7" in repr(info) == str(info)


# -- frames


def test_metadata_reads_the_documented_fields() -> None:
    frame = wire_formats.FrameTrailer(15, 720, 1280, 1281, 1, 2, 1, 42, 3_500_000_000, 921_600)
    metadata = make_metadata(frame)
    assert metadata is not None
    assert metadata.getTimestamp() == 3.5
    assert metadata.getFrameType() == 15
    assert metadata.getFrameWidth() == 1280
    assert metadata.getFrameHeight() == 720
    assert metadata.getStride() == 1281
    assert metadata.getFrameBytesPP() == 1
    assert metadata.getCategory() == 2
    assert metadata.getInstanceNum() == 1
    assert metadata.getSequenceNum() == 42
    assert metadata.getCameraName() == "left"
    assert depthai.FrameMetadata().getSequenceNum() == 0


@pytest.mark.parametrize(
    ("number", "name"), [(0, "rgb"), (1, "left"), (2, "right"), (3, "INVALID_instNo")]
)
def test_camera_name_follows_its_number(number: int, name: str) -> None:
    frame = wire_formats.FrameTrailer(15, 1, 1, 1, 1, 0, number, 0, 0, 1)
    assert make_metadata(frame).getCameraName() == name  # type: ignore[union-attr]


def test_text_ends_at_the_first_zero_and_must_be_utf8() -> None:
    def text(data: bytes) -> str:
        array = np.frombuffer(data, np.uint8)
        return make_packet("meta_d2h", array, None, np.copy, len(data)).getDataAsStr()

    assert text(b'{"a": "\xc2\xb0"}\0rest') == '{"a": "°"}'
    with pytest.raises(UnicodeDecodeError):
        text(b"\xff\xfe")


def tracker_bytes(*rows: tuple[int, ...], count: int | None = None) -> Any:
    table = np.array(list(rows), wire_formats.TRACKLET)
    data = np.frombuffer(bytearray(wire_formats.encode_tracklets(table)), np.uint8)
    if count is not None:
        data[:4] = np.frombuffer(np.int32(count).tobytes(), np.uint8)
    return data


def test_tracked_objects_read_the_documented_record() -> None:
    tracker = read_tracker(tracker_bytes((1, 2, 30, 40, 1 << 40, 15, 1), (5, 6, 7, 8, 2, 3, 2)))
    assert len(tracker) == tracker.getNrTracklets() == 2
    first, second = (tracker.getTracklet(i) for i in range(tracker.getNrTracklets()))
    assert (first.getLeftCoord(), first.getTopCoord()) == (1, 2)
    assert (first.getRightCoord(), first.getBottomCoord()) == (30, 40)
    assert (first.getId(), first.getLabel(), first.getStatus()) == (1 << 40, 15, "TRACKED")
    assert second.getStatus() == "LOST"
    assert [tracklet.getId() for tracklet in tracker] == [1 << 40, 2]
    for index in (2, -1):
        with pytest.raises(IndexError):
            tracker.getTracklet(index)
    with pytest.raises(TypeError):
        tracker.getTracklet(1.0)  # type: ignore[arg-type]
    assert len(depthai.ObjectTracker()) == 0


def test_unknown_status_of_a_tracked_object_is_an_index_error() -> None:
    tracklet = read_tracker(tracker_bytes((1, 2, 3, 4, 0, 0, 7))).getTracklet(0)
    with pytest.raises(IndexError):
        tracklet.getStatus()


@pytest.mark.parametrize(
    "data", [tracker_bytes()[:-1], tracker_bytes(count=21), tracker_bytes(count=-1)]
)
def test_packet_that_holds_no_tracked_objects_is_a_runtime_error(data: Any) -> None:
    packet = make_packet("left", data, None, np.copy, len(data))
    with pytest.raises(RuntimeError):
        packet.getObjectTracker()


# -- common to all classes

_CLOSED = (
    "CNNPipeline Pipeline NNetPacket DataPacket Tracklet TensorInfo Detections Detection "
    "TensorEntryContainer TensorEntry CameraControl"
)


@pytest.mark.parametrize("name", _CLOSED.split())
def test_class_cannot_be_constructed_by_programs(name: str) -> None:
    with pytest.raises(TypeError, match="No constructor"):
        getattr(depthai, name)()


@pytest.mark.parametrize("name", [name for name in depthai.__all__ if name[0].isupper()])
def test_class_belongs_to_the_module_depthai_and_is_documented(name: str) -> None:
    kind = getattr(depthai, name)
    assert kind.__module__ == "depthai"
    assert kind.__doc__


@pytest.mark.parametrize("value", [depthai.FrameMetadata(), depthai.ObjectTracker()])
def test_instances_take_no_attributes(value: Any) -> None:
    with pytest.raises(AttributeError):
        value.anything = 1
    with pytest.raises(TypeError):
        pickle.dumps(value)
    with pytest.raises(TypeError):
        copy.copy(value)


def test_lists_are_lists() -> None:
    for kind in (depthai.NNetPacketList, depthai.DataPacketList):
        assert kind() == []
        assert isinstance(kind(), list)


# -- enumerations

ENUMERATIONS = {
    "AutofocusMode": (5, "AF_MODE_EDOF", 4),
    "CameraControl.CamId": (3, "RIGHT", 2),
    "CameraControl.Command": (35, "CHROMA_DENOISE", 48),
    "TensorInfo.Dimension": (10, "HEIGHT", 2),
}


def kind_of(path: str) -> Any:
    kind: Any = depthai
    for word in path.split("."):
        kind = getattr(kind, word)
    return kind


@pytest.mark.parametrize("path", ENUMERATIONS)
def test_enumeration_behaves_as_the_old_ones(path: str) -> None:
    count, name, number = ENUMERATIONS[path]
    kind = kind_of(path)
    member = getattr(kind, name)
    assert len(kind.__members__) == count
    assert kind.__members__[name] is member
    assert name in vars(kind)
    assert int(member) == hash(member) == number
    assert kind(number) == member
    assert member != number
    assert member != depthai.AutofocusMode.AF_MODE_AUTO
    assert pickle.loads(pickle.dumps(member)) == member
    assert kind.__module__ == "depthai"
    assert kind.__qualname__ == path
    shown = "H" if name == "HEIGHT" else name
    assert member.name == shown
    assert str(member) == repr(member) == f"{path.split('.')[-1]}.{shown}"
    with pytest.raises(TypeError):
        iter(member)
    with pytest.raises(TypeError):
        iter(kind)
    with pytest.raises(TypeError):
        kind("x")


def test_members_with_one_number_are_equal_and_unknown_numbers_are_nameless() -> None:
    dimension = depthai.TensorInfo.Dimension
    assert dimension.N == dimension.B == dimension.BATCH
    assert dimension(99).name == "???"
    assert depthai.AutofocusMode(0) != depthai.CameraControl.CamId(0)


_COMMANDS = (
    "START_STREAM 0 STOP_STREAM 1 REQUEST_STILL 2 MOVE_LENS 3 FOCUS_TRIGGER 4 AE_MANUAL 5 "
    "AE_AUTO 6 SET_AWB_MODE 7 SCENE_MODES 8 ANTIBANDING_MODES 9 EXPOSURE_COMPENSATION 10 "
    "AE_LOCK 12 AE_TARGET_FPS_RANGE 13 AWB_LOCK 15 CAPTURE_INTENT 16 CONTROL_MODE 17 "
    "FRAME_DURATION 20 "
    "SENSITIVITY 22 EFFECT_MODE 23 AF_MODE 25 NOISE_REDUCTION_STRENGTH 26 SATURATION 27 "
    "BRIGHTNESS 30 STREAM_FORMAT 32 CAM_RESOLUTION 33 SHARPNESS 34 CUSTOM_USECASE 39 "
    "CUSTOM_CAPT_MODE 40 CUSTOM_EXP_BRACKETS 41 CUSTOM_CAPTURE 42 CONTRAST 43 AE_REGION 44 "
    "AF_REGION 46 LUMA_DENOISE 47 CHROMA_DENOISE 48"
)
COMMANDS = _COMMANDS.split()


@pytest.mark.parametrize(("name", "number"), list(zip(COMMANDS[::2], COMMANDS[1::2], strict=True)))
def test_camera_command_has_its_documented_number(name: str, number: str) -> None:
    assert int(getattr(depthai.CameraControl.Command, name)) == int(number)


def test_version_passes_the_check_of_the_demo() -> None:
    assert depthai.__version__ == "1.0.0.0+dev"
    assert isinstance(depthai.__dev_version__, str)
