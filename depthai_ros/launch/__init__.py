"""The parts of the launch files: arguments, plan and actions."""
