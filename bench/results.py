"""Where a benchmark's rows go: a table for people, a file for programs."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]


class JsonFile:
    """A benchmark's own file: {name: rows}."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write_rows(self, name: str, rows: Sequence[Row]) -> None:
        """Replace what the file holds."""
        self._path.write_text(json.dumps({name: rows}, indent=1) + "\n")


def json_file(description: str | None) -> JsonFile | None:
    """The file that the command line asks for, if any: `--json FILE`."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there, too")
    path = parser.parse_args().json
    return None if path is None else JsonFile(path)


def print_rows(rows: Sequence[Row]) -> None:
    """A table with one column per key."""
    titles = list(rows[0])
    cells = [titles, *([_text(row[title]) for title in titles] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(titles))]
    for line in cells:
        first, *others = (f"{cell:>{width}}" for cell, width in zip(line, widths, strict=True))
        print(first.strip().ljust(widths[0]), *others, sep="  ", flush=True)


def _text(value: Any) -> str:
    """One cell; a pair is a range."""
    return "..".join(map(str, value)) if isinstance(value, list) else str(value)
