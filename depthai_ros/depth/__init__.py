"""What the host computes from depth: pure functions and classes on arrays, without ROS."""
