"""A virtual DepthAI device: the far end of the wire, in a process of its own."""
