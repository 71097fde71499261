"""Writing graphs: trace, clean, verify, and only then put in place."""
