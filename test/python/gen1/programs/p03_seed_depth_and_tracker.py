"""Distances, tracked objects, and depth with its old stream name."""

import sys
import time

import depthai
import numpy as np

MODELS = sys.argv[1]
COLORS = {(0, 0, 0)}
COLORS |= {(100 + 10 * k, 0, 0) for k in range(1, 16)}
COLORS |= {(255, 10 * (k - 16), 0) for k in range(16, 42)}
COLORS |= {(255 - 10 * (k - 42), 255, 10 * (k - 42)) for k in range(42, 68)}
COLORS |= {(0, 255 - 10 * (k - 67), 255) for k in range(68, 93)}
COLORS |= {(0, 0, 255 - 10 * (k - 92)) for k in range(93, 96)}
CODES = {blue | green << 8 | red << 16 for blue, green, red in COLORS}

assert depthai.init_device("./depthai.cmd")
p = depthai.create_pipeline(
    config={
        "streams": [
            "metaout",
            "previewout",
            {"name": "depth_raw", "max_fps": 12.0},
            "object_tracker",
            "disparity_color",
        ],
        "depth": {
            "calibration_file": "/no/such/file.calib",
            "padding_factor": 0.3,
            "depth_limit_m": 10.0,
            "confidence_threshold": 0.5,
        },
        "ai": {
            "blob_file": MODELS + "/virtual_ssd.blob",
            "blob_file_config": MODELS + "/mobilenet_ssd_depth_entries.json",
            "calc_dist_to_bb": True,
        },
        "ot": {"max_tracklets": 20, "confidence_threshold": 0.5},
    }
)
assert p is not None
near, tracked, depth_times, colored = 0, 0, [], 0
end = time.time() + 15
while not (near and tracked and len(depth_times) >= 6 and colored):
    assert time.time() < end, (near, tracked, len(depth_times), colored)
    nnet_packets, data_packets = p.get_available_nnet_and_data_packets(True)
    for nnet_packet in nnet_packets:
        assert len(nnet_packet.get_tensor(0)) == 2000
        for e in nnet_packet.entries():
            if e[0]["id"] == -1.0:
                break
            if e[0]["confidence"] > 0.5:
                near += e[0]["distance_z"] > 0
    for packet in data_packets:
        if packet.stream_name == "depth_raw":
            depth = packet.getData()
            assert depth.shape == (720, 1280)
            assert depth.dtype == np.uint16
            assert depth.min() > 0
            depth_times.append(packet.getMetadata().getTimestamp())
        elif packet.stream_name == "disparity_color" and not colored:
            color = packet.getData()
            assert color.shape == (720, 1280, 3)
            weights = np.array([1, 1 << 8, 1 << 16])
            assert set(np.unique(color.astype(np.int64) @ weights).tolist()) <= CODES
            assert packet.getMetadata().getFrameBytesPP() == 3
            assert packet.size() == color.size
            colored += 1
        elif packet.stream_name == "object_tracker":
            tracker = packet.getObjectTracker()
            for i in range(tracker.getNrTracklets()):
                t = tracker.getTracklet(i)
                assert 0 <= t.getLeftCoord() <= t.getRightCoord() <= 300
                assert 0 <= t.getTopCoord() <= t.getBottomCoord() <= 300
                assert t.getStatus() in ("NEW", "TRACKED", "LOST")
                assert t.getId() >= 0 and t.getLabel() >= 0
                tracked += 1
assert len(depth_times) - 1 < 12.0 * (depth_times[-1] - depth_times[0]) + 1.0  # max_fps
