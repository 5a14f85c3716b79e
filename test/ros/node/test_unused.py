"""A request that has no effect is reported at the start and in the diagnostics."""

from __future__ import annotations

import json
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from nodes import Listener, StartNode
from parameter_clients import QUIET
from vision_msgs.msg import Detection2DArray

MODELS = "package://depthai_ros/config/models"
NETWORK = {
    **QUIET,
    "stream_list": ["left", "right", "metaout", "meta_d2h"],
    "ai.blob_file": f"{MODELS}/virtual_ssd.blob",
}


def statuses(listener: Listener) -> dict[str, DiagnosticStatus]:
    """By component, as soon as all streams have a status."""
    listener.subscribe(DiagnosticArray, "/diagnostics")

    def last() -> dict[str, DiagnosticStatus]:
        rows = [row for found in listener.messages("/diagnostics")[-1:] for row in found.status]
        return {row.name.removeprefix("oak: "): row for row in rows}

    listener.wait_until(lambda: "stream metaout" in last(), "the diagnostics of the streams")
    return last()


def test_what_is_not_used_is_in_the_log_and_the_diagnostics(
    start_node: StartNode, listener: Listener, tmp_path: Path
) -> None:
    network, others = tmp_path / "net.json", tmp_path / "others.yaml"
    network.write_text(json.dumps({"nn_config": {"output_format": "detection"}}))
    others.write_text("/robot1/oak: {ros__parameters: {camera: {mono: {fps: 20.0}}}}")
    values = {
        **NETWORK,
        "ai.blob_file_config": str(network),
        "device.id": "virtual:pattern?absent=right",
        "depth.type": "x",
    }
    node = start_node(values, params_file=others)
    found = statuses(listener)
    asked = {
        "stream metaout": f"{network}: nn_config is not used, the nearest is NN_config",
        "stream right": "the right camera is not connected, as the device reports: check its "
        "cable, or leave out of stream_list what needs it (right)",
        "not used": f"{others} has parameters for /robot1/oak, none for /oak: the file is not used",
    }
    for component, sentence in asked.items():
        assert sentence in found[component].message
        assert sentence in found["not used"].message
        assert found[component].level >= DiagnosticStatus.WARN
        (line,) = [line for line in node.output.splitlines() if sentence in line]
        assert "[WARN]" in line
    assert "depth.type is not used" in found["not used"].message
    assert "not" not in found["stream left"].message
    assert node.stop() == 0


def test_ssd_of_an_older_description_gives_detections_with_labels(
    start_node: StartNode, listener: Listener
) -> None:
    older = f"{MODELS}/mobilenet_ssd_entries.json"
    node = start_node({**NETWORK, "ai.blob_file_config": older, "device.id": "virtual"})
    listener.subscribe(Detection2DArray, "nn/detections")
    listener.wait_until(
        lambda: any(message.detections for message in listener.messages("nn/detections")),
        "a detection",
    )
    messages = listener.messages("nn/detections")
    names = {row.results[0].hypothesis.class_id for each in messages for row in each.detections}
    assert names <= {"person", "chair", "tvmonitor", "bottle", "dog"}
    assert "not used" not in statuses(listener)
    assert "nn/tensors" not in listener.topics()
    assert node.stop() == 0
