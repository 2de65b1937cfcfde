"""Fixtures for all tests."""

import pytest
from served_context import serve
from virtual_call import call_dialect, make_call
from virtual_gateway import run_gateway
from virtual_program import run_program

from voxpipe.dialects import DIALECTS

__all__ = ["call_dialect", "make_call", "run_gateway", "run_program", "serve"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make the calls of a test that is marked so with every dialect, ``but`` one to which it does not apply."""
    if marker := metafunc.definition.get_closest_marker("every_dialect"):
        names = [name for name in DIALECTS if name != marker.kwargs.get("but")]
        metafunc.parametrize("call_dialect", names, indirect=True)
