"""Models in files: checkpoints, the weights that ship, the hub, and weights of the authors' code."""
