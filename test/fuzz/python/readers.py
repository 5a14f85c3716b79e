"""The table of all readers in Python that get input from a device, a file or a user."""

from __future__ import annotations

import importlib.util

import device_readers
import file_readers
import gen1_readers
import virtual_readers
from reader import Reader

READERS: dict[str, Reader] = {
    **device_readers.READERS,
    **gen1_readers.READERS,
    **file_readers.READERS,
    **virtual_readers.READERS,
}
if importlib.util.find_spec("rclpy"):
    import message_readers

    READERS |= message_readers.READERS
