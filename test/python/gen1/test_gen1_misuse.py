"""Every call of the Gen1 API at the wrong time: before a device, after it, and while it closes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from gen1_devices import BLOB, DEADLINE_S, packets_of, start

from depthai_ros import depthai

_MODE = depthai.AutofocusMode.AF_MODE_AUTO
_CONTROL = (depthai.CameraControl.CamId.RGB, depthai.CameraControl.Command.AE_AUTO, "")
_LEFT = {"streams": ["left"]}
_NO_MAPPING = dict.fromkeys(("max_h", "max_w", "off_x", "off_y"), 0)
#: Method -> arguments, outcome without a device, outcome after closing the device. An outcome is a
#: value, the class of an exception, or "any" for any value.
DEVICE_CALLS: dict[str, tuple[tuple[Any, ...], Any, Any]] = {
    "create_pipeline": ((_LEFT,), None, None),
    "get_pipeline": ((), RuntimeError, RuntimeError),
    "get_available_streams": ((), [], "any"),
    "get_nn_to_depth_bbox_mapping": ((), _NO_MAPPING, "any"),
    "request_jpeg": ((), None, None),
    "request_af_trigger": ((), None, None),
    "request_af_mode": ((_MODE,), None, None),
    "send_disparity_confidence_threshold": ((200,), None, None),
    "send_camera_control": (_CONTROL, None, None),
    "is_usb3": ((), RuntimeError, "any"),
    "get_mx_id": ((), RuntimeError, "any"),
    "is_device_changed": ((), RuntimeError, "any"),
    "reset_device_changed": ((), RuntimeError, None),
    "is_rgb_connected": ((), RuntimeError, "any"),
    "is_left_connected": ((), RuntimeError, "any"),
    "is_right_connected": ((), RuntimeError, "any"),
    "is_eeprom_loaded": ((), RuntimeError, "any"),
    "get_left_intrinsic": ((), RuntimeError, "any"),
    "get_right_intrinsic": ((), RuntimeError, "any"),
    "get_left_homography": ((), RuntimeError, "any"),
    "get_right_homography": ((), RuntimeError, "any"),
    "get_rotation": ((), RuntimeError, "any"),
    "get_translation": ((), RuntimeError, "any"),
    "get_intrinsic": ((depthai.CameraControl.CamId.LEFT,), RuntimeError, "any"),
    "get_distortion_coeffs": ((depthai.CameraControl.CamId.LEFT,), RuntimeError, "any"),
    "get_rgb_rotation": ((), RuntimeError, RuntimeError),
    "get_rgb_translation": ((), RuntimeError, RuntimeError),
    "write_eeprom_data": (({"board": {}},), RuntimeError, RuntimeError),
}
#: Function of the module -> arguments, outcome without a device.
MODULE_CALLS: dict[str, tuple[tuple[Any, ...], Any]] = {
    "create_pipeline": ((_LEFT,), None),
    "deinit_device": ((), True),
    "get_available_steams": ((), []),
    "get_available_streams": ((), []),
    "get_nn_to_depth_bbox_mapping": DEVICE_CALLS["get_nn_to_depth_bbox_mapping"][:2],
    "request_jpeg": ((), None),
    "request_af_trigger": ((), None),
    "request_af_mode": ((_MODE,), None),
    "send_DisparityConfidenceThreshold": ((1,), None),
    "send_disparity_confidence_threshold": ((1,), None),
    "reboot_device": ((), None),
}
PIPELINE_CALLS = ("get_available_data_packets", "get_available_nnet_and_data_packets")


pytestmark = pytest.mark.usefixtures("virtual_by_default")


def outcome(call: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """The result of a call, or the class of its exception."""
    try:
        return call(*arguments)
    except Exception as failure:
        return type(failure)


def test_tables_name_every_call() -> None:
    methods = {name for name in vars(depthai.Device) if not name.startswith("_")}
    assert methods == DEVICE_CALLS.keys()
    functions = {name for name in depthai.__all__ if not isinstance(getattr(depthai, name), type)}
    assert functions - {"init_device", "download_blob"} == MODULE_CALLS.keys()
    assert set(PIPELINE_CALLS) == {n for n in vars(depthai.CNNPipeline) if n.startswith("get")}


def test_every_call_before_there_is_a_device() -> None:
    missing = depthai.Device("unix:/missing/device", False)
    for name, (arguments, expected, _) in DEVICE_CALLS.items():
        assert (name, outcome(getattr(missing, name), arguments)) == (name, expected)
    for name, (arguments, expected) in MODULE_CALLS.items():
        assert (name, outcome(getattr(depthai, name), arguments)) == (name, expected)


@pytest.fixture(scope="module")
def closed() -> tuple[depthai.Device, depthai.CNNPipeline]:
    """A device that was closed while it was streaming, and its pipeline."""
    device = depthai.Device("virtual:pattern", False)
    pipeline = start(device, **_LEFT)
    packets_of(pipeline, "left")
    device._close()
    return device, pipeline


@pytest.mark.parametrize("name", DEVICE_CALLS)
def test_every_call_after_the_close_from_another_thread(
    closed: tuple[depthai.Device, depthai.CNNPipeline], name: str
) -> None:
    arguments, _, expected = DEVICE_CALLS[name]
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(outcome, getattr(closed[0], name), arguments).result(DEADLINE_S)
    if expected == "any":
        assert not (isinstance(found, type) and issubclass(found, Exception))
    else:
        assert found == expected


@pytest.mark.parametrize("name", PIPELINE_CALLS)
def test_waiting_for_packets_after_the_close_ends_at_once(
    closed: tuple[depthai.Device, depthai.CNNPipeline], name: str
) -> None:
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(getattr(closed[1], name), True).result(DEADLINE_S)
    assert found in ([], ([], []))


def repeat(stop: threading.Event, calls: dict[str, Callable[[], Any]]) -> set[type]:
    """Repeat all calls until `stop`; returns the classes of their exceptions."""
    raised = set()
    while not stop.is_set():
        found = [outcome(call, ()) for call in calls.values()]
        raised |= {kind for kind in found if isinstance(kind, type)}
    return raised


def close_amid(calls: list[dict[str, Callable[[], Any]]], close: Callable[[], object]) -> set[type]:
    """Close while each set of calls repeats in its own thread; returns the exceptions' classes."""
    stop = threading.Event()
    with ThreadPoolExecutor(len(calls)) as pool:
        callers = [pool.submit(repeat, stop, part) for part in calls]
        try:
            close()
        finally:
            stop.set()
        return set().union(*(caller.result(DEADLINE_S) for caller in callers))


