"""What others wrote (a device, a file, a user) is read in few places, which have bounds."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "depthai_ros"
MODULES = {
    str(path.relative_to(PACKAGE).with_suffix("")).replace("/", "."): path
    for path in sorted(PACKAGE.rglob("*.py"))
}

#: Call that parses a text, or reads or opens a file -> the modules that may make it, and why.
READERS: dict[str, dict[str, str]] = {
    r"json\.loads?|JSONDecoder|raw_decode": {"bounded": "bounds size, depth and numbers"},
    r"yaml\.\w*(load|parse|compose|scan)\w*|\w*Loader": {
        "config.yaml_files": "bounds size and depth"
    },
    r"(ast|marshal|pickle|shelve|plistlib|tomllib|configparser)\.\w+|eval|exec": {},
    r".*\.read_(bytes|text)": {
        "device.usb_sysfs": "a file of the kernel",
        "virtual.scenes.replay": "an image that the user chose for the virtual device",
    },
    r"(os\.|io\.|.*[pP]ath\.|.*place\.)?(fd)?open": {
        "config.paths": "bounds size and kind, and replaces files",
        "device.device_lock": "the locks of devices",
        "device.processes": "files of the kernel, of which it reads the beginning",
        "device.usb_sysfs": "opens a USB device without reading",
        "launch.actions": "writes files of its own",
    },
    r"np\.(fromfile|load|loadtxt|genfromtxt|memmap)": {},
}

#: Path with a part that does not stand in the code -> why that part comes from no device.
JOINED_PATHS: dict[str, str] = {
    "config.paths: Path(prefix, 'share', package)": "from the environment",
    "config.paths: root / rest": "the rest of package://PACKAGE/REST, written by the user",
    "config.paths: path.parent / f'.{secrets.token_hex(8)}.new'": "random",
    "device.device_lock: _folder() / f'depthai_ros.{digest}.{user}'": "a hash and a number",
    "device.usb_sysfs: self.root / f'dev/bus/usb/{bus:03}/{number:03}'": "numbers of the kernel",
    "device.usb_sysfs: self.root / name": "constants",
    "launch.actions: Path(f'/proc/{os.getpid()}/fd/{number}')": "numbers of the kernel",
    "launch.actions: resolve_path(f'{SHARE}/config/rviz') / f'{text}.rviz'": "written by the user",
    "node.services: camera_info_places.folder(self._supervisor.settings) / name": "a safe_name",
    "calibration.camera_info_places: folder(settings) / f'{name}.yaml'": "the name of the node",
    "calibration.camera_info_places: place / name": "the name of the node",
    "commands.udev: folder / source.name": "our own file",
    "extras: Path(sysconfig.get_path('stdlib'), 'EXTERNALLY-MANAGED')": "from Python itself",
    "ros_features: Path(prefix, path)": "from the environment, and constants",
}
_JOINING = re.compile(r"Path|PurePath|os\.path\.join|.*\.(joinpath|with_name|with_stem)")
_PLACE = re.compile(r"folder|path|root|dir|Path|place|home", re.IGNORECASE)

#: Attribute with text of a device; in a name (text without blanks) it has to pass safe_name.
_DEVICE_TEXT = re.compile(r"\bmx_id\b|\bboard_name\b|\bfirmware_version\b|\bproduct\b|\beeprom\b")


@cache
def nodes() -> list[tuple[str, ast.AST]]:
    """(module, node) of every node of the package's syntax trees."""
    return [
        (module, node)
        for module, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    ]


def joined_parts(node: ast.AST) -> list[ast.expr]:
    """The parts that an expression adds to a path; [] if it joins no path."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        is_path = isinstance(node.right, ast.JoinedStr) or _PLACE.search(ast.unparse(node.left))
        return [node.right] if is_path else []
    if isinstance(node, ast.Call) and _JOINING.fullmatch(ast.unparse(node.func)):
        is_text = len(node.args) == 1 and not isinstance(node.args[0], ast.JoinedStr)
        return [] if is_text and ast.unparse(node.func) in ("Path", "PurePath") else node.args
    return []


def joined_paths() -> set[str]:
    """Every "module: path" that has a part which does not stand in the code."""
    return {
        f"{module}: {ast.unparse(node)}"
        for module, node in nodes()
        if any(not isinstance(part, ast.Constant) for part in joined_parts(node))
    }


def test_every_path_from_parts_is_listed_and_none_comes_from_a_device() -> None:
    assert sorted(joined_paths()) == sorted(JOINED_PATHS)


@pytest.mark.parametrize("call", READERS)
def test_only_the_readers_parse_and_open(call: str) -> None:
    found = {
        module
        for module, node in nodes()
        if isinstance(node, ast.Call) and re.fullmatch(call, ast.unparse(node.func))
    }
    assert found == READERS[call].keys()


def test_text_of_a_device_is_part_of_a_name_only_if_it_is_safe() -> None:
    for module, node in nodes():
        if not isinstance(node, ast.JoinedStr):
            continue
        texts = [str(part.value) for part in node.values if isinstance(part, ast.Constant)]
        fields = ast.unparse(node).replace("safe_name(self._health.device.mx_id)", "")
        if not any(" " in text for text in texts):
            assert not _DEVICE_TEXT.search(fields), f"{module}: {ast.unparse(node)}"
