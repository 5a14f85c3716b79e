"""The Gen1 Python API, behind the face `depthai_ros.depthai`."""
