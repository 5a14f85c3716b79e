"""The page about the Gen1 API is complete, and each of its names has a test."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from depthai_ros import depthai

TESTS = Path(__file__).parent
ROOT = TESTS.parents[2]


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


document = load(ROOT / "tools/api_document.py")

#: Names that several classes have -> the test that is about this one.
BY_HAND = {
    "Pipeline.get_available_data_packets": "test_class_cannot_be_constructed_by_programs",
    "NNetPacket.getMetadata": "p05_detection",
    "DataPacket.getMetadata": "p08_paired_recording",
    "DataPacket.size": "p01_seed_minimal",
    "Detections.size": "test_detection_from_the_documented_bytes",
    "Detection.get_dict": "test_detection_from_the_documented_bytes",
    "TensorInfo.get_dict": "test_layer_without_a_dimension_says_so",
    "TensorInfo.name": "p06_raw",
    "TensorInfo.index": "p06_raw",
    "TensorInfo.DataType": "test_tensor_has_the_type_and_strides_that_the_device_reports",
    "CNNPipeline": "p01_seed_minimal",
    "NNetPacket": "test_sync_delivers_a_result_right_before_its_preview",
    "TensorEntry": "test_class_cannot_be_constructed_by_programs",
    "TensorEntryContainer": "test_class_cannot_be_constructed_by_programs",
    "Detection": "test_detection_from_the_documented_bytes",
    "Tracklet": "test_tracked_objects_read_the_documented_record",
    "Pipeline": "test_class_cannot_be_constructed_by_programs",
    "AutofocusMode": "test_enumeration_behaves_as_the_old_ones",
    "CameraControl": "test_camera_command_has_its_documented_number",
    "CameraControl.CamId": "test_enumeration_behaves_as_the_old_ones",
    "CameraControl.Command": "test_camera_command_has_its_documented_number",
    "TensorInfo.Dimension": "test_enumeration_behaves_as_the_old_ones",
}


def sources_of_tests() -> dict[str, str]:
    """Name of each test of the Gen1 module, or of a whole program -> its source."""
    found = {path.stem: path.read_text("utf-8") for path in TESTS.glob("programs/p*.py")}
    for path in sorted(TESTS.glob("test_gen1_*.py")):
        text = path.read_text("utf-8")
        for node in ast.parse(text).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                found[node.name] = ast.get_source_segment(text, node) or ""
    return found


def covering_test(name: str, sources: dict[str, str]) -> str:
    """The test that is about a name, else the first one that uses it, "" if there is none."""
    if name in BY_HAND:
        return BY_HAND[name] if BY_HAND[name] in sources else ""
    word = re.compile(rf"\.{name.rpartition('.')[2]}\b")
    order = sorted(sources, key=lambda test: (test[0] == "p", test))
    return next((test for test in order if word.search(sources[test])), "")


SOURCES = sources_of_tests()


@pytest.mark.parametrize("name", document.api_names())
def test_every_name_of_the_api_is_used_by_a_test(name: str) -> None:
    assert covering_test(name, SOURCES)


@pytest.mark.parametrize("name", [name for name in BY_HAND if "." in name])
def test_named_test_really_is_about_the_name(name: str) -> None:
    source = SOURCES[BY_HAND[name]]
    generic = ("_cannot_be_constructed_", "_behaves_as_the_old_ones", "_has_the_type_and_strides_")
    if not any(word in BY_HAND[name] for word in generic):
        assert f".{name.partition('.')[2]}" in source


def test_every_name_of_the_api_is_on_its_page() -> None:
    page = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    for name in depthai.__all__:
        assert f"`{name}" in page
    for name in document.api_names():
        assert name.rpartition(".")[2] in page or name.startswith("__")


def test_everything_public_is_documented() -> None:
    for name in document.api_names():
        thing = depthai
        for word in name.split("."):
            thing = getattr(thing, word)
        assert name.startswith("__") or thing.__doc__, name
