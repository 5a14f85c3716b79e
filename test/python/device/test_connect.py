"""The firmware for a board on USB: a finished image, or the wheel with two variants."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

import pytest
from test_firmware import make_patch

from depthai_ros.device.connect import read_firmware
from depthai_ros.errors import ConfigError

MIB = 1 << 20
IMAGE = bytes(range(256)) * (MIB // 256)
#: Adds one to every byte, and four bytes at the end.
PATCHED = bytes((value + 1) % 256 for value in range(256)) * (MIB // 256) + b"usb2"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Like the official wheel: an extension with two embedded files between symbols."""
    folder = tmp_path_factory.mktemp("wheel")
    (folder / "image").write_bytes(IMAGE)
    steps = [(len(IMAGE), 4, 0)]
    patch = make_patch(steps, bytes([1]) * len(IMAGE), b"usb2", len(PATCHED))
    (folder / "patch").write_bytes(patch)
    lines = [
        f'.globl {name}Data\\n{name}Data: .incbin \\"{folder / file}\\"\\n'
        f".globl {name}End\\n{name}End: .byte 0\\n"
        for name, file in (("depthai_cmd", "image"), ("depthai_usb2_patch_patch", "patch"))
    ]
    source = folder / "extension.cpp"
    source.write_text(f'asm(".data\\n{"".join(lines)}.text\\n");\n')
    library = folder / "depthai.cpython-38-x86_64-linux-gnu.so"
    subprocess.run(["c++", "-shared", "-fPIC", "-o", library, source], check=True)
    made = folder / "depthai-1.0.0.0-cp38-cp38-manylinux2014_x86_64.whl"
    with zipfile.ZipFile(made, "w") as archive:
        archive.write(library, library.name)
    return made


def test_wheel_gives_either_variant(wheel: Path) -> None:
    assert read_firmware(str(wheel)) == IMAGE
    assert read_firmware(str(wheel), usb2=True) == PATCHED


def test_finished_image_is_used_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "depthai.cmd"
    path.write_bytes(b"image")
    assert read_firmware(str(path)) == b"image"
    with pytest.raises(ConfigError, match=r"force_usb2 is set, but .*extract --usb2"):
        read_firmware(str(path), usb2=True)


@pytest.mark.parametrize("usb2", [False, True])
def test_wheel_without_firmware_is_refused(usb2: bool, tmp_path: Path) -> None:
    path = tmp_path / "other.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("other/__init__.py", "")
    with pytest.raises(ConfigError, match=r"device.firmware: .*other.whl: .*0 extensions"):
        read_firmware(str(path), usb2=usb2)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ConfigError, match=r"device.firmware|force_usb2"):
        read_firmware(str(path), usb2=True)
