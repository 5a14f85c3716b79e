"""Every Python reader in `test/fuzz/python`: kept inputs, and a short run of changed seeds."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from reader import CheckedLog, try_input
from readers import READERS
from run import random_inputs

CORPUS = Path(__file__).resolve().parents[1] / "fuzz/corpus"
#: Inputs of the short run, and its longest time on a busy machine.
_INPUTS, _SHARE_S = 150, 1.0


@pytest.fixture(autouse=True)
def checked_log() -> Iterator[None]:
    """Each log record is formatted and can be written."""
    handler, logger = CheckedLog(logging.DEBUG), logging.getLogger("depthai_ros")
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    yield
    logger.removeHandler(handler)
    logger.level, logger.propagate = before


def kept(name: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((CORPUS / name).glob("*"))]


@pytest.mark.parametrize("name", READERS)
def test_hostile_input_is_refused_or_read(name: str) -> None:
    reader = READERS[name]
    for data in kept(name):
        try_input(reader, data)
    end_s = time.process_time() + _SHARE_S
    seeds = [*reader.seeds, *kept(name)]
    for data in itertools.islice(random_inputs(seeds), _INPUTS):
        if time.process_time() > end_s:
            break
        try:
            try_input(reader, data)
        except BaseException as cause:
            raise AssertionError(f"input {data!r}: {cause!r}") from cause
