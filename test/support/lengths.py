"""How long the tests are: short in `make test`, in full in `make test-long`."""

from __future__ import annotations

import os

#: How often whatever must leave nothing behind is done: a board is pulled, a node lives.
CYCLES = int(os.environ.get("DEPTHAI_ROS_TEST_CYCLES", "25"))
#: As in `make test-long`: with a loaded machine, and with every shared test in the guest.
IN_FULL = CYCLES >= 100
