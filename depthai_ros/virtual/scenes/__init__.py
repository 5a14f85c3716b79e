"""The scenes of the virtual device: images, disparity and objects for each of its cameras."""
