"""Converts packets to ROS messages, without rclpy."""
