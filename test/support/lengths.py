"""The length of the tests: short in `make test`, in full in `make test-long`."""

from __future__ import annotations

import os

#: Repetitions in tests for leaks: replugs of a board, lives of a node.
CYCLES = int(os.environ.get("DEPTHAI_ROS_TEST_CYCLES", "25"))
#: True in `make test-long`: also on a busy machine, and every shared test in the guest.
IN_FULL = CYCLES >= 100
