"""Backbones: networks from an image to flat features."""
