"""Policies: how an emission becomes a pose."""
