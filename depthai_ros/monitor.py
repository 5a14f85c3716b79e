"""`python -m depthai_ros.monitor`: rate, latency and drops of every topic of a camera."""

import sys

from .commands.monitor import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
