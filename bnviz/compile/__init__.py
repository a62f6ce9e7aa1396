"""From the PyTorch functions of a figure to what a browser runs, in a cache by content."""
