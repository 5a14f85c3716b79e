"""The tests of the USB sessions once more: real kernel, real xHCI driver, driver in the guest."""

from __future__ import annotations

import test_usb_sessions

#: What this rig leaves to the other one, and why. `conftest.py` deselects single cases.
NOT_HERE = {
    "test_refused_access_is_told_with_path_owner_and_rule": "test_guest_faults: with real rights",
    "test_wrong_descriptors_are_refused_or_read_past": "test_guest_faults: the kernel has its say",
    "test_replugging_in_mid_frame_leaves_nothing_behind_in_python": "time: dozens of sessions",
}

globals().update(
    (name, value)
    for name, value in vars(test_usb_sessions).items()
    if name.startswith("test_") and name not in NOT_HERE
)
