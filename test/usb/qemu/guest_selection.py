"""The shared USB tests that run in the guest, and the reasons for the others.

The whole tables run on the emulated bus in `make test`, and in the guest in `make test-long`.
"""

from __future__ import annotations

from lengths import IN_FULL

#: Single cases of the shared tables that never run in the guest, and why.
LEFT_OUT = {
    "the boot accepts no byte": "QEMU reports the bytes of a cancelled OUT transfer as sent",
    "plain": "time: covered by the test of a whole session",
    "transfers of odd sizes": "time: does not depend on the kernel",
    "promises_more": "time: one of the wrong string descriptors is enough",
    "promises_less": "time",
    "empty": "time",
    "wrong_type": "time",
    "unreadable": "time",
    "not_ascii": "time",
    "nothing is at that port": "time: covered by the case with the bus in the selector",
    "usb:2-2:2-14442C1000000002": "time: three of the selectors are enough",
    "usb:14442C1000000002-2:2-14442C1000000002": "time",
    "selectors1": "time: covered by two drivers with ports as selectors",
}

#: Sessions that also run in `make test-usb`, and the kernel's part in each.
ALWAYS = {
    "test_whole_session_is_bit_exact": "transfers, re-enumeration",
    "test_session_is_bit_exact_with[USB 2 speed]": "another bus, other packet sizes",
    "test_firmware_of_any_size_is_sent[1536]": "the empty packet at the end",
    "test_two_drivers_with_two_boards_do_not_disturb_each_other[selectors0]": "usbfs for two",
    "test_error_has_the_reason_why_a_board_does_not_open[stall in the boot]": "a halted endpoint",
    "test_error_has_the_reason_why_a_board_does_not_open[disconnect in the boot]": "lost transfers",
    "test_busy_device_is_reported_with_the_process_that_uses_it": "a claimed interface",
    "test_firmware_that_a_killed_driver_left_running_is_reset": "usbfs releases the interface",
    "test_fault_while_streaming_ends_the_link_at_once[transfer error]": "three retries",
    "test_fault_while_streaming_ends_the_link_at_once[babble]": "the error code of xhci",
    "test_fault_while_streaming_ends_the_link_at_once[unplugged in a frame]": "no udevd in between",
    "test_link_can_be_closed_while_transfers_are_in_flight": "cancelled transfers",
}


def is_left_out(file: str, name: str) -> bool:
    """True for a test that does not run in the guest; `name` includes the parameters."""
    if any(name.endswith(f"{case}]") for case in LEFT_OUT):
        return True
    return file == "test_guest_sessions.py" and not IN_FULL and name not in ALWAYS
