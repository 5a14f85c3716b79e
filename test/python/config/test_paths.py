"""Paths, and files that are read and written within bounds."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from depthai_ros.config.paths import (
    read_file,
    read_json_file,
    replace_file,
    resolve_path,
    safe_name,
)
from depthai_ros.config.yaml_files import read_yaml
from depthai_ros.errors import ConfigError

SAFE = ["14442C10D1VIRTUAL0", "a", "x-_9", "x" * 64]
UNSAFE = ["", ".", "..", "../../x", "/abs/x", "a.b", "a b", "x\n", "x\0", "ä", "\ud800", "x" * 65]
#: Text -> words of the error, in every function that takes a path.
NO_PATHS = {
    "~nosuchuser/x": "no home folder of ~nosuchuser",
    "a\0b": "cannot be a path",
    "\ud800": "cannot be a path",
    "x" * 256: "cannot be a path",
    "x/" * 3000: "cannot be a path",
}


def test_only_a_plain_word_is_a_file_name() -> None:
    assert [safe_name(text) for text in SAFE] == SAFE
    assert {safe_name(text) for text in UNSAFE} == {""}


@pytest.mark.parametrize("text", NO_PATHS, ids=lambda text: ascii(text)[:12])
def test_what_cannot_be_a_path_is_one_short_error(text: str) -> None:
    for use in (resolve_path, lambda path: read_file(path, 10), read_json_file, read_yaml):
        with pytest.raises(ConfigError, match=NO_PATHS[text]) as caught:
            use(text)
        assert len(str(caught.value)) < 250
        str(caught.value).encode()


def special_files(folder: Path) -> dict[str, Path]:
    """Kind of a file that is no regular one -> its path."""
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(folder / "socket"))
    return {
        "a pipe": folder / "pipe",
        "a socket": folder / "socket",
        "a directory": folder,
        "a device": Path("/dev/zero"),
    }


def test_only_regular_files_are_read_and_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert read_file(tmp_path / "link", 3) == b"old"
    kinds = special_files(tmp_path)
    for kind, path in kinds.items():
        for read in (lambda path: read_file(path, 10), read_json_file, read_yaml):
            with pytest.raises(ConfigError, match=f"^{path}: {kind}, must be a regular file"):
                read(path)
    kinds = {**kinds, "a symbolic link": tmp_path / "link", "a directory": Path("/")}
    before = sorted(tmp_path.iterdir())
    for kind, path in kinds.items():
        with pytest.raises(ConfigError, match=f"^{path}: {kind}, must be a regular file"):
            replace_file(path, b"new")
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "file").read_bytes() == b"old"


def test_file_is_replaced_with_the_usual_rights(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    for content in (b"first", b"second"):
        replace_file(path, content)
        assert path.read_bytes() == content
    assert [each.name for each in path.parent.iterdir()] == ["file"]
    mask = os.umask(0)
    os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask


def test_size_of_a_file_is_bounded_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # a hole: takes no space
    for read in (lambda path: read_file(path, 1000), read_json_file, read_yaml):
        with pytest.raises(ConfigError, match=f"^{path}: more than [0-9]+ bytes"):
            read(path)
    path.write_bytes(b"123456")
    assert read_file(path, 6) == b"123456"
    with pytest.raises(ConfigError, match="more than 5 bytes"):
        read_file(str(path), 5)
    assert read_file("/proc/self/status", 1 << 20)


#: YAML text -> words of the error.
YAML = {
    "[" * 50_000: "nested deeper than 32 levels",
    "- " * 40_000 + "x": "nested deeper than 32 levels",
    "{a: " * 40_000: "nested deeper than 32 levels",
    "[1, 2": r"not YAML: line 1 column 6: expected",
    "a: &a [x]\nb: [*a, *a]": r"not YAML: line \d column \d+: \*a is an alias",
    "a: &a {x: 1}\n<<: *a": r"not YAML: line \d column \d+: \*a is an alias",
    "a: &a [*a]": r"not YAML: line \d column \d+: \*a is an alias",
    "1" + "0" * 400: "more than 64 bits",
    "1" + "0" * 5000: "not YAML",
    "0x" + "f" * 30: "more than 64 bits",
    "!!int ''": "not YAML",
    "!!bool x": "not YAML",
    "!!timestamp x": "not YAML",
    "!!binary ä": "not YAML",
    "!!python/object/apply:os.getcwd []": "not YAML",
    "? [1]\n: 2": "not YAML",
    "\x1b[2J": "not YAML",
}


@pytest.mark.parametrize("text", YAML, ids=lambda text: ascii(text)[:20])
def test_hostile_yaml_is_one_short_error(text: str, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=YAML[text]) as caught:
        read_yaml(path)
    assert str(caught.value).startswith(f"{path}: not YAML: ")
    assert len(str(caught.value)) < 500
    assert str(caught.value).isprintable()


def test_other_yaml_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text('a: [1, 2.5, true, .inf, "\\ud800"]\nb: !!str 7\n')
    assert read_yaml(path) == {
        "a": [1, 2.5, True, float("inf"), "\N{REPLACEMENT CHARACTER}"],
        "b": "7",
    }
    path.write_bytes(b"a: \xff")
    with pytest.raises(ConfigError, match="byte 3: not UTF-8 text"):
        read_yaml(path)


def test_hostile_json_file_is_one_short_error(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for text, words in {"[" * 50_000: "nested deeper", "[1e999]": "finite", "{": "line 1"}.items():
        path.write_text(text)
        with pytest.raises(ConfigError, match=f"^{path}: .*{words}"):
            read_json_file(str(path))
