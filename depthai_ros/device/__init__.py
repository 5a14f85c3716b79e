"""One device: finding, booting, connecting, one running pipeline."""
