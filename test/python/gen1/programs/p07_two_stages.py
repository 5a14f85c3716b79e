"""Two networks, two cameras."""

import sys

import depthai

MODELS = sys.argv[1]
device = depthai.Device("", False)
p = device.create_pipeline(
    config={
        "streams": ["metaout", "previewout"],
        "ai": {
            "blob_file": MODELS + "/virtual_ssd.blob",
            "blob_file_config": MODELS + "/mobilenet_ssd.json",
            "blob_file2": MODELS + "/virtual_age_gender.blob",
            "blob_file_config2": MODELS + "/age_gender_entries.json",
            "calc_dist_to_bb": False,
            "keep_aspect_ratio": True,
            "camera_input": "left_right",
            "shaves": 14,
            "cmx_slices": 14,
            "NN_engines": 2,
        },
    }
)
cameras, previews = {}, set()
while set(cameras) != {"left", "right"} or previews != {"left", "right"}:
    nnet_packets, data_packets = p.get_available_nnet_and_data_packets(True)
    assert len(nnet_packets) + len(data_packets) >= 1
    for nnet_packet in nnet_packets:
        cameras[nnet_packet.getMetadata().getCameraName()] = nnet_packet
    previews |= {packet.getMetadata().getCameraName() for packet in data_packets}
for nnet_packet in cameras.values():
    for _ in nnet_packet.getDetectedObjects():
        pass
    assert nnet_packet.getTensorsSize() == 3
    assert nnet_packet.get_tensor(1).shape == (1, 1, 1, 1)
    assert nnet_packet["prob"].shape == (1, 2, 1, 1)
    assert len(nnet_packet.getInputLayersInfo()) == 2
    try:
        nnet_packet.get_tensor(0)
    except RuntimeError:
        continue
    raise AssertionError("the device decodes the first network")
