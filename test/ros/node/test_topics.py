"""The messages of `make run` have the form that ROS users expect, and are consistent."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from recordings import (
    CHANNELS,
    ENOUGH,
    INFOS,
    LATCHED,
    LEFT,
    MARKERS,
    MONO,
    MONO_TOPICS,
    PICTURES,
    RESULTS,
    RGB,
    RIGHT,
    Recording,
    by_stamp,
    in_common,
    pixels,
    stamp_ns,
    transforms,
)

from depthai_ros.msg import DeviceStatus
from depthai_ros.streams import COMPRESSED_TOPICS

pytestmark = pytest.mark.distribution("message types and quality of service")

#: What the node makes only for subscribers, and depth a second time; test_depth.py has them.
ON_DEMAND = {
    "points",
    "rgb/image_rect_color",
    *(
        f"{group}/{name}"
        for group in ("depth/unfiltered", "depth_registered")
        for name in ("image_raw", "camera_info")
    ),
}

# -- form


def test_every_announced_topic_is_configured(
    recording: Recording,
) -> None:
    ours = {*PICTURES, *INFOS, *RESULTS, MARKERS, *(name for name in LATCHED if name[0] != "/")}
    compressed = {row.name for name, row in COMPRESSED_TOPICS.items() if name in ours | ON_DEMAND}
    assert recording.announced - {"transition_event"} == ours | ON_DEMAND | compressed


@pytest.mark.parametrize("topic", PICTURES)
@pytest.mark.complaint(19)
def test_image_has_its_encoding_frame_and_size(topic: str, recording: Recording) -> None:
    _, frame, encoding, size = PICTURES[topic]
    for message in recording[topic]:
        image = getattr(message, "image", message)
        dtype, channels = CHANNELS[encoding]
        step = size[0] * channels * np.dtype(dtype).itemsize
        assert message.header.frame_id == image.header.frame_id == frame
        assert (image.encoding, image.width, image.height) == (encoding, *size)
        assert (image.step, image.is_bigendian, len(image.data)) == (step, 0, step * size[1])


@pytest.mark.parametrize("topic", RESULTS)
def test_result_has_its_frame(topic: str, recording: Recording) -> None:
    assert {message.header.frame_id for message in recording[topic]} == {RESULTS[topic][1]}


@pytest.mark.parametrize("topic", INFOS)
@pytest.mark.complaint(8)
def test_camera_info_has_stamp_frame_and_size_of_its_image(
    topic: str, recording: Recording
) -> None:
    infos, images = by_stamp(recording[topic]), by_stamp(recording[INFOS[topic]])
    common = set(infos) & set(images)
    assert len(common) >= ENOUGH // 2
    for stamp in common:
        image = images[stamp]
        assert infos[stamp].header == image.header
        assert (infos[stamp].width, infos[stamp].height) == (image.width, image.height)


@pytest.mark.complaint(17)
def test_everything_of_one_exposure_has_one_stamp(recording: Recording) -> None:
    assert len(in_common(recording, *MONO_TOPICS)) >= ENOUGH // 2
    assert len(in_common(recording, "rgb/image_raw", "rgb/preview/image_raw", *RESULTS)) >= (
        ENOUGH // 2
    )


@pytest.mark.parametrize("topic", [*PICTURES, *INFOS, *RESULTS])
@pytest.mark.complaint(16)
def test_stamps_of_a_topic_increase(topic: str, recording: Recording) -> None:
    stamps = [stamp_ns(message) for message in recording[topic]]
    assert all(early < late for early, late in pairwise(stamps))


# -- stereo


@pytest.mark.complaint(9)
def test_depth_is_focal_length_times_baseline_over_disparity(recording: Recording) -> None:
    depths, disparities = (by_stamp(recording[name]) for name in ("depth/image_raw", "disparity"))
    for stamp in in_common(recording, "depth/image_raw", "disparity"):
        message = disparities[stamp]
        disparity, depth_m = pixels(message), pixels(depths[stamp]) / 1000
        valid = disparity >= message.min_disparity
        np.testing.assert_array_equal(valid, depth_m > 0)
        assert valid.mean() > 0.9
        scale = message.f * message.t
        by_disparity = scale / disparity[valid]
        step_m = by_disparity - scale / (disparity[valid] + message.delta_d)
        assert (np.abs(by_disparity - depth_m[valid]) < step_m).all()


def test_raw_disparity_is_the_disparity_image(recording: Recording) -> None:
    raw, floats = (by_stamp(recording[name]) for name in ("disparity/image_raw", "disparity"))
    for stamp in in_common(recording, "disparity/image_raw", "disparity"):
        disparity = pixels(floats[stamp])
        valid = disparity >= floats[stamp].min_disparity
        np.testing.assert_array_equal(pixels(raw[stamp])[valid], disparity[valid])


@pytest.mark.complaint(9)
def test_every_pixel_of_the_valid_window_can_have_a_match_in_the_left_image(
    recording: Recording,
) -> None:
    window = recording["disparity"][-1].valid_window
    assert (window.x_offset, window.width) == (0, MONO[0] - 95)
    # Matches lie to the right: pixel x of the right image matches x + d in the left one.
    tree, info = transforms(recording), recording["right/camera_info"][-1]
    right_in_left = np.linalg.inv(tree[LEFT]) @ tree[RIGHT]
    assert right_in_left[0, 3] > 0
    assert info.p[3] < 0


# -- frames


def test_every_frame_that_a_message_names_is_in_the_tree(recording: Recording) -> None:
    named = {
        message.header.frame_id
        for topic in [*PICTURES, *INFOS, *RESULTS, "nn/label_info", "nn/vision_info"]
        for message in recording[topic]
    }
    assert named <= set(transforms(recording))


@pytest.mark.parametrize(("frame", "y_m"), [(LEFT, 0.0375), (RIGHT, -0.0375), (RGB, 0.0)])
@pytest.mark.complaint(11)
def test_point_one_metre_ahead_is_one_metre_in_front_of_the_base(
    frame: str, y_m: float, recording: Recording
) -> None:
    point = transforms(recording)[frame] @ [0, 0, 1, 1]
    np.testing.assert_allclose(point[:3], [1, y_m, 0], atol=1e-6)


# -- topics beside the images


def test_markers_are_the_spatial_detections(recording: Recording) -> None:
    spatial = by_stamp(recording["nn/spatial_detections"])
    compared = 0
    for message in recording[MARKERS]:
        boxes = [row for row in message.markers if row.ns == "boxes"]
        if not boxes or stamp_ns(boxes[0]) not in spatial:
            continue
        found = spatial[stamp_ns(boxes[0])]
        assert [row.header for row in boxes] == [found.header] * len(found.detections)
        assert [row.pose for row in boxes] == [row.bbox.center for row in found.detections]
        compared += 1
    assert compared >= ENOUGH // 2


def test_label_and_vision_info_reach_a_late_subscriber(recording: Recording) -> None:
    info, vision = recording["nn/label_info"][0], recording["nn/vision_info"][0]
    names = {row.class_id: row.class_name for row in info.class_map}
    assert (names[15], names[5]) == ("person", "bottle")
    assert 0 < info.threshold < 1
    assert vision.database_location == "/oak/nn/label_info"
    assert vision.method == "virtual_ssd.blob"


STREAMED = ("left", "right", "depth", "disparity", "previewout", "metaout", "object_tracker")
STREAMED += ("color", "meta_d2h")
#: Outputs of the workers.
MADE = ("points", "depth_registered", "rgb_rect")
STREAM_KEYS = (
    "fps fps_expected fps_min drops_total drops_percent gap_max_ms latency_ms_mean "
    "latency_ms_max subscribers bytes_per_s rejected produced lost_device lost_link lost_loop "
    "lost_dds published unsubscribed skipped"
)
DIAGNOSTICS = {
    "device": "state mx_id product firmware usb_path usb_speed restarts uptime_s last_error",
    "memory": "buffers_allocated buffers_in_use buffers_in_use_bytes",
    "temperature": "css_c mss_c upa0_c upa1_c max_c age_s",
    "clock": "offset_s drift_ppm jumps jitter_ms",
    "calibration": "source baseline_m fx_px eeprom_loaded rgb",
    "usb link": "planned_mb_s measured_mb_s capacity_mb_s",
    **{f"stream {name}": STREAM_KEYS for name in (*STREAMED, *MADE)},
}


@pytest.mark.complaint(24)
def test_diagnostics_have_their_names_and_keys(recording: Recording) -> None:
    statuses = {row.name: row for row in recording["/diagnostics"][-1].status}
    assert set(statuses) == {f"oak: {name}" for name in DIAGNOSTICS}
    for name, keys in DIAGNOSTICS.items():
        row = statuses[f"oak: {name}"]
        # A stage of the workers has a row if it lost something, as on a busy machine.
        found = [pair.key for pair in row.values if not pair.key.startswith("lost_worker.")]
        assert found == keys.split(), name
        assert row.hardware_id == "14442C10D1VIRTUAL0"
    device = {pair.key: pair.value for pair in statuses["oak: device"].values}
    assert device["state"] == "streaming"
    assert device["mx_id"] == "14442C10D1VIRTUAL0"
    calibration = {pair.key: pair.value for pair in statuses["oak: calibration"].values}
    assert (calibration["source"], calibration["baseline_m"]) == ("eeprom", "0.075")


def test_device_status_reaches_a_late_subscriber(recording: Recording) -> None:
    status = recording["device/status"][-1]
    assert status.state == DeviceStatus.STATE_STREAMING
    assert 40 < status.css_c < 60
    assert set(status.stream_names) == {*STREAMED, *MADE}
    expected = dict(zip(status.stream_names, status.expected_fps, strict=True))
    assert expected == {name: 0.0 if name == "meta_d2h" else 10.0 for name in expected}


def test_the_demonstration_ends_cleanly(recording: Recording) -> None:
    assert recording.children == 1
    assert recording.status == 0
    assert "Traceback" not in recording.output
    assert "[ERROR]" not in recording.output
