"""Faces of a network of 544x320, decoded by the older description and drawn into its preview."""

import json
import os
import sys

import depthai

FOLDER = sys.argv[1]
NAMES = ["id", "label", "confidence", "left", "top", "right", "bottom"]
DESCRIPTION = {
    "tensors": [
        {
            "output_tensor_name": "out",
            "output_dimensions": [1, 1, 200, 7],
            "output_entry_iteration_index": 2,
            "output_properties_dimensions": [3],
            "property_key_mapping": [[], [], [], NAMES],
            "output_properties_type": "f16",
        }
    ]
}
with open(os.path.join(FOLDER, "faces.json"), "w") as file:
    json.dump(DESCRIPTION, file)
device = depthai.Device("", False)
p = device.create_pipeline(
    config={
        "streams": ["previewout", "metaout"],
        "ai": {
            "blob_file": os.path.join(FOLDER, "faces.blob"),
            "blob_file_config": os.path.join(FOLDER, "faces.json"),
            "shaves": 7,
            "cmx_slices": 7,
        },
    }
)
assert p is not None
boxes, frame = [], None
while not boxes or frame is None:
    nnet_packets, data_packets = p.get_available_nnet_and_data_packets()
    for nnet_packet in nnet_packets:
        for e in nnet_packet.entries():
            if e[0]["id"] == -1.0 or e[0]["confidence"] == 0.0:
                break
            if e[0]["confidence"] > 0.5:
                boxes.append([e[0][name] for name in NAMES[3:]])
    for packet in data_packets:
        if packet.stream_name == "previewout":
            planes = packet.getData()
            frame = planes.transpose(1, 2, 0)
assert frame.shape == (320, 544, 3), frame.shape
left, top, right, bottom = boxes[0]
assert frame[int(top * 320) : int(bottom * 320), int(left * 544) : int(right * 544)].size
