"""From packets to ROS messages, without rclpy."""
