"""A program for the official Gen1 host: runs one session and writes the results to a JSON file.

It runs in a separate Python 3.8 for the official wheel, and does not import this package.
    official_program.py ANSWER.json CONFIG.json
"""

import faulthandler
import hashlib
import json
import sys
import time
from pathlib import Path

import depthai

DEADLINE_S = 30.0


def matrix(read):
    """Result of a calibration getter as plain lists."""
    return [[float(x) for x in row] if hasattr(row, "__len__") else float(row) for row in read()]


MATRICES = [
    "left_intrinsic",
    "right_intrinsic",
    "left_homography",
    "right_homography",
    "rotation",
    "translation",
]


def about_device(device, with_matrices):
    """Properties of the device; with an old EEPROM the matrix getters end the process."""
    matrices = {name: matrix(getattr(device, "get_" + name)) for name in MATRICES * with_matrices}
    return {
        **matrices,
        "streams": list(device.get_available_streams()),
        "mx_id": device.get_mx_id(),
        "is_usb3": device.is_usb3(),
        "is_eeprom_loaded": device.is_eeprom_loaded(),
        "cameras": [
            device.is_rgb_connected(),
            device.is_left_connected(),
            device.is_right_connected(),
        ],
    }


def about_metadata(metadata):
    if metadata is None:
        return None
    return {
        "sequence": metadata.getSequenceNum(),
        "timestamp": metadata.getTimestamp(),
        "width": metadata.getFrameWidth(),
        "height": metadata.getFrameHeight(),
        "stride": metadata.getStride(),
        "bytes_per_pixel": metadata.getFrameBytesPP(),
        "type": metadata.getFrameType(),
        "category": metadata.getCategory(),
        "instance": metadata.getInstanceNum(),
        "camera": metadata.getCameraName(),
    }


def about_packet(packet):
    """One DataPacket: its properties, and a digest of its bytes."""
    data = packet.getData()
    answer = {
        "size": packet.size(),
        "shape": list(data.shape),
        "dtype": str(data.dtype),
        "sha1": hashlib.sha1(data.tobytes()).hexdigest(),
        "metadata": about_metadata(packet.getMetadata()),
    }
    if packet.stream_name == "meta_d2h":
        answer["text"] = packet.getDataAsStr()
    if packet.stream_name == "object_tracker":
        tracker = packet.getObjectTracker()
        answer["tracklets"] = [
            [t.getId(), t.getLabel(), t.getStatus(), t.getLeftCoord(), t.getTopCoord()]
            for t in map(tracker.getTracklet, range(tracker.getNrTracklets()))
        ]
    return answer


def about_nnet(packet):
    """One NNetPacket: detections, or tensors if the device does not decode them."""
    answer = {
        "metadata": about_metadata(packet.getMetadata()),
        "inputs": [dict(info.get_dict()) for info in packet.getInputLayersInfo()],
        "outputs": [dict(info.get_dict()) for info in packet.getOutputLayersInfo()],
        "tensors": packet.getTensorsSize(),
    }
    try:
        answer["detections"] = [dict(d.get_dict()) for d in packet.getDetectedObjects()]
    except RuntimeError:
        answer["shapes"] = [list(tensor.shape) for tensor in packet.getOutputsList()]
    return answer


def send_commands(device):
    device.request_jpeg()
    device.request_af_trigger()
    device.request_af_mode(depthai.AutofocusMode.AF_MODE_AUTO)
    device.send_disparity_confidence_threshold(180)
    control = depthai.CameraControl
    device.send_camera_control(control.CamId.RGB, control.Command.MOVE_LENS, "120")


class Session:
    """Collects packets until every stream has the number of packets in `wanted`."""

    def __init__(self, wanted):
        self.wanted = wanted
        self.count = {}
        self.packets = {}
        self.sequences = {}

    def add(self, stream, describe, packet):
        self.count[stream] = self.count.get(stream, 0) + 1
        metadata = packet.getMetadata()
        if metadata is not None:
            self.sequences.setdefault(stream, []).append(metadata.getSequenceNum())
        kept = self.packets.setdefault(stream, [])
        if len(kept) < 3 or stream == "meta_d2h":
            kept.append(describe(packet))

    def is_complete(self):
        return all(self.count.get(name, 0) >= count for name, count in self.wanted.items())

    def run(self, device, pipeline):
        end_s = time.monotonic() + DEADLINE_S
        next_still_s = 0.0
        while not self.is_complete() and time.monotonic() < end_s:
            if "jpegout" in self.wanted and time.monotonic() > next_still_s:
                device.request_jpeg()
                next_still_s = time.monotonic() + 0.2
            results, packets = pipeline.get_available_nnet_and_data_packets()
            for packet in results:
                self.add("metaout", about_nnet, packet)
            for packet in packets:
                self.add(packet.stream_name, about_packet, packet)
            time.sleep(0.002)


def main():
    answer_file, config_file = sys.argv[1:]
    faulthandler.enable()
    faulthandler.dump_traceback_later(2 * DEADLINE_S, exit=True)
    task = json.loads(Path(config_file).read_text())
    answer = {}

    def save():
        Path(answer_file).write_text(json.dumps(answer, default=str))

    device = depthai.Device("", bool(task.get("usb2")))
    answer["device"] = about_device(device, not task.get("no_matrices"))
    save()
    if "config" in task:
        pipeline = device.create_pipeline(config=task["config"])
        answer["pipeline"] = pipeline is not None
        answer["mapping"] = dict(device.get_nn_to_depth_bbox_mapping())
        save()
        if task.get("commands"):
            send_commands(device)
        if "eeprom" in task:
            device.write_eeprom_data(task["eeprom"])
        session = Session(task["wanted"])
        if pipeline is not None:
            session.run(device, pipeline)
        answer["count"] = session.count
        answer["packets"] = session.packets
        answer["sequences"] = session.sequences
        answer["device_changed"] = device.is_device_changed()
        save()
        del pipeline, session
    del device
    answer["ended"] = True
    save()


main()
