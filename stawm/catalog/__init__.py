"""What names there are: the built-in components, the presets with their recipes, and what to say of an unknown name."""
