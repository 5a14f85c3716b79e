"""YAML files: numbers as in YAML 1.2 and yaml-cpp, and errors in plain words."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from depthai_ros.config.yaml_files import read_yaml, read_yaml_lines
from depthai_ros.errors import ConfigError

#: Text of a scalar -> its value. Forms of YAML 1.2, yaml-cpp, OpenCV and rcl.
SCALARS: dict[str, Any] = {
    "1e-05": 1e-05, "-6e-07": -6e-07, "+2E5": 2e5, "1.0e0": 1.0, "1e3": 1000.0, "1.5E+3": 1500.0,
    ".5": 0.5, "-.5": -0.5, "1.": 1.0, "-3.e-2": -0.03, "0.1": 0.1, "6.12323399573677e-17":
    6.12323399573677e-17, "5e-324": 5e-324, "0": 0, "-0": 0, "+7": 7, "640": 640, "007": 7,
    "0x1F": 31, "0o17": 15, ".inf": math.inf, "-.Inf": -math.inf, "+.INF": math.inf,
    # No numbers, but text: 1.1 reads them as 3723, 5, 1000 and a date.
    "1:02:03": "1:02:03", "1-2:3": "1-2:3", "0b101": "0b101", "1_000": "1_000",
    "2020-01-01": "2020-01-01", "1e": "1e", "e5": "e5", ".": ".", "-": None, "+": "+",
    "1.2.3": "1.2.3", "inf": "inf", "nan": "nan", "0x": "0x", "08x": "08x", "=": "=",
    "'1e5'": "1e5", '"1"': "1", "true": True, "yes": True, "OFF": False, "on": True, "y": "y",
    "N": "N", "null": None, "~": None, "": None, "!!float 1e-05": 1e-05, "!!str 1e-05": "1e-05",
}  # fmt: skip


@pytest.mark.parametrize("text", [text for text in SCALARS if text != "-"])
def test_scalar_is_read_as_in_yaml_1_2(text: str, tmp_path: Path) -> None:
    path, expected = tmp_path / "x.yaml", SCALARS[text]
    path.write_text(f"a: {text}\nb: [{text or '~'}]\n")
    found = read_yaml(path)
    assert found == {"a": expected, "b": [expected]}
    assert type(found["a"]) is type(expected)


def test_not_a_number_is_read(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("[.nan, .NaN, .NAN]")
    assert all(math.isnan(each) for each in read_yaml(tmp_path / "x.yaml"))


def test_marks_of_other_programs_at_the_start_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    for start in ("\ufeff", "%YAML:1.0\n", "%YAML:1.0\n---\n", "%YAML 1.2\n---\n", "---\n"):
        path.write_text(
            f"{start}a: !!opencv-matrix\n   rows: 1\n   dt: d\n   data: [ 1., .5e+1 ]\n"
        )
        document, lines = read_yaml_lines(path)
        assert document == {"a": {"rows": 1, "dt": "d", "data": [1.0, 5.0]}}
        assert lines["a.data"] - lines["a"] == 3


#: Text that is no document -> reason, with the place.
WRONG = [
    ("a: [1, 2\n", "line 2 column 1: expected ',' or ']', but got '<stream end>'"),
    ("a: 1\nb: !!int x\n", "line 2 column 4: 'x' is not an integer"),
    ("b: !!bool perhaps\n", "line 1 column 4: 'perhaps' is neither true nor false"),
    ("b: !!float [1]\n", "line 1 column 4: expected a scalar node, but found sequence"),
    ("b: !!timestamp x\n", "line 1 column 4: the tag !!timestamp is not known"),
    ("b: !!binary aGk=\n", "line 1 column 4: the tag !!binary is not known"),
    ("b: !mine x\n", "line 1 column 4: the tag !mine is not known"),
    ("a: &a 1\nb: *a\n", "line 2 column 4: *a is an alias, write the value itself"),
    ("a: 1\n? [b]\n: 1\n", "line 2 column 3: a key that is a list or a mapping"),
    ("a: 1\nb: \x00\n", "character 8 is U+0000, which YAML does not allow"),
    ("a: " + "[" * 40, "line 1 column 35: nested deeper than 32 levels"),
    ("a: " + "9" * 30, "an integer has more than 64 bits"),
    ("a: " + "9" * 5000, "an integer has more than 64 bits"),
    ("a: 1\n--- \nb: 2\n", "line 2 column 1: but found another document"),
]


@pytest.mark.parametrize(("text", "reason"), WRONG)
def test_reason_is_a_sentence_with_the_place(text: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_yaml(path)
    assert str(caught.value) == f"{path}: not YAML: {reason}"
