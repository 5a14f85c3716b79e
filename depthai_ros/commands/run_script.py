"""Runs a Gen1 program so that its `import depthai` loads the module of this package."""

from __future__ import annotations

import argparse
import os
import runpy
import signal
import sys
from collections.abc import Sequence
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
    try:
        runpy.run_path(arguments.program, run_name="__main__")
    except SystemExit:
        raise
    except BaseException as cause:
        cause.__traceback__ = _of_program(cause.__traceback__)
        sys.excepthook(type(cause), cause, cause.__traceback__)
        return 128 + signal.SIGINT if isinstance(cause, KeyboardInterrupt) else 1
    return 0


def _of_program(frames: TracebackType | None) -> TracebackType | None:
    """A traceback without the frames that started the program."""
    starters = (__file__, runpy.__file__, "<frozen runpy>")
    while frames is not None and frames.tb_frame.f_code.co_filename in starters:
        frames = frames.tb_next
    return frames
