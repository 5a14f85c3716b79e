"""Encoded video, stills, temperatures, a slow program, and threads."""

import json
import sys
import threading
import time

import av
import depthai

BLOB = sys.argv[1] + "/virtual_ssd.blob"
ZERO = {"max_h": 0, "max_w": 0, "off_x": 0, "off_y": 0}
device = depthai.Device("", False)
assert device.get_nn_to_depth_bbox_mapping() == ZERO
device.request_jpeg()
device.request_af_trigger()
device.send_disparity_confidence_threshold(200)
p = device.create_pipeline(
    {"streams": ["video", "jpegout", "meta_d2h", "left"], "ai": {"blob_file": BLOB}}
)
mapping = device.get_nn_to_depth_bbox_mapping()
assert list(mapping) == sorted(mapping) and all(mapping.values()), mapping


def collect(wanted, deadline_s=10.0):
    """Collect packets by stream until `wanted` is true."""
    found = {"video": [], "jpegout": [], "meta_d2h": [], "left": []}
    end = time.time() + deadline_s
    while not wanted(found):
        assert time.time() < end, {name: len(packets) for name, packets in found.items()}
        for packet in p.get_available_data_packets(True):
            found[packet.stream_name].append(packet)
    return found


found = collect(lambda found: len(found["video"]) >= 20 and found["meta_d2h"])
assert not found["jpegout"]
decoder = av.CodecContext.create("h264", "r")
chunks = b"".join(packet.getData().tobytes() for packet in found["video"])
frames = [frame for packet in decoder.parse(chunks) for frame in decoder.decode(packet)]
assert frames and frames[0].width == 1920
temperature = json.loads(found["meta_d2h"][0].getDataAsStr())["sensors"]["temperature"]
assert {"css", "mss", "upa0", "upa1"} <= set(temperature)
assert found["meta_d2h"][0].getMetadata() is None

device.request_jpeg()
found = collect(lambda found: found["jpegout"] and len(found["left"]) > 20)
assert len(found["jpegout"]) == 1
jpeg = found["jpegout"][0].getData().tobytes()
assert jpeg[:2] == b"\xff\xd8" and jpeg[-2:] == b"\xff\xd9"

time.sleep(2)
late = p.get_available_data_packets()
assert 25 <= len(late) <= 30
newest = late[-1]
assert p.get_available_data_packets(True)[0] is not newest

turns, results = 0, []
quiet = device.create_pipeline({"streams": ["jpegout"]})
reader = threading.Thread(target=lambda: results.append(quiet.get_available_data_packets(True)))
reader.start()
for _ in range(1000):
    turns += 1
assert reader.is_alive()
device.request_jpeg()
reader.join(5)
assert [packet.stream_name for packet in results[0]] == ["jpegout"]
assert p.get_available_data_packets(True) == []  # the first pipeline has ended
