"""The same program with the official Gen1 module and with ours: all differences are known."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from gen1_hosts import Hosts
from gen1_questions import ABSENT, MODULE
from gen1_reasons import REASONS, TABLE, reason_for
from gen1_rows import Row, both, name_rows, session_rows, value_rows
from gen1_sessions import ENDING, SESSIONS, UNDEFINED
from official_host import clean_environment
from usb_rig import ROOT, FarEnd

from depthai_ros import depthai
from depthai_ros.streams import STREAMS

#: Set this variable to rewrite the table instead of comparing with it; then run `make docs`.
WRITE = "DEPTHAI_ROS_WRITE_DIFFERENTIAL"


@pytest.fixture(scope="session")
def hosts(
    official_python: str, rig_program: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hosts]:
    far_end = FarEnd("pattern?pace=receiver")  # no dropped exposures on a slow machine
    yield Hosts(official_python, rig_program, far_end, tmp_path_factory.mktemp("hosts"))
    far_end.close()


@pytest.fixture(scope="session")
def older_release(official_python: str) -> Path:
    """Folder with the module of the first release, which has `entries()`."""
    folder = ROOT / "build/official-0.2.0.1"
    if not list(folder.glob("depthai.*.so")):
        words = [official_python, "-m", "pip", "install", "-q", "--no-deps", "--target", folder]
        done = subprocess.run(
            [*map(str, words), "--disable-pip-version-check", "depthai==0.2.0.1"],
            env=clean_environment(dict(os.environ)),
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            pytest.skip(f"NOT RUN: pip cannot get depthai==0.2.0.1: {done.stderr[-300:]}")
    return folder


def measured_rows(hosts: Hosts, older_release: Path) -> Iterator[Row]:
    alone = hosts.ask_alone({"names": True, "alone": MODULE})
    yield from name_rows(alone)
    older, ours = hosts.names_of(older_release), alone["ours"].names
    known = {name: ours[name] for name in older if name in ours}
    yield from both("Names and arguments of release 0.2.0.1", older, known)
    part = "The module by itself"
    yield from both(part, alone["official"].values["alone"], alone["ours"].values["alone"])
    with ThreadPoolExecutor(1) as pool:
        absent = pool.submit(hosts.ask_without_board, {"device": ["", False], "opened": ABSENT})
        answers = {
            title: hosts.ask(SESSIONS[title], *UNDEFINED.get(title, {})) for title in SESSIONS
        }
        yield from value_rows("no device", absent.result())
    usual = next(iter(answers.values()))
    for title, pair in answers.items():
        yield from session_rows(title, pair, UNDEFINED.get(title, {}), usual)
    for question, task in ENDING.items():
        part = "Session “old memory”, before a pipeline"
        yield part, question, *hosts.ask_last(question, task).values()


@pytest.fixture(scope="session")
def measured(hosts: Hosts, older_release: Path) -> list[Row]:
    rows = list(measured_rows(hosts, older_release))
    if os.environ.get(WRITE):
        lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        TABLE.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    return rows


def committed() -> list[Row]:
    return [(*row,) for row in json.loads(TABLE.read_text(encoding="utf-8"))]


@pytest.mark.timeout(300)
def test_committed_rows_equal_the_measurement(measured: list[Row]) -> None:
    known = {row[:2]: row[2:] for row in committed()}
    found = {row[:2]: row[2:] for row in measured}
    changed = {key: (known.get(key), found.get(key)) for key in {*known, *found}}
    changed = {key: pair for key, pair in changed.items() if pair[0] != pair[1]}
    assert not changed, f"{len(changed)} rows differ; if that is intended, set {WRITE}=1"


def test_every_difference_has_a_reason() -> None:
    differing = [row for row in committed() if row[2] != row[3]]
    assert [row for row in differing if not reason_for(row)] == []


def test_every_reason_is_used() -> None:
    used = {reason_for(row) for row in committed() if row[2] != row[3]}
    assert [reason for _, _, reason in REASONS if reason not in used] == []


def test_table_covers_every_stream_and_every_command() -> None:
    calls = " ".join(row[1] for row in committed())
    assert [
        name for name in STREAMS if f"{name}.getData()" not in calls and name != "metaout"
    ] == []
    commands = [name for name in vars(depthai.Device) if name.startswith(("request_", "send_"))]
    assert commands
    sent = [row[1] for row in committed() if row[0].startswith("Commands")]
    for name in commands:
        assert any(call.startswith(f"device.{name}(") for call in sent), name
