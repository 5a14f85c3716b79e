"""The tests of the USB sessions with a real kernel, its xHCI driver, and the driver in a guest."""

from __future__ import annotations

import test_usb_sessions

#: Tests that this rig leaves out -> reason. `conftest.py` deselects single cases.
NOT_HERE = {
    "test_refused_access_is_reported_with_path_owner_and_rule": "test_guest_faults: real rights",
    "test_wrong_descriptors_are_refused_or_read_past": "test_guest_faults: the kernel refuses some",
    "test_replugging_in_mid_frame_leaves_nothing_behind_in_python": "time: dozens of sessions",
}

globals().update(
    (name, value)
    for name, value in vars(test_usb_sessions).items()
    if name.startswith("test_") and name not in NOT_HERE
)
