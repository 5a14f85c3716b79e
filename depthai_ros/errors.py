"""The errors of this package, as one tree.

    DepthaiError
    ├── DeviceNotFoundError     nothing at that selector, or no permission
    ├── BootError               firmware refused, or the device did not come back
    ├── LinkError               the link to the device is gone or was never there
    │   ├── DeviceLostError     the device is not there any more: unplugged, or it rebooted
    │   └── LinkTimeoutError    the other end did not answer in time; the link itself still stands
    ├── ProtocolError           bytes that break XLink or the session; `.culprit` says whose
    ├── DecodeError             a payload that is not what its stream says (also a ValueError)
    └── ConfigError             an option that is unknown or out of bounds (also a ValueError)
        └── ConfigTypeError     an option of the wrong type, or a required one that is missing

The extension throws the first five; `_core` looks the classes up here, so that there is one tree.
A message says what was attempted, on what, what was found, and what was expected.
"""

from __future__ import annotations


class DepthaiError(Exception):
    """Anything this package reports on purpose."""


class DeviceNotFoundError(DepthaiError):
    """No device answers to the selector, or it may not be opened."""

    #: On USB: "absent", "mismatch", "access" or "busy"; else "".
    reason: str = ""


class BootError(DepthaiError):
    """The firmware was not accepted, or the device did not come back after it."""

    #: "refused", "rejected", "not_returned", "left_over", "descriptors" or "".
    reason: str = ""


class LinkError(DepthaiError):
    """The link to the device broke, was closed, or could not be made."""


class DeviceLostError(LinkError):
    """The device is not there any more: unplugged, or it rebooted."""


class LinkTimeoutError(LinkError):
    """The other end did not answer within the time given; the link is still up."""


class ProtocolError(DepthaiError):
    """Somebody broke the rules of XLink or of the session."""

    #: "host" or "device": the side whose bytes were wrong.
    culprit: str = "device"


class DecodeError(DepthaiError, ValueError):
    """A payload is not what its stream promises."""


class ConfigError(DepthaiError, ValueError):
    """An option is unknown, has the wrong type, or is out of bounds."""


class ConfigTypeError(ConfigError):
    """An option has the wrong type, or a required one is missing."""
