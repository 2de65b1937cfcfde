"""Fixtures for all tests."""

from served_context import serve
from virtual_call import make_call
from virtual_gateway import run_gateway
from virtual_program import run_program

__all__ = ["make_call", "run_gateway", "run_program", "serve"]
