"""What a memory is used for: the heads, what they give, and their losses."""
