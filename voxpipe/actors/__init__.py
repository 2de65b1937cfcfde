"""Trio tasks, each of which owns its ends of the channels; ``leg.py`` joins them."""
