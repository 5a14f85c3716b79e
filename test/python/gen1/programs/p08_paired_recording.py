"""Images of one exposure on four streams, encoded by forked children."""

import argparse
import multiprocessing
import os
import sys
import time

import cv2
import depthai

parser = argparse.ArgumentParser()
modes = [name for name in vars(depthai.AutofocusMode) if name.startswith("AF_")]
parser.add_argument("-af", choices=modes, default="AF_MODE_AUTO")
parser.add_argument("models")
args = parser.parse_args()


def encode(queue, done):
    """Child process: encodes images and must not access the device."""
    assert p.get_available_data_packets(True) == []
    assert depthai.deinit_device()
    device.request_jpeg()
    while (image := queue.get()) is not None:
        assert cv2.imencode(".png", image)[0]
        done.put(image.shape)


device = depthai.Device("", False)
device.request_af_mode(getattr(depthai.AutofocusMode, args.af))
p = device.create_pipeline(
    config={
        "streams": ["left", "right", {"name": "color", "max_fps": 15}, "disparity_color"],
        "ai": {"blob_file": os.path.join(args.models, "virtual_ssd.blob")},
        "camera": {
            "mono": {"resolution_h": 720, "fps": 15},
            "rgb": {"resolution_h": 1080, "fps": 15},
        },
        "app": {"sync_sequence_numbers": True},
    }
)
fork = multiprocessing.get_context("fork")
queue, done = fork.Queue(), fork.Queue()
child = fork.Process(target=encode, args=(queue, done))
child.start()

groups, complete = {}, None
end = time.time() + 20
while complete is None:
    assert time.time() < end, {number: set(group) for number, group in groups.items()}
    for packet in p.get_available_data_packets():
        number = packet.getMetadata().getSequenceNum()
        group = groups.setdefault(number, {})
        group[packet.stream_name] = packet
        if len(group) == 4:
            complete = group
meta = complete["color"].getMetadata()
w, h = meta.getFrameWidth(), meta.getFrameHeight()
yuv = complete["color"].getData().reshape((h * 3 // 2, w))
bgr = cv2.cvtColor(yuv, cv2.COLOR_YUV2BGR_IYUV)
assert bgr.shape == (1080, 1920, 3)
left, right = complete["left"].getMetadata(), complete["right"].getMetadata()
assert abs(left.getTimestamp() - right.getTimestamp()) < 0.001
assert left.getFrameType() == 15 and left.getStride() == 1280 and left.getFrameBytesPP() == 1
assert (left.getInstanceNum(), right.getInstanceNum(), meta.getInstanceNum()) == (1, 2, 0)
assert left.getCategory() == 0
for name in ("left", "right", "disparity_color"):
    queue.put(complete[name].getData())
queue.put(None)
assert [done.get(timeout=10) for _ in range(3)] == [(720, 1280), (720, 1280), (720, 1280, 3)]
child.join(10)
assert child.exitcode == 0

pid = os.fork()
if pid == 0:  # a child that exits normally and destroys its copies of the objects
    del p, device
    sys.exit(0)
assert os.waitpid(pid, 0)[1] == 0
assert p.get_available_data_packets(blocking=True)  # the parent's pipeline still works
del p
del device
