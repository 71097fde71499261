"""Whole models: what they are made of, how they are configured, described and examined."""