@pytest.mark.parametrize("turn", range(3))
def test_every_call_while_another_thread_closes_the_device(turn: int) -> None:
    device = depthai.Device()
    pipeline = start(device, streams=["left", "jpegout"])
    packets_of(pipeline, "left")
    calls = {
        name: partial(getattr(device, name), *words)
        for name, (words, *_) in DEVICE_CALLS.items()
        if name != "create_pipeline"
    }
    takes = {name: getattr(pipeline, name) for name in PIPELINE_CALLS}
    raised = close_amid([calls, calls, takes], device._close)
    assert raised <= {RuntimeError}


def test_every_function_while_another_thread_closes_the_device() -> None:
    closing = ("deinit_device", "reboot_device", "create_pipeline")
    calls = {
        name: partial(getattr(depthai, name), *words)
        for name, (words, _) in MODULE_CALLS.items()
        if name not in closing
    }
    for _ in range(3):
        assert depthai.init_device("x.cmd")
        pipeline = depthai.create_pipeline(_LEFT)
        assert pipeline is not None
        takes = {name: getattr(pipeline, name) for name in PIPELINE_CALLS}
        assert close_amid([calls, takes], depthai.deinit_device) == set()


def test_pipelines_from_many_threads_leave_one_that_runs() -> None:
    device = depthai.Device()
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: device.create_pipeline(_LEFT), range(4)))
    assert all(made)
    running = device.get_pipeline()
    assert running in made
    assert running.get_available_data_packets(True)
    for pipeline in made:
        assert pipeline is running or pipeline.get_available_data_packets(True) == []  # type: ignore[union-attr]
    device._close()


#: Configurations for which `create_pipeline` returns None and logs one error.
REFUSED: list[dict[str, Any]] = [
    {"ai": {"shaves": 17}},
    {"ai": {"shaves": 8, "cmx_slices": 7}},
    {"depth": {"padding_factor": 2}},
    {"camera": {"mono": {"resolution_h": 480, "fps": 30}}},
    {"streams": ["nosuch"]},
    {"streams": ["metaout"], "ai": {"blob_file": "/no/such/file.blob"}},
    {"streams": ["metaout"], "ai": {"blob_file": BLOB, "shaves": 15, "cmx_slices": 15}},
    {"board_config": {"override_eeprom": True}, "depth": {"calibration_file": "/no/such/file"}},
]


def test_reason_of_a_refusal_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    device = depthai.Device()
    for config in REFUSED:
        caplog.clear()
        assert device.create_pipeline(config) is None
        assert len(caplog.records) == 1, caplog.text
        assert caplog.records[0].getMessage().startswith("create_pipeline: ")
    device._close()


@pytest.mark.parametrize("config", [*REFUSED, {"streams": [3]}, {"ai": {"shaves": "7"}}])
def test_refused_configuration_does_not_keep_the_device_open(config: dict[str, Any]) -> None:
    device = depthai.Device()
    session = device._session
    assert session is not None
    outcome(device.create_pipeline, (config,))
    del device
    assert not session.device.is_connected
