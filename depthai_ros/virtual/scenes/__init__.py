"""What the virtual cameras see."""
