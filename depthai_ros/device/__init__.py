"""One device: find it, boot it, connect, run one pipeline."""
