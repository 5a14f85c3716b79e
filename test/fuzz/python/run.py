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
import contextlib
import faulthandler
import hashlib
import importlib
import importlib.util
import logging
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


def _guided(reader: Any, options: argparse.Namespace) -> None:
    import atheris
    from reader import try_input

    with contextlib.ExitStack() as stack:
        own = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        seeds = own / "seeds"
        seeds.mkdir()
        (own / "new").mkdir()
        for number, seed in enumerate(reader.seeds):
            (seeds / str(number)).write_bytes(seed)
        folders = [*(path for path in options.corpus if path.is_dir()), own / "new"]
        words = [
            *("run.py", *map(str, folders), str(seeds)),
            *(f"-timeout={_SLOW_S}", f"-artifact_prefix={options.findings}"),
            *("-rss_limit_mb=3000", "-print_final_stats=1", "-len_control=0"),
            f"-max_total_time={options.seconds or 0}",
            f"-runs={options.runs}",
        ]

        def read(data: bytes) -> None:
            try:
                try_input(reader, data)
            except BaseException:
                traceback.print_exc()  # atheris prints it elsewhere
                raise

        atheris.Setup(words, read)
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
        _guided(readers[options.reader], options)
        return 0
    return _at_random(readers[options.reader], options)


if __name__ == "__main__":
    sys.exit(main())
