"""ROS 2 driver for Gen1 DepthAI devices.

Importing this package stays cheap: it is what every reader of a bag with `depthai_ros.msg` types
imports, so neither rclpy nor the extension nor OpenCV is loaded here.
"""

from pkgutil import extend_path

# The generated messages live in the install space, our modules may come from a source checkout:
# one package, several folders.
__path__ = extend_path(__path__, __name__)

__version__ = "0.1.0"
