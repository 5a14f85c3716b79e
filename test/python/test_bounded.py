"""The readers of JSON, text and numbers that others wrote, with hostile input."""

from __future__ import annotations

import json
from typing import Any

import pytest

from depthai_ros.bounded import clean_text, device_json, number, read_json, shown, whole
from depthai_ros.errors import DecodeError

#: Name -> text, words of the error.
HOSTILE: dict[str, tuple[bytes | str, str]] = {
    "empty": (b"", "line 1 column 1"),
    "not UTF-8": (b'{"a": "\xff"}', "byte 7: not UTF-8 text"),
    "UTF-16": ("{}".encode("utf-16"), "byte 0: not UTF-8 text"),
    "too large": ('"' + "x" * 300_000 + '"', "300002 bytes, at most 200000"),
    "arrays": ("[" * 50_000 + "]" * 50_000, "nested deeper than 32 levels"),
    "objects": ('{"a":' * 30_000, "nested deeper"),
    "arrays behind a string": ('["]", "\\"]"' + ", [" * 40_000, "nested deeper"),
    "a closed beginning": ("]" * 50 + "[" * 99, "nested deeper"),
    "no end": ('{"a": 1', "line 1 column"),
    "endless string": ('["' + '\\"' * 90_000, "Unterminated string"),
    "lone backslash": ('"\\', "line 1 column"),
    "second line": ('{\n"a": oops}', "line 2 column 6: Expecting value"),
    "NaN": ("[NaN]", "NaN, must be a finite number"),
    "Infinity": ('{"a": -Infinity}', "-Infinity, must be a finite number"),
    "1e999": ("[1e999]", "1e999, must be a finite number"),
    "a long float": ("[" + "9" * 400 + ".5]", "must be a finite number"),
    "10**400": ("[1" + "0" * 400 + "]", "an integer has more than 64 bits"),
    "10**5000": ("[1" + "0" * 5000 + "]", "an integer has more than 64 bits"),
    "2**63": (f"[{1 << 63}]", "an integer has more than 64 bits"),
    "control character": ('"\x1b"', "Invalid control character"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_json_is_one_short_error(case: str) -> None:
    data, words = HOSTILE[case]
    with pytest.raises(DecodeError, match=words) as caught:
        read_json(data, what="x.json", max_bytes=200_000)
    assert str(caught.value).startswith("x.json: ")
    assert len(str(caught.value)) < 200
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "document",
    [
        {"a": [1, -2.5, True, None, "Ä 🎥"]},
        [(1 << 63) - 1, -(1 << 63), 1e300, 0.0],
        'brackets in text: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[ " \\',
        json.loads("[" * 32 + "]" * 32),
    ],
)
def test_every_other_document_is_read_as_it_is(document: Any) -> None:
    for text in (json.dumps(document), json.dumps(document, ensure_ascii=False)):
        assert read_json(text.encode(), what="x", max_bytes=1000) == document
        assert read_json(text, what="x", max_bytes=1000) == document


def test_lone_surrogates_are_replaced_in_keys_and_values() -> None:
    document = read_json(rb'{"\ud800": ["\udfff", "\ud83d\ude00"]}', what="x", max_bytes=100)
    assert document == {"�": ["�", "\U0001f600"]}


def test_text_of_a_device_ends_at_the_first_zero_byte_and_may_have_wrong_bytes() -> None:
    document = device_json(b'{"a": "\xff\xfe"}\0[[[', what="x", max_bytes=100)
    assert document == {"a": "��"}
    with pytest.raises(DecodeError, match=r"x: \[1\], must be a JSON object"):
        device_json(b"[1]", what="x", max_bytes=100)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("plain Ä 🎥 \\", "plain Ä 🎥 \\"),
        ("\x1b[31m\a\0\x7f\x9b", "\\x1b[31m\\x07\\x00\\x7f\\x9b"),
        ("a\r\n[ERROR] forged\t", "a\\r\\n[ERROR] forged\\t"),
        ("\u2028\u202e\u2066", "\\u2028\\u202e\\u2066"),
        ("\ud800", "�"),
        ("x" * 61, "x" * 59 + "…"),
        ("\n" * 61, "\\n" * 29 + "\\…"),
    ],
)
def test_cleaned_text_fits_one_line(text: str, cleaned: str) -> None:
    assert clean_text(text, 60) == cleaned


def test_numbers_are_checked_for_type_and_range() -> None:
    assert number(3, "n", 0, 5) == 3.0
    assert isinstance(number(3, "n", 0, 5), float)
    assert whole(3, "n", 0, 5) == 3
    for value in (True, None, "3", 6, -1, 10**400, float("nan"), float("inf"), [3]):
        with pytest.raises(DecodeError, match=r"n is .*, must be a number from 0 to 5"):
            number(value, "n", 0, 5)
        with pytest.raises(DecodeError, match=r"n is .*, must be an integer from 0 to 5"):
            whole(value, "n", 0, 5)
    with pytest.raises(DecodeError, match=r"n is 3\.0, must be an integer"):
        whole(3.0, "n", 0, 5)


def test_any_value_can_be_shown() -> None:
    nested: Any = []
    for _ in range(50_000):
        nested = [nested]
    assert shown(nested) == "a list"
    assert shown(10**5000) == "a number of 16610 bits"
    assert shown([10**5000]) == "a list"
    assert shown("\x1b\ud800") == "'\\x1b\\ud800'"
    assert len(shown("x" * 1000)) == 80
    while nested:  # Python frees deep lists by recursion
        nested = nested.pop()
