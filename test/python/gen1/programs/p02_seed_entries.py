"""Detections by property name with an older blob configuration."""

import sys

import depthai
import numpy as np

MODELS = sys.argv[1]

assert depthai.init_device("./depthai.cmd")
p = depthai.create_pipeline(
    {
        "streams": ["metaout", "previewout"],
        "ai": {
            "blob_file": MODELS + "/virtual_ssd.blob",
            "blob_file_config": MODELS + "/mobilenet_ssd_entries.json",
        },
        "camera": {"rgb": {"resolution_h": 1080, "fps": 60}},
    }
)
entries_prev, seen = [], 0
first = None
while seen < 130:
    nnet_packets, data_packets = p.get_available_nnet_and_data_packets(blocking=True)
    for nnet_packet in nnet_packets:
        seen += 1
        assert len(nnet_packet.entries()) == 100
        if entries_prev:
            continue
        for e in nnet_packet.entries():
            if e[0]["id"] == -1.0 or e[0]["confidence"] == 0.0:
                break
            assert e[0][1] == e[0]["label"]
            assert len(e[0]) == 7
            assert all(type(value) is float for value in e[0])
            entries_prev.append(e[0])
        first = [list(e) for e in entries_prev]
        for tensor in (nnet_packet.get_tensor("out"), nnet_packet.get_tensor(0)):
            assert tensor.dtype == np.uint8
            assert len(tensor) >= 1400
            assert tensor.ndim == 1
            tensor.dtype = np.float16
            assert tensor[1] == first[0][1]
        assert nnet_packet.get_tensor("nope") is None
    for packet in data_packets:
        assert packet.stream_name == "previewout"

assert entries_prev
assert [list(e) for e in entries_prev] == first
assert entries_prev[0]["label"].is_integer()
