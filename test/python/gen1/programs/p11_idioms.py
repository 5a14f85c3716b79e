"""Lines from programs for all releases; each must work unchanged."""

import json
import sys

import cv2
import depthai
import numpy as np

MODELS = sys.argv[1]

# version check of programs
if not depthai.__version__.endswith("+dev"):
    assert depthai.__version__ == "1.0.0.0"
print(depthai.__file__, depthai.__version__)

# choices for a command line
modes = [name for name in vars(depthai.AutofocusMode) if name.startswith("AF_")]
mode = getattr(depthai.AutofocusMode, modes[0])
assert depthai.AutofocusMode.__members__[modes[0]] == mode

device = depthai.Device("", False)
if not device:
    raise RuntimeError("Error initializing device. Try to reset it.")
device.request_af_mode(mode)  # before the first pipeline
print("Available streams:", device.get_available_streams())

p = device.create_pipeline(
    config={
        "streams": [
            {"name": "depth_raw", "max_fps": 15.0},
            "metaout",
            "previewout",
            "color",
            "left",
            "meta_d2h",
            "object_tracker",
            "disparity_color",
        ],
        "depth": {"calibration_file": "", "padding_factor": 0.3, "depth_limit_m": 10.0},
        "ai": {
            "blob_file": MODELS + "/virtual_ssd.blob",
            "blob_file_config": MODELS + "/mobilenet_ssd.json",
            "calc_dist_to_bb": True,
            "keep_aspect_ratio": True,
            "camera_input": "rgb",
            "shaves": 7,
            "cmx_slices": 7,
            "NN_engines": 1,
        },
        "ot": {"max_tracklets": 20, "confidence_threshold": 0.5},
        "board_config": {"swap_left_and_right_cameras": True, "left_fov_deg": 71.86},
        "camera": {"rgb": {"resolution_h": 1080, "fps": 30.0}},
        "app": {"sync_video_meta_streams": False},
    }
)
if p is None:
    raise RuntimeError("Error initializing pipeline")

nn2depth = device.get_nn_to_depth_bbox_mapping()
detections, frames, tracklets, entries_prev = [], {}, [], []
seen = {}
wanted = {"depth_raw", "previewout", "color", "left", "meta_d2h", "object_tracker"}
while not (wanted <= set(seen) and detections and "disparity_color" in seen):
    nnet_packets, data_packets = p.get_available_nnet_and_data_packets(blocking=True)
    for i, nnet_packet in enumerate(nnet_packets):
        camera = nnet_packet.getMetadata().getCameraName()
        assert camera == "rgb"
        detections = list(nnet_packet.getDetectedObjects())
        for detection in nnet_packet.getDetectedObjects():
            print(json.dumps(detection.get_dict()))
        assert isinstance(nnet_packet.getDetectedObjects(), depthai.Detections)
    for packet in data_packets:
        window_name = packet.stream_name
        seen[window_name] = packet
        packet_data = packet.getData()
        if packet_data is None:
            print("Invalid packet data!")
            continue
        if packet.stream_name not in frames:
            frames[packet.stream_name] = 0
        frames[packet.stream_name] += 1

        if packet.stream_name == "previewout":
            data = packet_data
            data0 = data[0, :, :]
            data1 = data[1, :, :]
            data2 = data[2, :, :]
            frame = cv2.merge([data0, data1, data2])
            assert frame.shape == (300, 300, 3)
            assert (frame == data.transpose(1, 2, 0)).all()
            img_h, img_w = frame.shape[0], frame.shape[1]
            for d in detections:
                pt1 = int(d.x_min * img_w), int(d.y_min * img_h)
                pt2 = int(d.x_max * img_w), int(d.y_max * img_h)
                cv2.rectangle(frame, pt1, pt2, (0, 0, 255))
                cv2.putText(frame, str(d.label), pt1, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 0, 0))
        elif packet.stream_name in ("left", "right"):
            frame_bgr = packet_data
            cv2.putText(frame_bgr, "left", (25, 25), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (0, 0, 0))
            timestamp = packet.getMetadata().getTimestamp()
            assert "%.1f" % (timestamp * 1000)
        elif packet.stream_name.startswith("depth"):
            frame = packet_data
            if len(frame.shape) == 2:
                if frame.dtype == np.uint8:
                    frame = cv2.applyColorMap(frame, cv2.COLORMAP_JET)
                else:
                    frame = 65535 // frame
                    frame = np.uint8(np.clip(frame, 0, 255))
            for d in detections:
                x = nn2depth["off_x"] + d.x_min * nn2depth["max_w"]
                y = nn2depth["off_y"] + d.y_min * nn2depth["max_h"]
                assert 0 <= x < packet_data.shape[1] and 0 <= y < packet_data.shape[0]
        elif packet.stream_name == "color":
            meta = packet.getMetadata()
            w, h = meta.getFrameWidth(), meta.getFrameHeight()
            yuv420p = packet_data.reshape((h * 3 // 2, w))
            bgr = cv2.cvtColor(yuv420p, cv2.COLOR_YUV2BGR_IYUV)
            scale = 2 / 3
            bgr = cv2.resize(bgr, (int(w * scale), int(h * scale)))
            assert bgr.shape == (720, 1280, 3)
        elif packet.stream_name == "meta_d2h":
            str_ = packet.getDataAsStr()
            dict_ = json.loads(str_)
            print(
                "meta_d2h Temp", " CSS:" + "{:6.2f}".format(dict_["sensors"]["temperature"]["css"])
            )
        elif packet.stream_name == "object_tracker":
            tracklets = packet.getObjectTracker()
            for i in range(tracklets.getNrTracklets()):
                t = tracklets.getTracklet(i)
                left, top, right, bottom = (
                    int(t.getLeftCoord()),
                    int(t.getTopCoord()),
                    int(t.getRightCoord()),
                    int(t.getBottomCoord()),
                )
                print(t.getId(), t.getLabel(), t.getStatus(), left, top, right, bottom)

device.request_jpeg()
device.request_af_trigger()
device.send_disparity_confidence_threshold(200)
device.send_camera_control(
    depthai.CameraControl.CamId.RGB, depthai.CameraControl.Command.AE_MANUAL, "20000 800 33333"
)
del p  # in order to stop the pipeline object should be deleted
del device
print("py: DONE.")
