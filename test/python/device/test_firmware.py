"""Extracting firmware from a library, and the patch that makes its variant."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest
from firmware_files import make_patch, sign_magnitude

from depthai_ros.commands import udev
from depthai_ros.device import firmware, usb_sysfs

TRANSPORT = Path(__file__).resolve().parents[3] / "src" / "transport"
OLD = bytes(range(256)) * 8


def test_patch_adds_inserts_and_seeks_backwards() -> None:
    steps = [(4, 2, -4), (4, 0, 0)]
    patch = make_patch(steps, bytes([1] * 4 + [255] * 4), b"ab", 10)
    old = bytes([10, 20, 30, 40, 50])
    assert firmware.apply_patch(old, patch) == bytes([11, 21, 31, 41]) + b"ab" + bytes(
        [9, 19, 29, 39]
    )


@pytest.mark.parametrize(
    ("patch", "words"),
    [
        (b"BSDIFF41" + bytes(24), "begins with"),
        (b"BSDIFF40" + sign_magnitude(5) * 3 + b"no bz2", "damaged"),
        (make_patch([(9999, 0, 0)], bytes(9999), b"", 9999), "does not belong"),
        (make_patch([(4, 0, 0)], bytes(4), b"", 5), "expected 5"),
    ],
)
def test_patch_that_does_not_fit_is_refused(patch: bytes, words: str) -> None:
    with pytest.raises(firmware.FirmwareError, match=words):
        firmware.apply_patch(OLD, patch)


def test_file_that_is_no_library_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / "wrong.so"
    wrong.write_bytes(b"hello" * 100)
    assert firmware.main(["extract", str(wrong), "-o", str(tmp_path / "x.cmd")]) == 1
    assert "not a 64-bit little-endian ELF file" in capsys.readouterr().err
    assert not (tmp_path / "x.cmd").exists()


def test_wheel_without_an_extension_is_refused(tmp_path: Path) -> None:
    wheel = tmp_path / "some.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("some/data.txt", "nothing")
    with pytest.raises(firmware.FirmwareError, match="0 extensions"):
        firmware.extract(wheel)


def test_library_without_firmware_is_refused() -> None:
    from depthai_ros import _core

    with pytest.raises(firmware.FirmwareError, match="no symbols mark the place of depthai_cmd"):
        firmware.extract(Path(_core.__file__))


def test_boards_have_the_numbers_by_which_the_core_knows_them() -> None:
    header = (TRANSPORT / "usb_transport.hpp").read_text()
    found = re.findall(r"k(?:Usb|Rom|Booted)(?:Vendor|Product) = 0x(\w+);", header)
    assert found == [usb_sysfs.VENDOR, usb_sysfs.ROM, usb_sysfs.BOOTED]


def test_rule_is_installed_where_udev_reads_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert udev.main(["--folder", str(tmp_path / "rules.d")]) == 0
    text = (tmp_path / "rules.d/80-depthai.rules").read_text()
    assert 'ATTRS{idVendor}=="03e7"' in text
    rule = text.splitlines()[1]
    assert f'R"({rule})"' in (TRANSPORT / "usb_errors.cpp").read_text()
    assert "installed" in capsys.readouterr().out
