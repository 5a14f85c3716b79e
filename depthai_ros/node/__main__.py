"""`python -m depthai_ros.node`: the camera node as a program."""

import sys

from . import main

sys.exit(main())
