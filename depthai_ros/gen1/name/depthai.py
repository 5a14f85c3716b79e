"""The Gen1 API under its own name, for processes that a Gen1 program starts."""

import sys

from depthai_ros import depthai

sys.modules[__name__] = depthai
