#!/usr/bin/env python3
"""Looks for inputs that a reader in Python does not refuse properly.

    run.py READER [--runs N] [--seconds S] [--findings PREFIX] [CORPUS ...]
    run.py --list

With atheris (tools/requirements-fuzz.txt) inputs that reach new code are kept in the first CORPUS
folder; without it, the seeds and the corpus are changed at random. An input that gives a finding is
written to PREFIX and its kind; the exit status is not 0 then.
"""

from __future__ import annotations

import argparse
import faulthandler
import hashlib
import importlib
import importlib.util
import logging
import mmap
import os
import random
import resource
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "support"), str(HERE.parents[2])]

#: Time for one input, and what the process may take beyond its first memory.
_SLOW_S, _ROOM_BYTES = 20, 2 << 30
_MOST_BYTES = 4096
#: Inputs of one process: atheris keeps every array that instrumented code compares.
_PART = 5000


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + _ROOM_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))


def _strict() -> None:
    """Warnings are errors, and log records are formatted."""
    from reader import CheckedLog

    warnings.simplefilter("error")
    logging.getLogger("depthai_ros").addHandler(CheckedLog(logging.DEBUG))
    logging.getLogger("depthai_ros").setLevel(logging.DEBUG)
    logging.getLogger("depthai_ros").propagate = False


# -- without atheris


def changed(seed: bytes, source: random.Random) -> bytes:
    """A copy of a seed with a few changes."""
    data = bytearray(seed)
    for _ in range(source.randint(0, 6)):
        at = source.randint(0, len(data))
        part = source.choice(
            [source.randbytes(source.randint(1, 8)), bytes([source.choice(b'\0\1\xff"[{-9')]) * 2]
        )
        kind = source.randint(0, 3)
        if kind == 0:
            data[at:at] = part
        elif kind == 1:
            data[at : at + len(part)] = part
        elif kind == 2:
            del data[at : at + source.randint(1, 8)]
        else:
            data[at:at] = data[: source.randint(0, 40)]
    return bytes(data[: max(len(seed), _MOST_BYTES)])


def random_inputs(seeds: list[bytes], first: int = 1) -> Iterator[bytes]:
    """The seeds, then changed ones without end; the same for equal arguments."""
    yield from seeds
    source = random.Random(first)
    while True:
        yield changed(source.choice(seeds), source)


def _kept(folders: list[Path]) -> list[bytes]:
    paths = sorted(path for folder in folders if folder.is_dir() for path in folder.iterdir())
    return [path.read_bytes() for path in paths]


def _at_random(reader: Any, options: argparse.Namespace) -> int:
    from reader import try_input

    print("atheris is not installed: inputs are changed at random", file=sys.stderr)
    end_s = time.monotonic() + (options.seconds or 1e9)
    count = 0
    seeds = [*reader.seeds, *_kept(options.corpus)]
    for data in random_inputs(seeds, options.first):
        if count == options.runs or time.monotonic() > end_s:
            break
        count += 1
        if count % 1000 == 0:
            print(f"#{count}", file=sys.stderr, flush=True)
        faulthandler.dump_traceback_later(_SLOW_S, exit=True)
        try:
            try_input(reader, data)
        except BaseException:
            digest = hashlib.sha1(data, usedforsecurity=False).hexdigest()
            Path(f"{options.findings}crash-{digest}").write_bytes(data)
            raise
    faulthandler.cancel_dump_traceback_later()
    print(f"stat::number_of_executed_units: {count}", file=sys.stderr)
    return 0


# -- with atheris


def _guided(reader: Any, options: argparse.Namespace) -> int:
    """Run parts of `_PART` inputs until all are done; returns the status of the last part."""
    executed = mmap.mmap(-1, 8)  # shared: number of inputs so far
    end_s = time.monotonic() + (options.seconds or 1e9)
    with tempfile.TemporaryDirectory() as own:
        folders = [*(path for path in options.corpus if path.is_dir()), Path(own, "new")]
        seeds = Path(own, "seeds")
        for folder in (seeds, folders[-1]):
            folder.mkdir()
        for number, seed in enumerate(reader.seeds):
            (seeds / str(number)).write_bytes(seed)
        status, done = 0, 0
        while status == 0 and done != options.runs and (left_s := end_s - time.monotonic()) > 1:
            part = _PART if options.runs < 0 else min(_PART, options.runs - done)
            words = [*map(str, (*folders, seeds)), f"-runs={part}"]
            words += [f"-max_total_time={round(left_s)}", f"-artifact_prefix={options.findings}"]
            if (child := os.fork()) == 0:
                _run_part(reader, words, executed)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            done = int.from_bytes(executed[:], sys.byteorder)
            print(f"stat::number_of_executed_units: {done}", file=sys.stderr, flush=True)
    return status


def _run_part(reader: Any, words: list[str], executed: mmap.mmap) -> None:
    """Run atheris, which ends the process."""
    import atheris
    from reader import try_input

    def read(data: bytes) -> None:
        executed[:] = (int.from_bytes(executed[:], sys.byteorder) + 1).to_bytes(8, sys.byteorder)
        try:
            try_input(reader, data)
        except BaseException:
            traceback.print_exc()  # atheris prints it elsewhere
            raise

    limits = [f"-timeout={_SLOW_S}", "-rss_limit_mb=3000", "-len_control=0", "-verbosity=0"]
    atheris.Setup(["run.py", *words, *limits], read)
    atheris.Fuzz()


def main() -> int:
    """Run one reader."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("reader", nargs="?", help="a name of the list")
    parser.add_argument("corpus", nargs="*", type=Path)
    parser.add_argument("--list", action="store_true", help="print the names of the readers")
    parser.add_argument("--runs", type=int, default=-1)
    parser.add_argument("--seconds", type=int, default=0)
    parser.add_argument("--findings", default="", metavar="PREFIX")
    parser.add_argument("--first", type=int, default=1, help="of random changes (1)")
    options = parser.parse_intermixed_args()
    guided = importlib.util.find_spec("atheris") is not None and not options.list
    if guided:
        import atheris

        with atheris.instrument_imports(include=["depthai_ros"]):
            readers = importlib.import_module("readers").READERS
    else:
        readers = importlib.import_module("readers").READERS
    if options.list:
        print("\n".join(readers))
        return 0
    if options.reader not in readers:
        parser.error(f"unknown reader {options.reader!r}; there are {', '.join(readers)}")
    _strict()
    _limit_memory()
    if guided:
        return _guided(readers[options.reader], options)
    return _at_random(readers[options.reader], options)


if __name__ == "__main__":
    sys.exit(main())
