"""Repeats the tests of USB sessions with a real kernel, its xHCI driver, and the driver in it."""

from __future__ import annotations

import test_usb_sessions

#: What this rig leaves to the other one, and why. `guest_selection.py` has single cases.
NOT_HERE = {
    "test_refused_access_is_reported_with_path_owner_and_rule": (
        "test_guest_faults has it with real permissions"
    ),
    "test_wrong_descriptors_are_refused_or_ignored": (
        "test_guest_faults has it: the kernel may refuse them first"
    ),
    "test_replugging_in_mid_frame_leaves_nothing_behind_in_python": "time: dozens of sessions",
}

globals().update(
    (name, value)
    for name, value in vars(test_usb_sessions).items()
    if name.startswith("test_") and name not in NOT_HERE
)
