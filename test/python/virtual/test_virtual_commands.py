"""The virtual device executes camera commands and ignores malformed ones."""

from __future__ import annotations

import pytest

from depthai_ros.virtual.commands import CameraState


def brightness(state: CameraState, camera: str = "left") -> float:
    """Brightness of a pixel that has 100 at the natural exposure."""
    table = state.exposure_table(camera)
    return 100.0 if table is None else float(table[100])


#: Commands to the left camera -> brightness of a pixel that has 100 at the natural exposure.
EXPOSURES: list[tuple[tuple[str, ...], float]] = [
    ((), 100),
    (("5 1 5000 400 33333",), 50),
    (("5 1 10000 800 33333",), 200),
    (("5 1 5000 400 33333", "6 1"), 100),
    (("10 1 -2",), 50),
    (("10 1 -2", "10 1 0"), 100),
    (("10 1 +2",), 200),
    # Compensation applies to automatic exposure only.
    (("10 1 -2", "5 1 10000 400 33333"), 100),
    (("10 1 -2", "5 1 10000 400 33333", "6 1"), 50),
    (("12 1 1", "10 1 -2"), 100),
    (("12 1 1", "10 1 -2", "12 1 0"), 50),
    (("12 1 1", "12 1 1", "12 1 0", "12 1 0"), 100),
    (("10 2 -2", "5 0 5000 400 33333"), 100),
    (("10 1 99999999999999999999",), 255),
    (("10 1 -99999999999999999999",), 0),
    (("5 1 99999999999999999999 99999999999999999999 1",), 255),
    (("5 1 -5 400 1",), 0),
]


@pytest.mark.parametrize("case", EXPOSURES, ids=lambda case: ", ".join(case[0]) or "none")
def test_exposure_commands_change_the_brightness(case: tuple[tuple[str, ...], float]) -> None:
    commands, expected = case
    state = CameraState()
    for words in commands:
        state.execute(f"3A {words}\0".encode())
    assert brightness(state) == expected
    logs = [line.partition(" (")[0] for line in state.take_logs()]
    assert logs == [f"camera control 3A {words}" for words in commands]


def test_the_log_names_a_camera_control() -> None:
    state = CameraState()
    state.execute(b"3A 5 1 8000 400 200000\0")
    state.execute(b"3A 99 0\0")
    assert state.take_logs() == [
        "camera control 3A 5 1 8000 400 200000 (AE_MANUAL of left)",
        "camera control 3A 99 0 (unknown of rgb)",
    ]


@pytest.mark.parametrize(
    "command",
    [
        b"",
        b"3A \0",
        b"3A 5\0",
        b"3A 5 1\0",
        b"3A 5 1 2000\0",
        b"3A 10 1\0",
        b"3A 12 1\0",
        b"3A 12 1 x\0",
        b"3A 5 9 1 1 1\0",
        b"3A 5 -1 1 1 1\0",
        b"3A \xff\xfe\0",
        b"3A 5 1 1 1",
        bytes(2),
        b"\x04" + bytes(32),
    ],
)
def test_malformed_command_is_logged_and_ignored(command: bytes) -> None:
    state = CameraState()
    state.execute(command)
    (line,) = state.take_logs()
    assert line.startswith("ignored ")
    assert brightness(state) == 100
    assert not state.take_still_request()
