"""Gen1 programs with our module, on boards of the emulated bus."""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from official_host import run_to_end
from usb_rig import PORT, ROOT, THIRD_PORT, Bench, Rig

from depthai_ros.device import firmware

_CONFIG = {
    "streams": ["previewout", "metaout"],
    "ai": {
        "blob_file": "config/models/virtual_ssd.blob",
        "blob_file_config": "config/models/mobilenet_ssd.json",
    },
}
_STREAM = """
results, packets = [], []
while not (results and packets):
    found = p.get_available_nnet_and_data_packets(True)
    results += found[0]
    packets += found[1]
print(packets[0].getData().shape, results[0].getDetectedObjects()[0].label)
"""
#: Style of the first releases: functions of the module, firmware from the program.
FUNCTIONS = f"""
import sys, depthai
assert depthai.init_device(sys.argv[1], {PORT!r}) is True
assert depthai.init_device(sys.argv[1]) is False
p = depthai.create_pipeline({_CONFIG})
{_STREAM}
assert depthai.deinit_device() is True
assert depthai.init_device(cmd_file_path=sys.argv[1]) is True
assert len(depthai.get_available_streams()) == 13
assert depthai.deinit_device() is True
"""
#: Style of the last releases: a Device object, firmware from the environment.
OBJECT = f"""
import depthai
device = depthai.Device({PORT!r}, False)
print(device.get_mx_id(), device.is_usb3())
p = device.create_pipeline({_CONFIG})
{_STREAM}
del device
assert p.get_available_data_packets(True) == []
"""


def run(rig: Rig, folder: Path, text: str, *words: object, **variables: object) -> str:
    """Output of a program run with `depthai-run` on this bus."""
    program = folder / "program.py"
    program.write_text(text)
    command = [sys.executable, "-m", "depthai_ros.depthai", program, *words]
    environment = {**rig.environment, **{name: str(value) for name, value in variables.items()}}
    environment = {k: v for k, v in environment.items() if k != "DEPTHAI_DEVICE"}
    return run_to_end([str(word) for word in command], environment, ROOT)


def test_functions_of_the_module_boot_a_board_with_the_programs_firmware(
    bench: Bench, tmp_path: Path
) -> None:
    sent = tmp_path / "sent.cmd"
    rig = bench.rig({"image": sent})
    output = run(rig, tmp_path, FUNCTIONS, bench.firmware)
    assert "(3, 300, 300) 15" in output.splitlines()
    assert sent.read_bytes() == bench.firmware.read_bytes()
    rig.wait_for(f"{PORT} booted", count=2)
    rig.wait_for(f"{PORT} rom", count=3)  # reset at the end


def test_object_boots_a_board_with_the_firmware_of_the_environment(
    bench: Bench, tmp_path: Path
) -> None:
    rig = bench.rig({})
    output = run(rig, tmp_path, OBJECT, DEPTHAI_FIRMWARE=bench.firmware)
    assert output.splitlines() == ["14442C10C14790D000 True", "(3, 300, 300) 15"]


@pytest.mark.parametrize(
    ("boards", "found"),
    [([], []), ([{}], [PORT]), ([{}, {"port": THIRD_PORT, "serial": "B"}], [PORT, THIRD_PORT])],
)
def test_list_prints_the_boards_on_the_bus(
    bench: Bench, tmp_path: Path, boards: list[dict[str, Any]], found: list[str]
) -> None:
    text = "import depthai; depthai.init_device('', 'list'); raise AssertionError"
    lines = run(bench.rig(*boards), tmp_path, text).splitlines()
    assert lines[0] == f"Detected {len(found)} device(s):"
    assert [line.rpartition(":")[2] for line in lines[1:]] == found
    assert all(line.startswith("usb:") for line in lines[1:])


@pytest.mark.parametrize("board", [{"node": 0}, {}], ids=["absent", "without firmware"])
def test_board_that_cannot_be_opened_gives_false_and_one_error(
    bench: Bench, tmp_path: Path, board: dict[str, Any]
) -> None:
    rig = bench.rig() if "node" in board else bench.rig(board)
    output = run(rig, tmp_path, "import depthai; print(depthai.init_device('x.cmd', '1.3'))")
    lines = output.splitlines()
    assert lines[-1] == "False"
    assert sum("cannot initialise device" in line for line in lines) == 1
    assert os.environ.get("DEPTHAI_FIRMWARE") is None


@pytest.mark.parametrize("usb2", [False, True])
def test_usb2_mode_extracts_the_usb2_firmware_from_the_wheel(
    official_python: str, bench: Bench, tmp_path: Path, usb2: bool
) -> None:
    (extension,) = Path(official_python).parents[1].glob("lib/python3.*/site-packages/depthai.*.so")
    wheel, sent = tmp_path / "depthai-1.0.0.0-cp38-cp38-linux.whl", tmp_path / "sent.cmd"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(extension, extension.name)
    text = f"import depthai; print(len(depthai.Device('', {usb2}).get_available_streams()))"
    rig = bench.rig({"image": sent})
    assert run(rig, tmp_path, text, DEPTHAI_FIRMWARE=wheel) == "13\n"
    assert sent.read_bytes() == firmware.extract(extension, usb2=usb2)


def test_usb2_mode_with_a_firmware_image_warns_and_opens(bench: Bench, tmp_path: Path) -> None:
    text = "import depthai; print(len(depthai.Device('', True).get_available_streams()))"
    output = run(bench.rig({}), tmp_path, text, DEPTHAI_FIRMWARE=bench.firmware)
    assert "usb2_mode is ignored: " in output
    assert output.endswith("13\n")
