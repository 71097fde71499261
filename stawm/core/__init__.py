"""The equations: pure functions and named-tuple states; no parameters, no registry, no input or output."""
