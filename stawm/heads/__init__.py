"""What a memory is used for: the heads, their losses, the whole models, the presets."""
