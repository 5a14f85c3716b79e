"""Detections decoded by the device."""

import json
import sys

import depthai

MODELS = sys.argv[1]

device = depthai.Device("", False)
p = device.create_pipeline(
    config={
        "streams": ["previewout", "metaout"],
        "ai": {
            "blob_file": MODELS + "/virtual_ssd.blob",
            "blob_file_config": MODELS + "/mobilenet_ssd.json",
        },
    }
)
if p is None:
    raise RuntimeError("Error initializing pipelne")

KEYS = "label confidence x_min y_min x_max y_max depth_x depth_y depth_z".split()
kept, numbers = [], []
while len(numbers) < 20:
    nnet_packets, data_packets = p.get_available_nnet_and_data_packets()
    for nnet_packet in nnet_packets:
        numbers.append(nnet_packet.getMetadata().getSequenceNum())
        found = nnet_packet.getDetectedObjects()
        assert isinstance(found, depthai.Detections)
        assert found.size == len(found) == len(list(found))
        for detection in found:
            assert list(json.loads(json.dumps(detection.get_dict()))) == KEYS
            assert type(detection.label) is int
            assert type(detection.confidence) is float
            assert 0 < detection.confidence <= 1
            assert detection.x_min < detection.x_max
            assert detection.depth_z == 0.0
        for access in (lambda: nnet_packet.get_tensor(0), nnet_packet.getOutputsList):
            try:
                access()
            except RuntimeError:
                continue
            raise AssertionError("the tensors are not there")
        try:
            found[len(found)]
            nnet_packet.entries()
        except IndexError:
            pass
        else:
            raise AssertionError("there are fewer")
        kept.append(found)
assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
before = [d.get_dict() for found in kept for d in found]
del device, p, nnet_packet, nnet_packets, data_packets, found
assert [d.get_dict() for found in kept for d in found] == before
