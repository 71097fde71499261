"""Images that are larger than memory: read in parts, looked at glimpse by glimpse."""
