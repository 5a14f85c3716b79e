"""The header of a compiled network: sizes, tensors, and files that are none."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from compiled_networks import F16, SSD_OUTPUT, U8, compiled_network
from hypothesis import given
from hypothesis import strategies as st

from depthai_ros.blob_header import BlobHeader, read_blob_header, resource_warning
from depthai_ros.errors import DecodeError
from depthai_ros.virtual.network import Network, read_stage
from depthai_ros.wire_formats import DETECTION

IMAGE = ("data", (1, 3, 48, 64), F16)
SMALL = bytes(compiled_network([IMAGE], [("95", (1, 10, 1, 1), F16)]))


def texts(header: BlobHeader) -> list[str]:
    return [str(tensor) for tensor in (*header.inputs, *header.outputs)]


def test_header_as_seen_in_public_files() -> None:
    def io(name: bytes, dims: list[int], typ: int) -> bytes:
        strides, size = [], 1 if typ else 2
        for dim in dims:
            strides.append(size)
            size *= dim
        start = struct.pack("<3I16s3I", 0, 0, 16, name, typ, 0x4321, 4)
        return start + struct.pack("<8I", *dims, *strides)

    blob = bytearray(4096)
    blob[:4] = b"\x7felf"
    fields = (9709, 4096, 5, 0, 1, 1, 1, 6912, 20, 1, 0, 4, 4, 1, 1, 0, 192, 320, 448, 1024)
    struct.pack_into("<20I", blob, 52, *fields)
    blob[192:264] = io(b"data", [48, 48, 3, 1], 1)
    blob[320:392] = io(b"95", [1, 1, 10, 1], 0)
    header = read_blob_header(bytes(blob))
    assert texts(header) == ["data 1x3x48x48 uint8", "95 1x10x1x1 float16"]
    assert (header.version, header.shaves, header.cmx_slices, header.notes) == (5, 4, 4, ())
    stage = read_stage(bytes(blob))
    assert stage.input_chw == (3, 48, 48)
    assert stage.outputs[0]["shape"]["dimensions"] == [1, 10, 1, 1]
    assert stage.outputs[0]["name"] == "95"


def test_several_entries_follow_one_behind_the_other() -> None:
    inputs = [IMAGE, ("image_info_with_a_long_name", (1, 3), F16)]
    outputs = [SSD_OUTPUT, ("grid", (1, 75, 7, 7), F16), ("sums", (1, 4), U8)]
    header = read_blob_header(bytes(compiled_network(inputs, outputs)))
    assert texts(header)[1] == "image_info_with_a_long_name 1x3 float16"
    assert texts(header)[3:] == ["grid 1x75x7x7 float16", "sums 1x4 uint8"]
    assert header.notes == ()
    orders = [layer["shape"]["order"] for layer in read_stage(SMALL).outputs]
    assert orders == [[4, 3, 2, 1]]


def test_entries_that_do_not_add_up_are_left_out_and_said() -> None:
    blob = bytearray(SMALL)
    struct.pack_into("<I", blob, 52 + 5 * 4, 3)  # three outputs, the table has one
    header = read_blob_header(bytes(blob))
    assert texts(header)[1:] == ["95 1x10x1x1 float16"]
    (note,) = header.notes
    assert "output 1" in note
    assert note.endswith("of 3 outputs the first 1 are used")
    assert read_stage(bytes(blob)).notes == header.notes


def test_network_of_another_version_stands_for_an_ssd_and_is_said() -> None:
    blob = bytes(compiled_network([IMAGE], [SSD_OUTPUT], version=6))
    stage = read_stage(blob)
    assert stage.input_chw == (3, 300, 300)
    assert stage.notes[0].startswith("blob: version is 6;")
    assert stage.notes[0].endswith("it stands for a 300x300 SSD")


def test_grid_of_seven_or_ten_columns_is_no_list_of_detections() -> None:
    stage = read_stage(bytes(compiled_network([IMAGE], [("grid", (1, 75, 7, 7), F16)])))
    payload = Network([stage], {}).payload(np.zeros(0, DETECTION), 0)
    assert np.frombuffer(payload, np.float16).max() > 0.9


@pytest.mark.parametrize(
    ("byte", "value", "words"),
    [
        (0, 0x464C457F, r"begins with b'\\x7fELF', must begin with b'\\x7felf'"),
        (52, 9708, "magic number is 9708, must be 9709"),
        (56, 1023, "the header says 1023 bytes, the file has 1024: download it again"),
        (56, 1 << 31, "the header says 2147483648 bytes"),
        (68, 0, "0 inputs, must be 1 to 64"),
        (72, (1 << 32) - 1, "4294967295 outputs"),
        (116, 1020, "input 0: at byte 1020, the file has 1024"),
        (120, (1 << 32) - 1, "output 0: at byte 4294967295"),
        (192, 1, "input 0: byte 192 has number 1, must be 0"),
        (200, 0, "its name has 0 bytes"),
        (200, 1 << 31, "its name has 2147483648 bytes"),
        (220, 5, "type is 5, must be 0 to 4"),
        (224, 0x4421, "order is 0x4421, must name 4 axes"),
        (224, 0x74321, "order is 0x74321"),
        (228, 0, "0 dimensions, must be 1 to 4"),
        (228, 1 << 31, "2147483648 dimensions"),
        (232, 0, "dimensions are"),
        (232, 1 << 31, "dimensions are"),
    ],
)
def test_file_that_cannot_be_true_is_refused(byte: int, value: int, words: str) -> None:
    blob = bytearray(SMALL)
    struct.pack_into("<I", blob, byte, value)
    with pytest.raises(DecodeError, match=words):
        read_blob_header(bytes(blob))


def test_incomplete_file_is_refused() -> None:
    for size in (0, 3, 4, 52, 123, 124, 1023):
        with pytest.raises(DecodeError, match=r"begins with|download it again"):
            read_blob_header(SMALL[:size])


@given(st.integers(0, 400), st.integers(0, (1 << 32) - 1), st.integers(0, 1030))
def test_every_header_is_read_or_refused(byte: int, value: int, size: int) -> None:
    blob = bytearray(SMALL)
    struct.pack_into("<I", blob, byte, value)
    try:
        stage = read_stage(bytes(blob[:size]))
    except DecodeError:
        return
    json.dumps([stage.outputs, stage.notes], allow_nan=False).encode()


def test_network_for_more_shaves_than_it_gets_is_a_warning() -> None:
    assert resource_warning(SMALL, 4, 4) == ""
    words = "compiled for 4 SHAVEs and 4 CMX slices, it gets 2 and 7"
    assert words in resource_warning(SMALL, 2, 7)
    assert resource_warning(b"{}", 1, 1) == ""
