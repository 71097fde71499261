"""The slow, obvious twins of the equations: same names, same signatures, explicit loops."""
