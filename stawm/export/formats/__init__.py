"""A model in every format that runs it, one beside the other."""
