"""ROS 2 driver for Gen1 DepthAI devices.

This module loads neither rclpy nor the extension nor OpenCV: every program that reads a bag with
`depthai_ros.msg` types imports it.
"""

from pkgutil import extend_path

# The generated messages are in the install space, these modules may be in a source checkout: one
# package in several folders.
__path__ = extend_path(__path__, __name__)

__version__ = "0.1.0"
