"""Boxes and positions on topics are those of the packets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from contexts import LABELS, PREVIEW_SIZE, STAMP_NS, build_message, make_picture, make_test_context
from numpy.typing import NDArray
from vision_msgs.msg import Detection2DArray

from depthai_ros.messages.builders import BUILDERS, StaticMessageBuilder
from depthai_ros.messages.context import MessageContext
from depthai_ros.messages.images import StampedPacket
from depthai_ros.msg import Tracklet
from depthai_ros.wire_formats import DETECTION, TRACKLET, encode_detections, encode_tracklets

# -- detections


def detection(
    box: tuple[float, float, float, float],
    label: int = 1,
    confidence: float = 0.5,
    position: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> NDArray[Any]:
    return np.array([(label, confidence, *box, *position)], DETECTION)


def detected(*rows: NDArray[Any], **values: Any) -> tuple[MessageContext, StampedPacket]:
    context = make_test_context(values)
    boxes = np.concatenate(rows) if rows else np.zeros(0, DETECTION)
    return context, make_picture(context, "metaout", encode_detections(boxes))


#: normalised box -> centre and size in px of the 300x200 preview, None = no detection
BOXES = [
    ((0.0, 0.0, 0.1, 0.1), (15.0, 10.0, 30.0, 20.0)),
    ((0.9, 0.0, 1.0, 0.1), (285.0, 10.0, 30.0, 20.0)),
    ((0.0, 0.9, 0.1, 1.0), (15.0, 190.0, 30.0, 20.0)),
    ((0.9, 0.9, 1.0, 1.0), (285.0, 190.0, 30.0, 20.0)),
    ((0.001, 0.001, 0.002, 0.002), (0.45, 0.3, 0.3, 0.2)),  # not rounded to whole pixels
    ((-0.5, -0.5, 1.5, 0.5), (150.0, 50.0, 300.0, 100.0)),  # clipped to the image
    ((0.5, 0.5, 0.5, 0.9), None),
    ((1.1, 0.5, 1.5, 0.9), None),
]


@pytest.mark.parametrize(("box", "expected"), BOXES)
@pytest.mark.complaint(21)
def test_detection_box_is_in_pixels_of_the_preview_image(box: Any, expected: Any) -> None:
    message: Detection2DArray = build_detections(detection(box))
    found = [
        (row.bbox.center.position.x, row.bbox.center.position.y, row.bbox.size_x, row.bbox.size_y)
        for row in message.detections
    ]
    assert found == ([] if expected is None else [pytest.approx(expected, abs=1e-4)])


def build_detections(*rows: NDArray[Any], **values: Any) -> Detection2DArray:
    context, packet = detected(*rows, **values)
    return build_message(context, "nn/detections", packet)


def test_boxes_from_a_mirrored_input_are_mirrored_back() -> None:
    values = {"ai.camera_input": "rectified_right"}
    context, packet = detected(detection((0.1, 0.2, 0.3, 0.6)), **values)
    (found,) = build_message(context, "nn/detections", packet).detections
    assert found.bbox.center.position.x == pytest.approx(300 * (1 - 0.2))
    assert found.bbox.size_x == pytest.approx(300 * 0.2)
    message = build_message(context, "tracklets", tracked(context, tracklet(5, (30, 40, 90, 120))))
    (followed,) = message.tracklets
    assert followed.bbox.center.position.x == pytest.approx(300 * (1 - 0.2))
    assert context.results.matches(STAMP_NS).keys() == {5}


def test_empty_result_is_an_empty_message() -> None:
    message = build_detections()
    assert message.detections == []
    assert message.header.frame_id == "oak_rgb_camera_optical_frame"


def test_detection_carries_header_score_and_class_name() -> None:
    message = build_detections(detection((0.1, 0.1, 0.2, 0.2), label=2, confidence=0.75))
    (found,) = message.detections
    assert found.header == message.header
    assert found.id == ""
    assert found.results[0].hypothesis.class_id == LABELS[2]
    assert found.results[0].hypothesis.score == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("values", "label", "expected"),
    [
        ({}, 1, "aeroplane"),
        ({}, 77, "77"),
        ({"ai.class_id": "index"}, 1, "1"),
        ({"ai.labels": ["zero", "one"]}, 1, "one"),
    ],
)
@pytest.mark.complaint(21)
def test_class_id_is_the_name_or_the_number(values: Any, label: int, expected: str) -> None:
    message = build_detections(detection((0, 0, 1, 1), label=label), **values)
    assert message.detections[0].results[0].hypothesis.class_id == expected


@pytest.mark.parametrize("position", [(0.4, 0.0, 2.0), (0.0, 0.3, 2.0), (0.0, 0.0, 3.0)])
@pytest.mark.complaint(21)
def test_position_is_metric_in_the_right_cameras_optical_axes(
    position: tuple[float, float, float],
) -> None:
    box = (0.25, 0.25, 0.75, 0.5)
    context, packet = detected(detection(box, position=position), **{"calibration.nominal": True})
    message = build_message(context, "nn/spatial_detections", packet)
    (found,) = message.detections
    centre = found.bbox.center.position
    measured = found.results[0].pose.pose
    assert message.header.frame_id == "oak_right_camera_optical_frame"
    assert (centre.x, centre.y, centre.z) == pytest.approx(position)
    assert measured.position == centre
    assert measured.orientation.w == 1.0
    fx, fy = context.network.focal_px
    width, height = 150 * position[2] / fx, 50 * position[2] / fy
    size = found.bbox.size
    assert (size.x, size.y, size.z) == pytest.approx((width, height, min(width, height)))
    variance = (position[2] ** 2 / (context.disparity.focal_px * 0.075) * 0.5) ** 2
    covariance = found.results[0].pose.covariance
    assert covariance[14] == pytest.approx(variance)
    assert sum(covariance != 0) == 1


@pytest.mark.parametrize("z", [0.0, -1.0, float("nan"), float("inf"), 1001.0])
def test_detection_without_distance_is_in_the_2d_array_only(z: float) -> None:
    context, packet = detected(detection((0, 0, 1, 1), position=(0.1, 0.1, z)))
    assert len(build_message(context, "nn/detections", packet).detections) == 1
    assert build_message(context, "nn/spatial_detections", packet).detections == []


def test_size_of_a_detection_follows_from_the_depth_image_if_rgb_is_not_calibrated() -> None:
    mapping = {"off_x": 20, "off_y": 10, "max_w": 450, "max_h": 300}
    context = make_test_context(nn_to_depth=mapping)
    rows = encode_detections(detection((0.25, 0.25, 0.75, 0.5), position=(0, 0, 2)))
    message = build_message(
        context, "nn/spatial_detections", make_picture(context, "metaout", rows)
    )
    size = message.detections[0].bbox.size
    assert (size.x, size.y) == pytest.approx((225 * 2 / 441.58, 75 * 2 / 441.58), rel=1e-4)


def test_size_of_a_detection_is_zero_where_the_camera_is_not_calibrated() -> None:
    context = make_test_context(eeprom=-1)
    rows = encode_detections(detection((0, 0, 1, 1), position=(0, 0, 2)))
    message = build_message(
        context, "nn/spatial_detections", make_picture(context, "metaout", rows)
    )
    assert message.detections[0].bbox.size.x == 0.0


def test_each_spatial_detection_is_a_box_with_a_text_above_it() -> None:
    first = detection((0.25, 0.25, 0.75, 0.5), confidence=0.75, position=(0.5, 0.25, 2.0))
    second = detection((0, 0, 1, 1), label=2, position=(0.0, 0.0, 3.0))
    far = detection((0, 0, 1, 1), position=(0.0, 0.0, 0.0))  # not measured
    context, packet = detected(first, far, second, **{"calibration.nominal": True})
    spatial = build_message(context, "nn/spatial_detections", packet)
    made = build_message(context, "nn/markers", packet).markers
    named = [(row.ns, row.id, row.type) for row in made]
    boxes = [("boxes", number, made[0].CUBE) for number in range(2)]
    texts = [("labels", number, made[0].TEXT_VIEW_FACING) for number in range(2)]
    assert sorted(named) == boxes + texts
    assert all(row.header == spatial.header for row in made)
    for number, found in enumerate(spatial.detections):
        box, text = made[2 * number : 2 * number + 2]
        assert (box.pose, box.scale) == (found.bbox.center, found.bbox.size)
        assert text.pose.position.y < box.pose.position.y - box.scale.y / 2
        assert 0.0 < box.color.a < text.color.a == 1.0
        assert 0.0 < text.scale.x < text.scale.z  # the width of a space in rviz; 0 is far too wide
    assert made[1].text == "aeroplane 75% 2.00 m"
    assert made[0].color != made[2].color


@pytest.mark.parametrize(("fps", "lifetime_s"), [(30.0, 0.5), (5.0, 1.0), (2.0, 2.5)])
def test_markers_outlive_a_few_results_of_the_network(fps: float, lifetime_s: float) -> None:
    values = {"camera.rgb.fps": fps, "stream_list": ["metaout"], "ai.blob_file": "/net.blob"}
    context, packet = detected(detection((0, 0, 1, 1), position=(0, 0, 2)), **values)
    made = build_message(context, "nn/markers", packet).markers
    assert {row.lifetime.sec + row.lifetime.nanosec / 1e9 for row in made} == {lifetime_s}


def test_box_of_a_detection_without_size_has_an_extent() -> None:
    context = make_test_context(eeprom=-1)
    rows = encode_detections(detection((0, 0, 1, 1), position=(0, 0, 2)))
    box, _ = build_message(context, "nn/markers", make_picture(context, "metaout", rows)).markers
    assert min(box.scale.x, box.scale.y, box.scale.z) > 0.0


def test_label_info_names_every_class_and_vision_info_points_to_it() -> None:
    context = make_test_context({"ai.blob_file": "/networks/detector.blob"})
    builders = {key: row for key, row in BUILDERS.items() if isinstance(row, StaticMessageBuilder)}
    labels = builders["label_info"].build(context, STAMP_NS)
    vision = builders["vision_info"].build(context, STAMP_NS)
    assert [(row.class_id, row.class_name) for row in labels.class_map] == list(enumerate(LABELS))
    assert labels.threshold == 0.25
    assert vision.method == "detector.blob"
    assert vision.database_location == "/oak/nn/label_info"


# -- tracklets


def tracklet(number: int, box: tuple[int, int, int, int], status: int = 1) -> tuple[Any, ...]:
    return (*box, number, 1, status)


def tracked(context: MessageContext, *rows: tuple[Any, ...]) -> StampedPacket:
    return make_picture(context, "object_tracker", encode_tracklets(np.array([*rows], TRACKLET)))


def test_status_constants_are_the_devices_numbers() -> None:
    assert (Tracklet.STATUS_NEW, Tracklet.STATUS_TRACKED, Tracklet.STATUS_LOST) == (0, 1, 2)


def test_tracklet_is_followed_until_it_is_removed_once() -> None:
    context = make_test_context()
    box = (30, 20, 90, 100)
    seen = []
    steps = [[tracklet(5, box, 0)], [tracklet(5, box)], [tracklet(5, box, 2)], [], []]
    for rows in steps:
        message = build_message(context, "tracklets", tracked(context, *rows))
        seen.append([(row.id, row.status, row.age) for row in message.tracklets])
    assert seen == [[(5, 0, 0)], [(5, 1, 1)], [(5, 2, 2)], [(5, 3, 2)], []]


def test_tracklet_box_is_in_pixels_of_the_preview_image() -> None:
    context = make_test_context()
    message = build_message(context, "tracklets", tracked(context, tracklet(9, (-30, 20, 90, 100))))
    (found,) = message.tracklets
    assert (message.image_width, message.image_height) == PREVIEW_SIZE
    assert message.header.frame_id == "oak_rgb_camera_optical_frame"
    assert (found.bbox.center.position.x, found.bbox.center.position.y) == (45.0, 60.0)
    assert (found.bbox.size_x, found.bbox.size_y) == (90.0, 80.0)
    assert (found.label, found.class_id, found.has_position) == (1, "aeroplane", False)


def test_tracklet_takes_the_position_of_its_detection_into_its_own_frame() -> None:
    context = make_test_context()
    rows = detection((0.1, 0.1, 0.3, 0.5), confidence=0.875, position=(0.5, 0.25, 2.0))
    build_message(
        context, "nn/detections", make_picture(context, "metaout", encode_detections(rows))
    )
    packet = tracked(
        context,
        tracklet(5, (30, 20, 90, 100)),
        tracklet(6, (200, 100, 290, 190)),
        tracklet(7, (0,) * 4),
    )
    message = build_message(context, "tracklets", packet)
    matched, elsewhere, without_area = message.tracklets
    position = matched.position
    # The rgb camera sits 37.5 mm left of the right one, turned alike.
    assert (position.x, position.y, position.z) == pytest.approx((0.5375, 0.25, 2.0), abs=1e-6)
    assert matched.has_position
    assert not elsewhere.has_position
    assert not without_area.has_position
    detections = build_message(context, "nn/tracked_detections", packet).detections
    scores = {row.id: row.results[0].hypothesis.score for row in detections}
    assert scores == {"5": 0.875, "6": 0.5}  # 0.5: no less is tracked (ot.confidence_threshold)


def test_lost_tracklet_is_no_tracked_detection() -> None:
    context = make_test_context()
    message = build_message(
        context, "nn/tracked_detections", tracked(context, tracklet(5, (0, 0, 9, 9), 2))
    )
    assert message.detections == []
