"""Resources of a process, as the kernel counts them."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from pathlib import Path


def in_use(pid: int) -> dict[str, int]:
    """Threads, open files and resident memory of a process. Raises OSError if it has ended.

    `memory_kib` is the resident memory without pages of files, which the kernel drops and reads
    again as other processes need memory.
    """
    folder = Path("/proc", str(pid))
    status = dict(row.split(":", 1) for row in (folder / "status").read_text().splitlines())
    return {
        "threads": len(list((folder / "task").iterdir())),
        "files": len(list((folder / "fd").iterdir())),
        "resident_kib": int(status["VmRSS"].split()[0]),
        "memory_kib": sum(int(status[name].split()[0]) for name in ("RssAnon", "RssShmem")),
    }


def open_files(pid: int) -> Counter[str]:
    """What the descriptors of a process refer to; numbers in names are replaced by N."""
    found: Counter[str] = Counter()
    for link in Path("/proc", str(pid), "fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            found[re.sub(r"\d+", "N", str(link.readlink()))] += 1
    return found
