"""Runs a virtual device as a process: `python -m depthai_ros.virtual --help`."""

from __future__ import annotations

import argparse
import logging
import signal
import sys

from .. import _core
from ..cameras import RGB_WIDTHS
from ..errors import DepthaiError
from . import rgb_calibration
from .eeprom_store import Eeprom
from .scenes.source import SCENES
from .session import DeviceSession, make_eeprom
from .settings import FAULTS, VirtualSettings, parse_settings

_log = logging.getLogger(__name__)

#: A host pings as soon as it is connected, and gives up after 10 s.
_FIRST_REQUEST_S = 5.0

_EPILOG = f"""
DEVICE is SCENE[=PATH][?key=value&...]; scenes: {", ".join(SCENES)}.
keys: eeprom=-1|1..5  strict=0|1  mx_id=TEXT  drift_ppm=N  uptime_s=N
      lens=0|1  noise=0|1
      absent=CAMERA,CAMERA  usb_speed=SPEED  pace=camera|receiver  stereo_lag_ms=LOW:HIGH
      fault=KIND:STREAM:N with KIND one of {", ".join(FAULTS)}
Connect to it with the device selector unix:/path or tcp:host:port.
"""


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m depthai_ros.virtual",
        description="A virtual DepthAI device: the device side of the wire protocol, in software.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument(
        "--listen", metavar="ADDRESS", help="wait for hosts at unix:/path or tcp:127.0.0.1:port"
    )
    where.add_argument(
        "--rgb-camera-info",
        type=int,
        choices=sorted(RGB_WIDTHS),
        metavar="LINES",
        help="print the camera_info file of the rgb camera with lens=1, for images of 1080, 2160 "
        "or 3040 lines",
    )
    where.add_argument(
        "--rgb-camchain",
        action="store_true",
        help="print the pose of the rgb camera with lens=1, as a camchain of Kalibr",
    )
    where.add_argument("--fd", type=int, help="serve one host on this connected socket")
    parser.add_argument("--device", default="", metavar="DEVICE", help="device description")
    parser.add_argument(
        "--first-request-s",
        type=float,
        default=_FIRST_REQUEST_S,
        metavar="S",
        help="with --listen: end a connection whose host is silent from the start (%(default)g s)",
    )
    parser.add_argument("--log-level", default="warning", help="debug, info, warning or error")
    return parser.parse_args(words)


def _session(
    transport: _core.Transport, settings: VirtualSettings, eeprom: Eeprom
) -> DeviceSession:
    return DeviceSession(_core.Link(transport=transport, role="device"), settings, eeprom)


def _listen(address: str, settings: VirtualSettings, eeprom: Eeprom, silence_s: float) -> None:
    """Serve one host after the other; a session that fails ends, and the next host is served."""
    listener = _core.Listener(address=address)
    print(f"virtual device waits at {listener.address}", flush=True)
    while True:  # accept() times out so that Python can handle signals
        transport = listener.accept(timeout_s=0.5)
        if transport is None:
            continue
        session = _session(transport, settings, eeprom)
        try:
            session.run(first_request_s=silence_s)
        except Exception:
            _log.exception("session ends by a bug of the virtual device")


def main(words: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    arguments = _arguments(words)
    if arguments.rgb_camera_info or arguments.rgb_camchain:
        lines = arguments.rgb_camera_info
        print(rgb_calibration.camera_info(lines) if lines else rgb_calibration.camchain(), end="")
        return 0
    logging.basicConfig(
        level=arguments.log_level.upper(), format="virtual device: %(levelname)s %(message)s"
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    _core.keep_large_buffers()
    try:
        settings = parse_settings(arguments.device)
        eeprom = make_eeprom(settings)
        if arguments.listen:
            _listen(arguments.listen, settings, eeprom, arguments.first_request_s)
        else:
            _session(_core.Transport.from_fd(fd=arguments.fd), settings, eeprom).run()
    except DepthaiError as cause:
        print(f"virtual device: {cause}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
