"""Which of the shared tests the guest runs, and why not the others.

The whole tables run on the emulated bus in `make test`, and here in `make test-long`.
"""

from __future__ import annotations

from lengths import IN_FULL

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

#: Sessions that the guest runs also in `make test-usb`: the part that the kernel has in each.
ALWAYS = {
    "test_whole_session_is_bit_exact": "its transfers, its re-enumeration",
    "test_session_is_bit_exact_with[USB 2 speed]": "another bus, other packet sizes",
    "test_firmware_of_any_size_is_taken[1536]": "the empty packet at the end",
    "test_two_drivers_with_two_boards_do_not_disturb_each_other[selectors0]": "usbfs for two",
    "test_answer_says_why_it_does_not_open[stall in the boot]": "a halted endpoint",
    "test_answer_says_why_it_does_not_open[disconnect in the boot]": "transfers that are given up",
    "test_busy_device_is_told_with_the_process_that_has_it": "a claimed interface",
    "test_firmware_that_a_killed_driver_left_running_is_reset": "what usbfs lets go of",
    "test_fault_while_streaming_ends_the_link_at_once[transfer error]": "its three more tries",
    "test_fault_while_streaming_ends_the_link_at_once[babble]": "xhci's word for it",
    "test_fault_while_streaming_ends_the_link_at_once[unplugged in a frame]": "no udevd in between",
    "test_link_can_be_cut_while_transfers_are_in_flight": "transfers that are taken back",
}


def is_left_out(file: str, name: str) -> bool:
    """By the file of the test, and its name with its parameters."""
    if any(name.endswith(f"{case}]") for case in LEFT_OUT):
        return True
    return file == "test_guest_sessions.py" and not IN_FULL and name not in ALWAYS
