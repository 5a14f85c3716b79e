"""`depthai-run`: its words, and the traceback of a program that fails."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from depthai_ros.commands import run_script


@pytest.fixture(autouse=True)
def restored(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the command changes in its process."""
    for holder, name in ((sys, "argv"), (sys, "path")):
        monkeypatch.setattr(holder, name, list(getattr(holder, name)))
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    monkeypatch.setitem(sys.modules, "depthai", None)
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))


def test_without_a_program_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        run_script.main([])
    assert end.value.code == 2
    words = capsys.readouterr().err
    assert "no program is given; example: depthai-run" in words
    assert "arguments" not in words.splitlines()[-1]


@pytest.mark.parametrize(
    ("source", "frames"),
    [
        ("def f():\n    1 / 0\nf()\n", ["<module>", "f"]),
        ("raise KeyboardInterrupt", ["<module>"]),
        ("import no_such_module_anywhere", ["<module>"]),
        ("this is no python", []),
        ("import json\njson.loads('{')", ["<module>", "loads", "decode", "raw_decode"]),
    ],
)
def test_traceback_begins_in_the_program(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    source: str,
    frames: list[str],
) -> None:
    program = tmp_path / "program.py"
    program.write_text(source)
    with pytest.raises((Exception, KeyboardInterrupt)) as end:
        run_script.main([str(program)])
    sys.excepthook(end.type, end.value, end.tb)
    words = capsys.readouterr().err
    found = [line.rpartition(" in ")[2] for line in words.splitlines() if ", in " in line]
    assert found == frames
    assert "run_script" not in words
    assert str(program) in words


def test_status_of_the_program_is_kept(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("import sys\nsys.exit(7)")
    with pytest.raises(SystemExit) as end:
        run_script.main([str(program)])
    assert end.value.code == 7
