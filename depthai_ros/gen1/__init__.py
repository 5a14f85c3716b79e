"""Implementation of the Gen1 Python API; `depthai_ros.depthai` has its public names."""
