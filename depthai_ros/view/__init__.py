"""The page of a camera in a browser."""
