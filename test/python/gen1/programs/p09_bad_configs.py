"""Values out of range give None, values of a wrong type raise an exception."""

import sys

import depthai

BLOB = sys.argv[1] + "/virtual_ssd.blob"
device = depthai.Device("", False)

NONE = [
    {"ai": {"shaves": 17}},
    {"ai": {"shaves": 0}},
    {"ai": {"shaves": 8, "cmx_slices": 7}},
    {"ai": {"cmx_slices": 20}},
    {"ai": {"NN_engines": 3}},
    {"depth": {"padding_factor": 2}},
    {"depth": {"median_kernel_size": 4}},
    {"depth": {"confidence_threshold": 1.5}},
    {"camera": {"mono": {"resolution_h": 480, "fps": 30}}},
    {"camera": {"rgb": {"resolution_h": 720, "fps": 30}}},
    {"ot": {"max_tracklets": 21}},
    {"ot": {"confidence_threshold": -0.1}},
    {"streams": ["nosuch"]},
    {"streams": ["metaout"], "ai": {"blob_file": "/no/such/file.blob"}},
    {"streams": ["metaout"], "ai": {"blob_file": BLOB, "shaves": 15, "cmx_slices": 15}},
    {"board_config": {"override_eeprom": True}, "depth": {"calibration_file": "/no/such/file"}},
]
ERROR = [
    {"camera": {"rgb": {}}},
    {"camera": {"mono": {"fps": 30}}},
    {"streams": [{"max_fps": 3}]},
    {"streams": [3]},
    {"streams": 3},
    {"depth": {"lr_check": "yes"}},
    {"depth": 1},
    {"ai": {"blob_file": 7}},
    {"ai": {"shaves": "7"}},
]
for config in NONE:
    assert device.create_pipeline(config) is None, config
    try:
        device.get_pipeline()
    except RuntimeError:
        continue
    raise AssertionError("there is no pipeline")
for config in ERROR:
    try:
        device.create_pipeline(config)
    except RuntimeError:
        continue
    raise AssertionError(config)
for config in ([1], None, "left"):
    try:
        device.create_pipeline(config)
    except TypeError:
        continue
    raise AssertionError(config)

p = device.create_pipeline({"streams": ["right", "left"], "meta": 1, "app": {"enable_imu": True}})
assert device.get_pipeline() is p
names = set()
while names != {"left", "right"}:
    names |= {packet.stream_name for packet in p.get_available_data_packets(blocking=True)}
