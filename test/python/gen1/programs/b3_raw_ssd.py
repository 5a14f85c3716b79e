"""The list of 200 detections of a network of 300x300, read as a tensor."""

import os
import sys

import depthai

device = depthai.Device("", False)
p = device.create_pipeline(
    config={
        "streams": ["metaout"],
        "ai": {"blob_file": os.path.join(sys.argv[1], "ssd.blob"), "shaves": 2, "cmx_slices": 2},
    }
)
found = None
while found is None or not len(found):
    for packet in p.get_available_nnet_and_data_packets(True)[0]:
        (info,) = packet.getOutputsList()
        assert info.shape == (1, 1, 200, 7)
        rows = packet.getOutputsDict()["detection_out"][0, 0]
        found = rows[: list(rows[:, 0]).index(-1)]
assert (found[:, 2] > 0.5).all()
assert (found[:, 3] < found[:, 5]).all()
