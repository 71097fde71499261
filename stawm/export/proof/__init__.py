"""The proof that a graph is equal to its model."""
