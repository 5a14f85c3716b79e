"""Sessions of the official Gen1 module and ours, with the questions of each."""

from __future__ import annotations

from typing import Any

import gen1_questions as ask
from gen1_configurations import CONFIGURATIONS

MODELS = "config/models/"
NETWORK = {
    "blob_file": MODELS + "virtual_ssd.blob",
    "blob_file_config": MODELS + "mobilenet_ssd.json",
}
CAMERAS = {
    "rgb": {"resolution_h": 1080, "fps": 8.0},
    "mono": {"resolution_h": 720, "fps": 8.0},
}

BOARD = {
    "clear-eeprom": False,
    "store-to-eeprom": True,
    "override-eeprom": False,
    "swap-left-and-right-cameras": True,
    "left_fov_deg": 71.5,
    "rgb_fov_deg": 68.75,
    "left_to_right_distance_m": 0.0625,
    "left_to_rgb_distance_m": 0.03125,
    "name": "TEST",
    "stereo_center_crop": True,
    "revision": "R0",
}
EEPROM = {
    "board": BOARD,
    "_board": {"calib_data": [0.5] * 111, "mesh_left": [0.0], "mesh_right": [0.0]},
}
WRITING = (f"device.write_eeprom_data({EEPROM})", "device.write_eeprom_data([])")

_PAINTED = ("left", "right", "rectified_left", "rectified_right", "depth", "color", "previewout")
_ALL = (*_PAINTED[:-1], "metaout", "previewout", "object_tracker", "video", "jpegout", "meta_d2h")
_AI_TWO = {
    **NETWORK,
    "blob_file2": MODELS + "virtual_age_gender.blob",
    "camera_input": "left_right",
    "NN_engines": 2,
    "shaves": 14,
    "cmx_slices": 14,
}
#: Every key that a program can set, with a value other than its default.
EVERY_KEY = {
    "streams": [{"name": "right", "max_fps": 7.5}, "meta_d2h", {"name": "depth", "max_fps": 12}],
    "depth": {
        "padding_factor": 0.5,
        "depth_limit_m": 4.5,
        "median_kernel_size": 3,
        "lr_check": True,
        "warp_rectify": {"mirror_frame": False, "edge_fill_color": 7, "use_mesh": True},
    },
    "ai": {"keep_aspect_ratio": False, "shaves": 5, "cmx_slices": 6, "NN_engines": 2},
    "ot": {"max_tracklets": 5, "confidence_threshold": 0.25},
    "board_config": {
        "swap_left_and_right_cameras": True,
        "left_fov_deg": 71.5,
        "rgb_fov_deg": 68.75,
        "left_to_right_distance_cm": 6.25,
        "left_to_rgb_distance_cm": 3.125,
        "override_eeprom": True,
        "stereo_center_crop": True,
        "name": "NAME",
        "revision": "R1",
    },
    "camera": {
        "rgb": {"resolution_h": 2160, "fps": 12.5},
        "mono": {"resolution_h": 400, "fps": 25.0},
    },
    "video_config": {
        "rateCtrlMode": "VBR",
        "profile": "H265_MAIN",
        "bitrate": 1000000,
        "maxBitrate": 2000000,
        "keyframeFrequency": 15,
        "numBFrames": 1,
        "quality": 90,
    },
    "app": {
        "sync_video_meta_streams": True,
        "sync_sequence_numbers": True,
        "enable_reconfig": True,
        "usb_chunk_KiB": 32,
    },
}

#: Session -> task of program.py; `scene` replaces the pattern of the virtual device.
SESSIONS: dict[str, dict[str, Any]] = {
    "every stream": {
        "device": ["", False],
        "config": {
            "streams": [*_ALL],
            "camera": CAMERAS,
            "ai": {**NETWORK, "calc_dist_to_bb": True},
        },
        "wanted": {**dict.fromkeys(_ALL, 12), "jpegout": 0, "meta_d2h": 0},
        "opened": ask.OPENED,
        "ended": (
            *ask.frame_questions(*_PAINTED, "object_tracker"),
            *ask.bytes_questions("video", "jpegout"),
            *ask.ARRAYS,
            *ask.RESULTS,
            *ask.DETECTIONS,
            *ask.RUNNING,
        ),
        "left": ask.LEFT,
    },
    "raw tensors": {
        "device": ["", 2],
        "config": {
            "streams": ["disparity_color", "metaout", "previewout", {"name": "left", "max_fps": 5}],
            "camera": CAMERAS,
            "ai": {"blob_file": NETWORK["blob_file"]},
            "app": {"sync_video_meta_streams": True, "sync_sequence_numbers": True},
        },
        "wanted": dict.fromkeys(("disparity_color", "metaout", "previewout", "left"), 12),
        "ended": (
            *ask.frame_questions("disparity_color", "previewout", "left"),
            *ask.RESULTS,
            "streams_of(pipeline)",
        ),
    },
    "two networks": {
        "device": [],
        "config": {
            "streams": ["metaout", "previewout"],
            "camera": {**CAMERAS, "mono": {"resolution_h": 400, "fps": 8.0}},
            "ai": _AI_TWO,
        },
        "wanted": dict.fromkeys(("metaout", "previewout"), 12),
        "ended": (*ask.RESULTS, "metaout.get_tensor(1)", "metaout.get_tensor('prob')"),
    },
    "disparity and its colours": {
        "device": ["", False],
        "config": {"streams": ["disparity", "disparity_color"], "camera": CAMERAS},
        "wanted": dict.fromkeys(("disparity", "disparity_color"), 12),
        "ended": ask.frame_questions("disparity", "disparity_color"),
    },
    "commands": {
        "device": ["", False],
        "config": {"streams": ["meta_d2h"]},
        "started": ask.COMMANDS,
    },
    "every key": {"device": ["", False], "config": EVERY_KEY},
    "memory": {
        "scene": "pattern",
        "device": ["", False],
        "config": {"streams": ["meta_d2h"]},
        "started": WRITING,
    },
    "old memory": {
        "scene": "pattern?eeprom=3",
        "device": ["", False],
        "opened": ("device.is_eeprom_loaded()", "device.get_right_homography()"),
    },
    "configurations": {"configs": CONFIGURATIONS},
}

#: Question that may end the official module's process -> its session.
ENDING: dict[str, dict[str, Any]] = {
    question: {
        "scene": "pattern?eeprom=3",
        "device": ["", False],
        "opened": (question,),
    }
    for question in ("device.get_left_intrinsic()", "device.get_rotation()")
}

#: Session -> question for our module only -> why the official module cannot be asked.
UNDEFINED: dict[str, dict[str, str]] = {
    "every stream": {
        "object_tracker.getObjectTracker().getTracklet(-1)": "undefined: reads other memory",
        "object_tracker.getObjectTracker().getTracklet(20)": "undefined: reads other memory",
        "metaout.getDetectedObjects()[-1]": "undefined: reads other memory",
        "metaout.getDetectedObjects()[1]": "undefined: reads other memory",
        "metaout.getDetectedObjects()[100]": "undefined: reads other memory",
        "left.getObjectTracker()": "undefined: reads other memory",
        "depthai.FrameMetadata()": "undefined: its fields are not set",
    },
    "raw tensors": {"metaout.get_tensor(1)": "undefined: reads other memory"},
    "commands": {
        "device.send_camera_control(depthai.CameraControl.CamId.RGB,"
        " depthai.CameraControl.Command.AE_MANUAL, '1 ' * 40)": "never returns",
        "device.create_pipeline({'streams': ['left', 'left']})": "ends the process, later",
    },
}
