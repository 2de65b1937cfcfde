"""Fixtures for all tests."""

from virtual_call import make_call

__all__ = ["make_call"]
