"""What names there are: the built-in components and presets, and what to say of a name that is none."""
