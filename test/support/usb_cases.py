"""Table of faulty boards and events on the USB bus, with the errors that the driver must raise.

Both rigs run it. `board` has the options of `set_board()` in board.cpp; `fault` is such an option,
set while the board streams.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from usb_rig import IN_GUEST, OTHER_PORT, PORT, THIRD_PORT

MX_ID = "14442C10C14790D000"
#: Consecutive transfers that fail, more than the tries that xHCI drivers give each transfer.
TRIES = 20 if IN_GUEST else 1


@dataclass(frozen=True)
class Case:
    """One row."""

    name: str
    board: dict[str, Any] = field(default_factory=dict)
    selector: str = "usb"
    fault: str = ""
    error: str = ""  # class of the error; "" = must work
    reason: str = ""
    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name


def not_found(reason: str, *words: str) -> dict[str, Any]:
    return {"error": "DeviceNotFoundError", "reason": reason, "words": words}


def not_booted(reason: str, *words: str) -> dict[str, Any]:
    return {"error": "BootError", "reason": reason, "words": words}


def link(*words: str) -> dict[str, Any]:
    return {"error": "LinkError", "words": words}


def lost(*words: str) -> dict[str, Any]:
    return {"error": "DeviceLostError", "words": words or ("left the bus",)}


#: Boards that cannot be opened, and the error.
REFUSALS = [
    Case("nothing is plugged in", {"state": "unplugged"}, **not_found("absent", "vendor 03e7")),
    Case(
        "nothing is at that port",
        selector=f"usb:{THIRD_PORT}",
        **not_found("mismatch", f"usb:{THIRD_PORT}", f"03e7:2485 at 1:{PORT} (not booted)"),
    ),
    Case(
        "nothing is at that port of that bus",
        selector=f"usb:2:{PORT}",
        **not_found("mismatch", f"03e7:2485 at 1:{PORT}"),
    ),
    Case(
        "another product of the vendor",
        {"product": "2150"},
        **not_found("mismatch", f"03e7:2150 at 1:{PORT} (not a board"),
    ),
    Case(
        "another MX id",
        selector="usb:1844DEADBEEF",
        **not_found("mismatch", f"its MX id is {MX_ID}"),
    ),
    Case(
        "stall in the boot",
        {"stall_out": 1},
        **not_booted("refused", "took 0 of 1280003 bytes", "then transfer with"),
    ),
    Case("the boot accepts no byte", {"deaf": 1}, **not_booted("refused", "took 0 of")),
    Case(
        "disconnect in the boot",
        {"boot_unplug": 1},
        **not_booted("not_returned", "left the bus after", "try another port"),
    ),
    Case(
        "disconnect in the boot, the hub reports it late",
        {"boot_unplug": 1, "late_news": 1},
        **not_booted("not_returned", "left the bus after", "try another port"),
    ),
    Case(
        "disconnect between boot and return",
        {"no_return": 1},
        **not_booted("not_returned", "firmware, but no 03e7:f63b", f"port {PORT}"),
    ),
    Case("back unbooted", {"rejects": 1}, **not_booted("rejected", "came back unbooted")),
    Case(
        "firmware left over, no reaction to a reset",
        {"state": "booted", "socket": ""},
        **not_booted("left_over", "unplug it and plug it in again"),
    ),
    Case(
        "disconnect as soon as it has booted",
        {"short_life": 1},
        **not_booted("not_returned", "03e7:f63b"),
    ),
    Case("disconnect in the answer to the ping", {"unplug_after": 1}, **lost()),
    Case("disconnect in a header", {"header_part": 40, "unplug_after": 40}, **lost()),
    Case("disconnect after the ping", {"unplug_after": 85}, **lost()),
    Case("silence from the start", {"hang": 1}, error="LinkTimeoutError", words=("answer",)),
]

#: Malformed descriptors -> reason of the refusal; "" = ignored; "absent" = the operating system
#: does not show the board.
WRONG_SHAPES = {
    "no_interface": "descriptors",
    "no_endpoints": "descriptors",
    "no_bulk": "descriptors",
    "other_endpoints": "",  # the ROM's endpoint numbers are not fixed
    "odd_packets": "descriptors",
    "empty_packets": "descriptors",
    "truncated": "descriptors",
    "promises_more": "",
    "promises_less": "absent",
    "endless_endpoint": "descriptors",
    "long_endpoint": "descriptors",
    "many_interfaces": "descriptors",
    "many_endpoints": "descriptors",
    "many_configurations": "absent",
    "no_configuration": "descriptors",
    "half_a_device": "absent",
}

#: Faults that end streaming at once, and the words of the error.
ENDINGS = [
    Case("stall in", fault="stall_in", **link("refuses (stall)")),
    Case("stall out", fault="stall_out", **link("refuses (stall)")),
    Case("transfer error", fault=f"protocol_error={TRIES}", **link("failed on the wire")),
    Case("babble", fault="babble", **link("sent more than was asked for")),
    Case("unplugged", fault="unplug", **lost()),
    Case("unplugged, the hub reports it late", {"late_news": 1}, fault="unplug", **lost()),
    Case("unplugged in a frame", fault="unplug_after=10000000", **lost()),
    Case("unplugged in a header", {"header_part": 40}, fault="unplug_after=10", **lost()),
]

#: Malformed string descriptors.
WRONG_TEXTS = (
    "promises_more",
    "promises_less",
    "odd",
    "empty",
    "wrong_type",
    "unreadable",
    "not_ascii",
)

#: Boards with which a session must work.
HARMLESS = [
    Case("plain"),
    Case("short packets inside a payload", {"chunk": 100_003}),
    Case("transfers of odd sizes", {"chunk": 10_007}),
    Case("headers in two transfers", {"header_part": 40}),
    Case("USB 2 speed", {"speed": "high"}),
    Case("no serial number", {"serial": ""}),
    Case("back on another port", {"return_port": THIRD_PORT}),
    *(
        Case(f"serial number's descriptor is wrong: {shape}", {"serial_shape": shape})
        for shape in WRONG_TEXTS
    ),
]

TWO_BOARDS = (
    {"port": "1", "serial": "14442C1000000001"},
    {"port": OTHER_PORT, "serial": "14442C1000000002"},
)
