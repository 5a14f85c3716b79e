"""Runs a Gen1 program so that its `import depthai` loads the module of this package."""

from __future__ import annotations

import argparse
import os
import runpy
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType

from .. import depthai

#: Folder with a module named `depthai`, for processes that the program starts.
_NAME_FOLDER = Path(__file__).resolve().parents[1] / "gen1/name"
_EPILOG = """
SELECTOR is virtual, virtual:SCENE, unix:/path, tcp:host:port or usb; it is also read from the
environment variable DEPTHAI_DEVICE. Example: depthai-run --device virtual my_program.py
"""


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="depthai-run",
        description="Run a program written for the Gen1 DepthAI module.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--device", metavar="SELECTOR", help="device for the program")
    parser.add_argument("program", nargs="?", help="path of the program")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="its arguments")
    arguments = parser.parse_args(words)
    if arguments.program is None:
        parser.error("no program is given; example: depthai-run --device virtual my_program.py")
    return arguments


def main(words: Sequence[str] | None = None) -> int:
    """Run the program in this process and return its exit status; 2 = no such program."""
    arguments = _arguments(words)
    program = Path(arguments.program)
    if not program.exists():
        print(f"depthai-run: no such program: {program}", file=sys.stderr)
        return 2
    if arguments.device is not None:
        os.environ["DEPTHAI_DEVICE"] = arguments.device
    sys.modules["depthai"] = depthai
    paths = [str(_NAME_FOLDER), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    sys.argv = [arguments.program, *arguments.arguments]
    folder = program if program.is_dir() else program.parent
    sys.path[0:1] = [str(folder.resolve()), str(_NAME_FOLDER)]
    sys.excepthook = partial(_report, sys.excepthook)
    runpy.run_path(arguments.program, run_name="__main__")
    return 0


def _report(
    report: Callable[[type[BaseException], BaseException, TracebackType | None], object],
    kind: type[BaseException],
    cause: BaseException,
    frames: TracebackType | None,
) -> None:
    """Report an exception without the frames that started the program."""
    program = frames
    while program is not None and program.tb_frame.f_code.co_filename != __file__:
        program = program.tb_next
    starters = (__file__, runpy.__file__, "<frozen runpy>")
    while program is not None and program.tb_frame.f_code.co_filename in starters:
        program = program.tb_next
    report(kind, cause.with_traceback(program), program)
