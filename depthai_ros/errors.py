"""The errors of this package, as one tree.

    DepthaiError
    ├── DeviceNotFoundError     no device at that selector, or no permission
    ├── BootError               firmware refused, or the device did not come back
    ├── LinkError               the link to the device broke, or could not be opened
    │   ├── DeviceLostError     the device disappeared: unplugged, or it rebooted
    │   └── LinkTimeoutError    the other end did not answer in time; the link is still up
    ├── ProtocolError           a violation of XLink or of the session; `.culprit` says by whom
    ├── DecodeError             a malformed payload (also a ValueError)
    ├── EncodeError             an image that a format cannot hold (also a ValueError)
    └── ConfigError             an option that is unknown or out of bounds (also a ValueError)
        └── ConfigTypeError     an option of the wrong type, or a required one that is missing

The extension raises the classes down to ProtocolError, and EncodeError; `_core` imports them from
this module.
A message says what was attempted, on what, what was found, and what was expected.
"""

from __future__ import annotations


class DepthaiError(Exception):
    """Base class of all errors that this package raises on purpose."""


class DeviceNotFoundError(DepthaiError):
    """No device matches the selector, or it may not be opened."""

    #: On USB: "absent", "mismatch", "access" or "busy"; else "".
    reason: str = ""


class BootError(DepthaiError):
    """The firmware was not accepted, or the device did not come back after it."""

    #: "refused", "rejected", "not_returned", "left_over", "descriptors" or "".
    reason: str = ""


class LinkError(DepthaiError):
    """The link to the device broke, was closed, or could not be opened."""


class DeviceLostError(LinkError):
    """The device disappeared: unplugged, or it rebooted."""


class LinkTimeoutError(LinkError):
    """The other end did not answer within the time given; the link is still up."""


class ProtocolError(DepthaiError):
    """Host or device violated the XLink or session protocol."""

    #: "host" or "device": the side whose bytes were wrong.
    culprit: str = "device"


class DecodeError(DepthaiError, ValueError):
    """A payload does not have the format of its stream."""


class EncodeError(DepthaiError, ValueError):
    """An image, or a setting for it, that a compressed format cannot hold."""


class ConfigError(DepthaiError, ValueError):
    """An option is unknown, has the wrong type, or is out of bounds."""


class ConfigTypeError(ConfigError):
    """An option has the wrong type, or a required one is missing."""
