"""Open, stream the preview, close: the smallest program."""

import sys
import time

import depthai
import numpy as np

MODELS = sys.argv[1]

assert depthai.init_device("/any/path.cmd") is True
p = depthai.create_pipeline(
    config={
        "streams": ["previewout"],
        "ai": {
            "blob_file": MODELS + "/virtual_ssd.blob",
            "blob_file_config": MODELS + "/mobilenet_ssd_entries.json",
        },
    }
)
if p is None:
    raise RuntimeError("Error initializing pipeline")
assert isinstance(p, depthai.CNNPipeline)

end = time.time() + 10
packets = []
while len(packets) < 3:
    assert time.time() < end
    for packet in p.get_available_data_packets():
        packets.append(packet)
        assert isinstance(packet, depthai.DataPacket)
        assert packet.stream_name == "previewout"
        assert packet.size() == 270000
        data = packet.getData()
        assert data.shape == (3, 300, 300)
        assert data.dtype == np.uint8
        data[0, :, :] = 7  # programs draw into it
        assert (packet.getData()[0] != 7).any()

assert depthai.deinit_device() is True
assert depthai.deinit_device() is True
assert p.get_available_data_packets() == []
assert packets[0].getData().shape == (3, 300, 300)
