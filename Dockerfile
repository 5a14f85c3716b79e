# The camera driver in a container. How to build and start it: docs/docker.md
ARG DISTRO=jazzy

FROM ros:${DISTRO} AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# Without it `make install` would make a smaller copy of vision_msgs, which hides the real one.
# hadolint ignore=DL3008
RUN apt-get update && \
    apt-get install -y --no-install-recommends "ros-$ROS_DISTRO-vision-msgs" && \
    rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN . "/opt/ros/$ROS_DISTRO/setup.bash" && make install PREFIX=/opt/depthai_ros

FROM ros:${DISTRO}-ros-core
LABEL org.opencontainers.image.title="depthai_ros" \
      org.opencontainers.image.description="ROS 2 driver for Gen1 DepthAI and OAK cameras" \
      org.opencontainers.image.licenses="MIT"
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# What package.xml declares for run time: test/test_hosted_ci.py compares both lists.
# hadolint ignore=DL3008
RUN packages=( \
      ament-index-python builtin-interfaces cv-bridge diagnostic-msgs ffmpeg-image-transport-msgs \
      foxglove-msgs geometry-msgs launch launch-ros lifecycle-msgs rcl-interfaces rclpy \
      robot-state-publisher rosidl-default-runtime sensor-msgs std-msgs std-srvs stereo-msgs tf2-msgs \
      tf2-ros vision-msgs visualization-msgs xacro \
    ) && \
    apt-get update && \
    apt-get install -y --no-install-recommends \
      libjpeg-turbo8 libpng16-16t64 libusb-1.0-0 python3-numpy python3-opencv python3-yaml "${packages[@]/#/ros-$ROS_DISTRO-}" && \
    rm -rf /var/lib/apt/lists/* && \
    useradd --create-home --home-dir /var/lib/camera --uid 1001 camera
COPY --from=build /opt/depthai_ros /opt/depthai_ros
COPY tools/container_entrypoint /usr/local/bin/
# No root: the udev rule of the host lets every user open a board.
USER 1001
WORKDIR /var/lib/camera
# SIGINT: all programs of a launch file end in order. `docker stop` sends SIGTERM otherwise.
STOPSIGNAL SIGINT
ENTRYPOINT ["container_entrypoint"]
CMD ["ros2", "launch", "depthai_ros", "camera.launch.py"]
