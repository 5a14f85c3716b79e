"""Ten numbers of a network of 48x48, read without a description."""

import os
import sys

import depthai
import numpy as np

assert depthai.init_device("./depthai.cmd")
p = depthai.create_pipeline(
    {
        "streams": ["metaout", "previewout"],
        "ai": {"blob_file": os.path.join(sys.argv[1], "landmarks.blob")},
    }
)
assert p is not None
points, faces = None, []
while points is None or not faces:
    nnet_packets, data_packets = p.get_available_nnet_and_data_packets(True)
    for packet in nnet_packets:
        assert packet.get_tensor(0).shape == (1, 10, 1, 1)
        points = packet.get_tensor("95").reshape(5, 2) * 48
    faces += [packet.getData() for packet in data_packets]
assert faces[0].shape == (3, 48, 48)
assert np.isfinite(points).all() and 0 <= points.min() <= points.max() < 48
