"""The option table: every setting of the user, with its limits.

A key is the dotted path of the Gen1 config key and also the name of the ROS parameter. Declaration,
validation, config/default.yaml and docs/parameters.md are made from this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from ..cameras import (
    CALIBRATION_BYTES,
    FOCUS_MODES,
    MONO_WIDTHS,
    NN_CAMERAS,
    RATE_CONTROL_MODES,
    RGB_WIDTHS,
    VIDEO_PROFILES,
)
from ..streams import COLOR_STREAMS, COMPRESSED_TOPICS, LIMITED_TOPICS, STREAMS
from ..wire_formats import CAMERAS
from .compression import GROUP as COMPRESSED
from .compression import PARAMETERS as COMPRESSION
from .compression import dotted, parameters_of
from .filters import GROUP, PARAMETERS, PREFIX, PRESET_KEY, PRESETS
from .limits import FrameName, GridSize, Limits, Value, between, one_of

#: In which states of the node an option can change: in each; while it is not active; only while it
#: is unconfigured; in none, because it is read once, when the process starts. The new value has its
#: effect at once; at the next activation; at the next configure transition.
Change = Literal["live", "inactive", "unconfigured", "never"]
#: In the constraints of a parameter, before the state in which it can change, unless it is in each.
CHANGES_WHILE = "changes while the node is "


@dataclass(frozen=True, slots=True)
class Option:
    """One setting.

    `default` also defines the type. `changes` says when the user can change it. `scope` is
    "pipeline" if the setting is part of the Gen1 config, else "node". `topic`: the option is of
    this topic alone. `inherits`: unless the user sets it, it has the value of the option with this
    key.
    """

    key: str
    default: Value
    meaning: str
    limits: Limits = None
    unit: str = ""
    changes: Change = "unconfigured"
    scope: Literal["pipeline", "node"] = "pipeline"
    topic: str = ""
    inherits: str = ""

    @property
    def group(self) -> str:
        """First word of the key."""
        return self.key.partition(".")[0]


#: Name of the node, and first part of its frames, unless the user gives another.
DEFAULT_NAME = "oak"
#: Group -> its heading, in the order of the documents.
GROUPS = {
    "device": "Which device",
    "reconnect": "Connecting and reconnecting",
    "usb": "USB",
    "stream_list": "Streams",
    "stream": "Single streams",
    "camera": "Cameras",
    "depth": "Stereo depth",
    "ai": "Neural network",
    "ot": "Object tracker",
    "video_config": "Video encoder",
    "board_config": "Board geometry and EEPROM",
    "app": "Session",
    "calibration": "Calibration",
    **{camera: f"Calibration of the {camera} camera" for camera in CAMERAS},
    "stereo": "Stereo pair",
    "points": "Point cloud",
    "registration": "Registered depth",
    GROUP: "Filters on depth",
    "publish": "Publishing",
    COMPRESSED: "Compressed images",
    "sync": "Exposures and time",
    "tf": "Frames",
    "diagnostics": "Diagnostics",
    "autostart": "Start",
    "strict": "Unknown parameters",
}

#: White balance modes in order of their numbers. Source: docs/wire_format.md#commands
WHITE_BALANCES = (
    "none",
    "auto",
    "incandescent",
    "fluorescent",
    "warm_fluorescent",
    "daylight",
    "cloudy",
    "twilight",
    "shade",
)

#: Meaning of options that Gen1 programs may set.
NO_EFFECT = "accepted for Gen1 programs; no effect on 1.0 devices"
_DEFAULT_STREAMS = ("left", "right", "depth", "disparity", "color", "meta_d2h")


def rate_key(topic: str) -> str:
    """The option with the rate limit of a topic."""
    return f"publish.{dotted(topic)}.max_fps"


def _sizes(widths: Mapping[int, int]) -> str:
    """Image sizes as text, smallest first."""
    *others, last = (f"{width}x{height}" for height, width in widths.items())
    return f"{', '.join(others)} or {last}"


# Source of the Gen1 keys, defaults and limits: docs/wire_format.md#configuration
_STREAM_OPTIONS = (
    Option(
        "stream_list", _DEFAULT_STREAMS, "streams to publish, in any order: " + ", ".join(STREAMS)
    ),
    *(
        Option(
            f"stream.{name}.max_fps",
            0.0,
            "highest rate, limited on the device; 0 = the rate of the camera",
            between(0.0, 120.0),
            unit="Hz",
            changes="inactive",
        )
        for name in STREAMS
    ),
)

_CAMERA_OPTIONS = (
    Option(
        "camera.rgb.resolution_h",
        1080,
        "height of the colour image: " + _sizes(RGB_WIDTHS),
        one_of(*RGB_WIDTHS),
        unit="px",
    ),
    Option(
        "camera.rgb.fps",
        30.0,
        "frame rate of the rgb camera",
        between(0.1, 118.0),
        unit="Hz",
        changes="inactive",
    ),
    Option(
        "camera.mono.resolution_h",
        720,
        f"height of the mono images: {_sizes(MONO_WIDTHS)}; 400 is binned, 720 cropped",
        one_of(*MONO_WIDTHS),
        unit="px",
    ),
    Option(
        "camera.mono.resolution_w",
        0,
        "width of the mono images; 0 = the width for this height",
        one_of(0, *dict.fromkeys(MONO_WIDTHS.values())),
        unit="px",
    ),
    Option(
        "camera.mono.fps",
        30.0,
        "frame rate of the mono cameras",
        between(0.1, 120.0),
        unit="Hz",
        changes="inactive",
    ),
)


def _exposure_options(camera: str) -> tuple[Option, ...]:
    """Exposure options of one camera; for a default nothing is sent to the device."""
    return (
        Option(
            f"camera.{camera}.exposure_us",
            0,
            "exposure time, at most the time of one frame; 0 = automatic",
            between(0, 1_000_000),
            unit="us",
        ),
        Option(
            f"camera.{camera}.iso",
            400,
            "sensitivity with a manual exposure_us; no effect on automatic exposure",
            between(100, 1600),
        ),
        Option(
            f"camera.{camera}.ae_compensation",
            0,
            "makes the automatic exposure brighter or darker; the device defines the step, 2 is a "
            "large change",
            between(-10, 10),
        ),
        Option(f"camera.{camera}.ae_lock", False, "hold the present automatic exposure"),
        Option(
            f"camera.{camera}.ae_region",
            "",
            'region of the image that the automatic exposure uses, "X Y WIDTH HEIGHT"; '
            "empty = the whole image",
            unit="px",
        ),
    )


#: Camera controls; the device accepts them while it streams. Source: docs/wire_format.md#commands
_CONTROL_OPTIONS = (
    Option(
        "camera.rgb.focus_mode",
        "continuous_picture",
        "focus mode of the rgb camera; auto and macro focus once for each ~/autofocus_trigger",
        one_of(*FOCUS_MODES),
    ),
    Option(
        "camera.rgb.lens_position",
        -1,
        "manual focus, from 0 (far) to 255 (near); -1 = automatic, see focus_mode",
        between(-1, 255),
    ),
    Option("camera.rgb.white_balance", "auto", "white balance mode", one_of(*WHITE_BALANCES)),
    Option("camera.rgb.awb_lock", False, "hold the present automatic white balance"),
    *(option for camera in ("rgb", "left", "right") for option in _exposure_options(camera)),
    Option(
        "depth.disparity_confidence",
        -1,
        "pixels with a higher matching cost are invalid: 0 (most pixels) to 255 (none); -1 = the "
        "device's default",
        between(-1, 255),
    ),
)

_DEPTH_OPTIONS = (
    Option(
        "depth.calibration_file",
        "",
        f"calibration file of {CALIBRATION_BYTES} or {CALIBRATION_BYTES + 1} bytes; used if the "
        "EEPROM has no camera models, and sent to the device with store_to_eeprom or "
        "override_eeprom",
    ),
    Option("depth.left_mesh_file", "", NO_EFFECT),
    Option("depth.right_mesh_file", "", NO_EFFECT),
    Option("depth.type", "", NO_EFFECT),
    Option(
        "depth.padding_factor",
        0.3,
        "part of a detection's box, around its centre, in which its distance is measured",
        between(0.0, 1.0),
        changes="inactive",
    ),
    Option(
        "depth.depth_limit_m",
        10.0,
        "depth beyond this is treated as not measured",
        between(0.1, 65.534),
        unit="m",
        changes="inactive",
    ),
    Option(
        "depth.confidence_threshold",
        0.5,
        "lowest confidence of a detection, if the network's configuration has none",
        between(0.0, 1.0),
    ),
    Option(
        "depth.median_kernel_size",
        7,
        "median filter on the disparity; 0 = off",
        one_of(0, 3, 5, 7),
        unit="px",
        changes="inactive",
    ),
    Option(
        "depth.lr_check",
        False,
        "check disparity left to right and back",
        changes="inactive",
    ),
    Option(
        "depth.warp_rectify.use_mesh",
        False,
        "rectify with a mesh; 1.0 devices always use a homography",
        one_of(False),
        changes="inactive",
    ),
    Option(
        "depth.warp_rectify.mirror_frame",
        True,
        "the device mirrors rectified images (true) or disparity and depth (false); "
        "the topics are never mirrored",
        changes="inactive",
    ),
    Option(
        "depth.warp_rectify.edge_fill_color",
        -1,
        "grey value outside the rectified image; -1 = repeat its edge",
        between(-1, 255),
        changes="inactive",
    ),
)

_AI_OPTIONS = (
    Option(
        "ai.blob_file", "", "compiled network, a path or package://PACKAGE/PATH; empty = no network"
    ),
    Option(
        "ai.blob_file_config",
        "",
        "JSON file that describes how to decode the network; empty = raw tensors",
    ),
    Option(
        "ai.blob_file2",
        "",
        "second network, run on each detection of the first; its output is always raw",
    ),
    Option("ai.blob_file_config2", "", NO_EFFECT),
    Option("ai.calc_dist_to_bb", False, "measure the position of each detection"),
    Option(
        "ai.keep_aspect_ratio",
        True,
        "the network's input is a centred crop of the image (true) or the whole image, stretched "
        "(false)",
        changes="inactive",
    ),
    Option("ai.camera_input", "rgb", "stream that feeds the network", one_of(*NN_CAMERAS)),
    Option(
        "ai.shaves",
        7,
        "processor cores for the network; 13 or 14 are free at 1080 lines, fewer above",
        between(1, 16),
        changes="inactive",
    ),
    Option(
        "ai.cmx_slices",
        7,
        "memory slices for the network, at least as many as ai.shaves",
        between(1, 19),
        changes="inactive",
    ),
    Option(
        "ai.NN_engines",
        1,
        "neural engines for the network",
        between(0, 2),
        changes="inactive",
    ),
)

_TRACKER_OPTIONS = (
    Option(
        "ot.max_tracklets",
        20,
        "largest number of tracked objects",
        between(0, 20),
        changes="inactive",
    ),
    Option(
        "ot.confidence_threshold",
        0.5,
        "lowest confidence of a tracked object",
        between(0.0, 1.0),
        changes="inactive",
    ),
)

_VIDEO_OPTIONS = (
    Option(
        "video_config.rateCtrlMode",
        "cbr",
        "constant bit rate (cbr) or constant quality (vbr)",
        one_of(*RATE_CONTROL_MODES),
        changes="inactive",
    ),
    Option(
        "video_config.profile",
        "h264_high",
        "encoding: h264_* and h265_main for rgb/image_raw/ffmpeg and rgb/video, mjpeg for "
        "rgb/image_raw/compressed",
        one_of(*VIDEO_PROFILES),
    ),
    Option(
        "video_config.bitrate",
        8_500_000,
        "bit rate with cbr",
        between(1, 100_000_000),
        unit="bit/s",
        changes="inactive",
    ),
    Option(
        "video_config.maxBitrate",
        8_500_000,
        "highest bit rate",
        between(1, 100_000_000),
        unit="bit/s",
        changes="inactive",
    ),
    Option(
        "video_config.keyframeFrequency",
        30,
        "interval between key frames; a new subscriber of the video sees its first image after at "
        "most this many",
        between(1, 1000),
        unit="frames",
        changes="inactive",
    ),
    Option(
        "video_config.numBFrames",
        0,
        "bidirectionally predicted frames between two others, for Gen1 programs; the node asks for "
        "none, because viewers of its video topics cannot show them",
        between(0, 16),
        unit="frames",
        changes="inactive",
    ),
    Option(
        "video_config.quality",
        80,
        "quality with vbr or mjpeg",
        between(0, 100),
        unit="%",
        changes="inactive",
    ),
)

_BOARD_OPTIONS = (
    Option("board_config.name", "", "board name to write to the EEPROM"),
    Option("board_config.revision", "", "board revision to write to the EEPROM"),
    Option(
        "board_config.swap_left_and_right_cameras",
        False,
        "exchange the mono cameras; a programmed EEPROM overrides it and all other geometry",
    ),
    Option(
        "board_config.left_fov_deg",
        69.0,
        "horizontal field of view of the mono cameras",
        between(1.0, 179.0),
        unit="deg",
    ),
    Option(
        "board_config.rgb_fov_deg",
        69.0,
        "horizontal field of view of the rgb camera",
        between(1.0, 179.0),
        unit="deg",
    ),
    Option(
        "board_config.left_to_right_distance_cm",
        3.5,
        "stereo baseline",
        between(0.1, 200.0),
        unit="cm",
    ),
    Option(
        "board_config.left_to_rgb_distance_cm",
        0.0,
        "distance from the left to the rgb camera",
        between(-200.0, 200.0),
        unit="cm",
    ),
    Option(
        "board_config.stereo_center_crop",
        False,
        "mono images of 720 lines are the middle (true) or the top (false) of 800 lines",
    ),
    Option(
        "board_config.store_to_eeprom",
        False,
        "write board_config and depth.calibration_file to the EEPROM",
    ),
    Option("board_config.clear_eeprom", False, "erase the EEPROM"),
    Option(
        "board_config.override_eeprom",
        False,
        "use board_config and depth.calibration_file instead of the EEPROM for this run",
    ),
)

_APP_OPTIONS = (
    Option(
        "app.sync_video_meta_streams",
        False,
        "send each network result right before its previewout frame",
        changes="inactive",
    ),
    Option(
        "app.sync_sequence_numbers",
        False,
        "give rgb and mono frames common sequence numbers",
        changes="inactive",
    ),
    Option(
        "app.enable_reconfig",
        True,
        "allow writes to the EEPROM while streaming",
        changes="inactive",
    ),
    Option(
        "app.usb_chunk_KiB",
        64,
        "size of the device's USB transfers; 0 = whole packets",
        between(0, 1024),
        unit="KiB",
        changes="inactive",
    ),
)

_NODE_OPTIONS = (
    Option(
        "ai.labels",
        (),
        "class names in order of their numbers; replaces those in ai.blob_file_config",
    ),
    Option(
        "ai.class_id",
        "name",
        "content of a detection's class_id",
        one_of("name", "index"),
        changes="inactive",
    ),
    Option(
        "device.id",
        "usb",
        "device selector: usb, usb:PORT, usb:BUS:PORT, usb:MX_ID, virtual, virtual:SCENE, "
        "unix:/PATH or tcp:HOST:PORT",
    ),
    Option(
        "device.firmware",
        "",
        "firmware for a board on USB: an image (.cmd), or the official Gen1 wheel that contains it",
    ),
    Option(
        "usb.on_insufficient",
        "warn",
        "if the link carries less than the streams need: warn, lower the rate of all images "
        "(reduce), or refuse to start (fail)",
        one_of("warn", "reduce", "fail"),
        changes="inactive",
    ),
    Option(
        "usb.force_usb2",
        False,
        "boot the firmware variant that stays at USB 2 speed, for long or poor cables; "
        "device.firmware has to be the official wheel, which contains both variants",
    ),
    Option(
        "reconnect.enable",
        True,
        "reconnect when the device is lost while streaming; false: report an error",
        changes="live",
    ),
    Option(
        "reconnect.max_attempts",
        0,
        "give up after this number of consecutive failed attempts; 0 = never; losing the device "
        "again within 10 s is also a failed attempt",
        between(0, 1_000_000),
        changes="live",
    ),
    Option(
        "reconnect.initial_delay_s",
        0.5,
        "pause before the first attempt; it doubles with each further attempt",
        between(0.0, 600.0),
        unit="s",
        changes="live",
    ),
    Option(
        "reconnect.max_delay_s",
        10.0,
        "longest pause between two attempts",
        between(0.1, 600.0),
        unit="s",
        changes="live",
    ),
    Option(
        "reconnect.wait_at_start",
        True,
        "with autostart, wait until the device is available; false: exit with status 3",
        changes="never",
    ),
    Option(
        "autostart",
        True,
        "configure and activate at start; false: a lifecycle manager does it",
        changes="never",
    ),
    Option("strict", True, "unknown parameters are an error (true) or a warning (false)"),
    Option(
        "publish.queue_depth",
        2,
        "history depth of the topics with images or points",
        between(1, 100),
        unit="messages",
    ),
    *(
        Option(
            f"stream.{name}.publish",
            True,
            "publish its topics; false has the effect of no subscribers",
            changes="live",
        )
        for name in STREAMS
    ),
    Option(
        "publish.depth_float", False, "also publish depth/image: 32FC1, metres, NaN = not measured"
    ),
    Option(
        "publish.idle_hold_s",
        0.0,
        "stop a stream on the device after this time without subscribers; 0 = never. "
        "Not known to work with real firmware, see docs/compose.md",
        between(0.0, 3600.0),
        unit="s",
        changes="inactive",
    ),
    Option(
        "stereo.right_frame",
        "right",
        "camera whose frame_id the right images have; some tools need one frame for the pair",
        one_of("right", "left"),
        changes="inactive",
    ),
    Option(
        "calibration.nominal",
        False,
        "compute a camera model from the field of view where calibration is missing",
    ),
    Option(
        "calibration.camera_info_folder",
        "",
        "folder for the files of ~/CAMERA/set_camera_info: a path, file:///PATH or "
        "package://PACKAGE/PATH; empty = camera_info in ROS_HOME",
    ),
    *(
        Option(
            f"{camera}.camera_info_url",
            "",
            "file with the camera_info, read at the start and written by "
            f"~/{camera}/set_camera_info: a path, file:///PATH or package://PACKAGE/PATH, in which "
            f"${{NAME}} is the node's name and _{camera}, and ${{ROS_HOME}} the folder of ROS; "
            "empty = a file in calibration.camera_info_folder",
        )
        for camera in CAMERAS
    ),
    Option(
        "calibration.rgb_pose_file",
        "",
        "file with the pose of the rgb camera to the right one, for points.color rgb, "
        "depth_registered and tf: a camchain of Kalibr or a transform of ROS in YAML (docs/depth.md"
        "#calibrating-the-rgb-camera); a path, file:///PATH or package://PACKAGE/PATH; empty = not "
        "measured",
    ),
    Option(
        "calibration.check_board",
        "6x4",
        "inner corners of the checkerboards that ~/calibration_check looks for, columns x rows",
        GridSize(),
        changes="live",
    ),
    Option(
        "tf.source",
        "calibration",
        "publisher of the camera frames: this node from the calibration, robot_state_publisher "
        "from the urdf, or none",
        one_of("calibration", "urdf", "none"),
        changes="inactive",
    ),
    Option(
        "tf.prefix",
        "",
        "prefix of all frame names; empty = node name",
        FrameName(),
        changes="inactive",
    ),
    Option(
        "tf.parent_frame",
        "",
        "parent frame of the camera's base frame; empty = none",
        FrameName(),
        changes="inactive",
    ),
    Option(
        "sync.enable",
        False,
        "publish left, right, rectified, depth and disparity of one exposure together",
        changes="inactive",
    ),
    Option(
        "sync.incomplete",
        "drop",
        "drop or publish an exposure with a lost packet",
        one_of("drop", "publish"),
        changes="inactive",
    ),
    Option(
        "sync.timeout_ms",
        100.0,
        "longest wait for the rest of an exposure after its first packet",
        between(1.0, 10_000.0),
        unit="ms",
        changes="inactive",
    ),
    Option(
        "sync.stamp_offset_ms",
        0.0,
        "added to every stamp, e.g. to move it to the middle of the exposure",
        between(-1000.0, 1000.0),
        unit="ms",
        changes="inactive",
    ),
    Option(
        "diagnostics.period_s",
        1.0,
        "time between two /diagnostics messages",
        between(0.1, 60.0),
        unit="s",
        changes="live",
    ),
    Option(
        "diagnostics.stale_after_s",
        5.0,
        "values older than this are reported as stale",
        between(0.1, 600.0),
        unit="s",
        changes="live",
    ),
    Option(
        "diagnostics.stream_timeout_s",
        3.0,
        "a stream without a frame for longer than this is an error",
        between(0.1, 600.0),
        unit="s",
        changes="live",
    ),
    Option(
        "diagnostics.drops_warn_percent",
        5.0,
        "a higher share of lost frames is a warning",
        between(0.0, 100.0),
        unit="%",
        changes="live",
    ),
    Option(
        "diagnostics.temp_warn_c",
        85.0,
        "chip temperature from which a warning is reported",
        between(0.0, 125.0),
        unit="°C",
        changes="live",
    ),
    Option(
        "diagnostics.temp_error_c",
        100.0,
        "chip temperature from which an error is reported; the chip's limit is 105",
        between(0.0, 125.0),
        unit="°C",
        changes="live",
    ),
)

_POINTS_OPTIONS = (
    Option(
        "points.color",
        "none",
        "colour of the points: none, mono (needs rectified_right in stream_list) or rgb (needs "
        "color, and a calibrated rgb camera)",
        one_of(*COLOR_STREAMS),
    ),
    Option(
        "points.decimation",
        2,
        "make a point of one pixel in a square of this width",
        between(1, 16),
        unit="px",
        changes="inactive",
    ),
    Option(
        "points.max_depth_m",
        0.0,
        "leave out points beyond this depth; 0 = depth.depth_limit_m",
        between(0.0, 65.0),
        unit="m",
        changes="inactive",
    ),
    Option(
        "points.max_rgb_age_ms",
        40.0,
        "largest difference between the stamps of depth and colours; a cloud waits this long for "
        "its colours, and its points are black if there are none",
        between(0.0, 1000.0),
        unit="ms",
        changes="inactive",
    ),
    Option(
        "registration.width",
        1280,
        "largest width of depth_registered; the image of the rgb camera is scaled down to it",
        between(64, 1280),
        unit="px",
        changes="inactive",
    ),
    Option(
        "stereo.rectify",
        "device",
        "who removes the distortion of the lenses: nobody (device: image_rect are rectified_left "
        "and rectified_right, which keep it, as depth does), or the host, from left, right, depth",
        one_of("device", "host"),
    ),
)

_FILTER_OPTIONS = (
    Option(
        PRESET_KEY,
        "none",
        "values of all filters for a purpose, see docs/depth.md; a filter parameter that is set by "
        "itself keeps its value, and one that changes the size of depth is not live",
        one_of(*PRESETS),
        changes="live",
        scope="node",
    ),
    *(
        Option(
            PREFIX + row.key,
            row.default,
            row.meaning,
            row.limits,
            row.unit,
            "live" if row.live else "unconfigured",
            "node",
        )
        for row in PARAMETERS
    ),
)

_COMPRESSION_OPTIONS = (
    *(Option(row.key, row.default, row.meaning, row.limits, row.unit) for row in COMPRESSION),
    *(
        Option(
            row.key_of(image),
            row.default,
            row.meaning,
            row.limits,
            row.unit,
            topic=image,
            inherits=row.key,
        )
        for image in COMPRESSED_TOPICS
        for row in parameters_of(image).values()
    ),
)
_RATE_OPTIONS = tuple(
    Option(
        rate_key(topic),
        0.0,
        "highest rate of this topic; 0 = that of its stream",
        between(0.0, 120.0),
        unit="Hz",
        topic=topic,
    )
    for topic in LIMITED_TOPICS
)

OPTIONS: tuple[Option, ...] = (
    *_STREAM_OPTIONS,
    *_CAMERA_OPTIONS,
    *(replace(option, scope="node", changes="live") for option in _CONTROL_OPTIONS),
    *_DEPTH_OPTIONS,
    *_AI_OPTIONS,
    *_TRACKER_OPTIONS,
    *_VIDEO_OPTIONS,
    *_BOARD_OPTIONS,
    *_APP_OPTIONS,
    *(replace(option, scope="node") for option in (*_NODE_OPTIONS, *_POINTS_OPTIONS)),
    *_FILTER_OPTIONS,
    *(
        replace(option, scope="node", changes="live")
        for option in (*_RATE_OPTIONS, *_COMPRESSION_OPTIONS)
    ),
)
BY_KEY: dict[str, Option] = {option.key: option for option in OPTIONS}
