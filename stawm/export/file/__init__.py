"""Files of graphs: what they hold, what they say of themselves, their seal."""
