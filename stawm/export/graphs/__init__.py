"""What is exported: a model as functions from named tensors to named tensors."""
