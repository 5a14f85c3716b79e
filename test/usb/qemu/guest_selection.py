"""Which of the shared tests the guest runs, and why not the others."""

from __future__ import annotations

#: Single cases of the shared tables that are not for this rig, and why.
LEFT_OUT = {
    "no byte of the boot is taken": "QEMU counts what a cancelled OUT transfer carries as sent",
    "plain": "time: the whole session is there",
    "transfers of odd sizes": "time: the kernel has no part in how a payload is cut",
    "promises_more": "time: one of the wrong string descriptors will do",
    "promises_less": "time",
    "empty": "time",
    "wrong_type": "time",
    "unreadable": "time",
    "not_ascii": "time",
    "nothing is at that port": "time: with the bus in the selector, it is there",
    "usb:2-2:2-14442C1000000002": "time: three of the selectors will do",
    "usb:14442C1000000002-2:2-14442C1000000002": "time",
    "selectors1": "time: two drivers that name their boards are there",
}


def is_left_out(name: str) -> bool:
    """By the name of the test, with its parameters."""
    return any(name.endswith(f"{case}]") for case in LEFT_OUT)
