"""Environment variables for processes that publish or subscribe to images."""

import re
import shutil
from pathlib import Path

#: Variable -> value, for started processes. The process keeps large buffers between images
#: (otherwise each image faults its pages in), in large pages where the kernel allows it, and in one
#: heap (otherwise each thread keeps spare buffers). Copies of images bypass the cache, which they
#: would only evict. See bench/delivery_cost.py
#: Source: https://sourceware.org/glibc/manual/latest/html_node/Memory-Allocation-Tunables.html
MEMORY = {
    "GLIBC_TUNABLES": f"glibc.cpu.x86_non_temporal_threshold={1 << 18}:glibc.malloc.hugetlb=1",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 33),
    "MALLOC_TOP_PAD_": str(1 << 26),
}

SHARED_MEMORY = Path("/dev/shm")
#: Processes that reserve a segment of it: camera, subscriber, and one spare.
SEGMENTS = 3


def segment_bytes(profile: str) -> int:
    """Segment size in a Fast DDS profile; 0 if the profile sets none."""
    found = re.search(r"<segment_size>(\d+)</segment_size>", profile)
    return int(found[1]) if found else 0


def free_bytes() -> int:
    """Free shared memory, bytes."""
    return shutil.disk_usage(SHARED_MEMORY).free if SHARED_MEMORY.is_dir() else 0
