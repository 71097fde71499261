"""Locators: from a pose to a glimpse of the image, and back."""
