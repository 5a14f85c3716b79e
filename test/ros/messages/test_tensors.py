"""The raw output of a network reaches subscribers as named arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from contexts import STAMP_NS, build_message, make_picture, make_test_context
from nodes import Listener, StartNode
from numpy.typing import NDArray
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

from depthai_ros.errors import DecodeError
from depthai_ros.msg import NNTensors, Tensor

#: float16, uint8, int32, float32, int8. Source: docs/wire_format.md#tensors
FLOAT16, UINT8, INT32, FLOAT32, INT8 = range(5)


def layer(
    name: Any, code: int, dimensions: list[int], strides: list[int], offset: int = 0, **shape: Any
) -> dict[str, Any]:
    order = [4, 3, 2, 1][-len(dimensions) :]
    described = {"data_type": code, "order": order, "dimensions": dimensions, "strides": strides}
    return {"name": name, "offset": offset, "idx": 0, "shape": {**described, **shape}}


def message_of(layers: list[Any], payload: bytes) -> NNTensors:
    context = make_test_context(tensors=layers)
    message: NNTensors = build_message(
        context, "nn/tensors", make_picture(context, "metaout", payload)
    )
    return message


def values(tensor: Tensor) -> NDArray[Any]:
    """Decoded as the comment in the message file says."""
    return np.frombuffer(tensor.data, tensor.dtype).reshape(tensor.shape)


PAYLOAD = bytes(range(256))

#: type code, dimensions, strides and offset from the device; type and values on the topic
LAYOUTS: list[Any] = [
    (UINT8, [5], [1], 3, "uint8", PAYLOAD[3:8]),
    (INT8, [2, 3], [3, 1], 0, "int8", PAYLOAD[:6]),
    (FLOAT16, [1, 2, 1, 3], [12, 6, 6, 2], 64, "float16", PAYLOAD[64:76]),
    (FLOAT32, [2, 2], [8, 4], 1, "float32", PAYLOAD[1:17]),
    (INT32, [3], [4], 0, "int32", PAYLOAD[:12]),
    # Rows with gaps between them, a column-major image, strides of 0.
    (UINT8, [2, 3], [16, 1], 0, "uint8", PAYLOAD[0:3] + PAYLOAD[16:19]),
    (UINT8, [3, 2], [1, 3], 0, "uint8", bytes([0, 3, 1, 4, 2, 5])),
    (UINT8, [4], [0], 7, "uint8", bytes([7] * 4)),
]


@pytest.mark.parametrize("case", LAYOUTS, ids=lambda case: f"{case[4]} {case[1]} by {case[2]}")
def test_tensor_holds_the_devices_numbers_without_its_gaps(case: Any) -> None:
    code, dimensions, strides, offset, dtype, expected = case
    message = message_of([layer("out", code, dimensions, strides, offset)], PAYLOAD)
    (tensor,) = message.tensors
    assert (tensor.name, tensor.dtype, list(tensor.shape)) == ("out", dtype, dimensions)
    assert values(tensor).tobytes() == expected
    assert tensor.axes == "NCHW"[-len(dimensions) :]


def test_tensors_stand_in_the_networks_order_whatever_their_size() -> None:
    layers = [layer(f"layer {size}", UINT8, [size], [1], size) for size in (1, 2, 3, 4, 5, 30)]
    message = message_of(layers, PAYLOAD)
    found = {tensor.name: values(tensor).tolist() for tensor in message.tensors}
    assert found == {f"layer {n}": list(range(n, 2 * n)) for n in (1, 2, 3, 4, 5, 30)}
    assert message.header.frame_id == "oak_rgb_camera_optical_frame"
    assert message.header.stamp.sec * 10**9 + message.header.stamp.nanosec == STAMP_NS


def test_network_without_outputs_is_an_empty_message() -> None:
    assert message_of([], PAYLOAD).tensors == []


#: Axis codes of the device, and the letters in the message.
ORDERS: list[tuple[Any, str]] = [
    ([4, 2], "NH"),
    ([3, 9], "C?"),
    ([[], {}], "??"),
    ([4], ""),
    ("NH", ""),
    (None, ""),
]


@pytest.mark.parametrize(("order", "axes"), ORDERS)
def test_axes_have_the_letters_of_the_devices_codes(order: Any, axes: str) -> None:
    (tensor,) = message_of([layer("out", UINT8, [1, 2], [2, 1], order=order)], PAYLOAD).tensors
    assert tensor.axes == axes


@pytest.mark.parametrize(
    ("name", "shown"), [("größer", "größer"), ("a\0b", "ab"), ("\ud800", "?"), (5, "5"), ("", "")]
)
def test_layer_name_is_valid_text_for_every_name_of_the_device(name: Any, shown: str) -> None:
    (tensor,) = message_of([layer(name, UINT8, [1], [1])], PAYLOAD).tensors
    assert tensor.name == shown


#: malformed layers, part of the error
LIES: list[tuple[list[Any], str]] = [
    ([layer("out", UINT8, [257], [1])], "ends at byte 257, the payload has 256 bytes"),
    ([layer("out", UINT8, [2], [1], offset=255)], "ends at byte 257"),
    ([layer("out", UINT8, [2], [-1], offset=9)], "ends at byte"),
    ([layer("out", UINT8, [1], [1], offset=-1)], "ends at byte"),
    ([layer("out", UINT8, [0], [1])], "ends at byte"),
    ([layer("out", UINT8, [257], [0])], "tensors have 257 bytes, the payload has 256"),
    ([layer("out", UINT8, [1 << 40], [0])], "tensors have 1099511627776 bytes"),
    ([layer("out", UINT8, [1 << 80], [0])], "tensor 'out' has more axes or elements than"),
    ([layer("out", UINT8, [1] * 100, [1] * 100)], "tensor 'out' has more axes or elements than"),
    ([layer("out", UINT8, [129], [1]), layer("two", UINT8, [128], [1])], "tensors have 257 bytes"),
    ([layer("out", 5, [1], [1])], "missing or of a wrong type"),
    ([layer("out", UINT8, [1, 1], [1])], "2 dimensions and 1 strides"),
    ([layer("x" * 256, UINT8, [1], [1])], "name has 256 characters, at most 255"),
    ([{"name": "out"}], "'out'}: name, offset or shape is missing or of a wrong type"),
    (["out"], "tensor 'out': name, offset or shape is missing or of a wrong type"),
]


@pytest.mark.parametrize("case", LIES, ids=lambda case: case[1])
def test_layer_that_is_not_in_the_payload_is_refused(case: Any) -> None:
    layers, words = case
    with pytest.raises(DecodeError, match=words):
        message_of(layers, PAYLOAD)


def test_refused_payload_leaves_nothing_behind() -> None:
    context = make_test_context(tensors=[layer("out", UINT8, [16], [1])])
    for payload, works in ((b"short", False), (PAYLOAD, True), (b"short", False), (PAYLOAD, True)):
        packet = make_picture(context, "metaout", payload)
        if works:
            (tensor,) = build_message(context, "nn/tensors", packet).tensors
            assert bytes(tensor.data) == PAYLOAD[:16]
        else:
            with pytest.raises(DecodeError):
                build_message(context, "nn/tensors", packet)


# -- through a node and the virtual device's networks

MODELS = "package://depthai_ros/config/models"
DETECTOR = {
    "ai.blob_file": f"{MODELS}/virtual_ssd.blob",
    "ai.blob_file_config": f"{MODELS}/mobilenet_ssd.json",
}
AGES = f"{MODELS}/virtual_age_gender.blob"
QUIET: dict[str, Any] = {
    "device.id": "virtual:pattern",
    "stream_list": ["metaout", "previewout"],
    "camera.rgb.fps": 10.0,
}


def assert_ages(message: NNTensors) -> None:
    """The constant output of config/models/virtual_age_gender.blob."""
    age, gender = message.tensors
    assert (age.name, age.dtype, list(age.shape)) == ("age_conv3", "float16", [1, 1, 1, 1])
    assert (gender.name, gender.axes, list(gender.shape)) == ("prob", "NCHW", [1, 2, 1, 1])
    np.testing.assert_array_equal(values(age).ravel(), np.array([0.31], np.float16))
    np.testing.assert_array_equal(values(gender).ravel(), np.array([0.02, 0.98], np.float16))


def test_output_of_a_network_without_decoder_arrives_as_sent(
    start_node: StartNode, listener: Listener
) -> None:
    node = start_node({**QUIET, "ai.blob_file": AGES})
    listener.subscribe(NNTensors, "nn/tensors")
    listener.subscribe(Image, "rgb/preview/image_raw")
    listener.wait_for("nn/tensors", "rgb/preview/image_raw", count=5)
    for message in listener.messages("nn/tensors"):
        assert_ages(message)
    images = {str(row.header) for row in listener.messages("rgb/preview/image_raw")}
    assert images & {str(row.header) for row in listener.messages("nn/tensors")}
    assert {name for name in listener.topics() if name.startswith("nn/")} == {"nn/tensors"}
    assert node.stop() == 0
    assert "Traceback" not in node.output


def test_second_network_has_the_topic_beside_the_detections_of_the_first(
    start_node: StartNode, listener: Listener
) -> None:
    node = start_node({**QUIET, **DETECTOR, "ai.blob_file2": AGES})
    listener.subscribe(NNTensors, "nn/tensors")
    listener.subscribe(Detection2DArray, "nn/detections")
    listener.wait_for("nn/tensors", "nn/detections", count=3)
    assert_ages(listener.messages("nn/tensors")[-1])
    (found,) = listener.messages("nn/detections")[-1].detections
    assert found.results[0].hypothesis.class_id == "person"
    assert node.stop() == 0


def test_detector_alone_announces_no_tensors(start_node: StartNode, listener: Listener) -> None:
    node = start_node({**QUIET, **DETECTOR})
    node.wait_for_output("streaming")
    listener.wait_until(lambda: "nn/detections" in listener.topics(), "the topics")
    assert "nn/tensors" not in listener.topics()
    assert node.stop() == 0
