"""A virtual DepthAI device: implements the device side of the wire protocol."""
