"""Canvases: how placed sketches become a picture."""
