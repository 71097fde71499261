"""The memories as modules, each owning the rates and projections of its rule."""
