"""The tools that come with voxpipe: how the agent ends a call, sends it on, keeps quiet or asks for
digits. None is on by default."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from voxpipe.config import ToolsConfig
from voxpipe.errors import ConfigError
from voxpipe.tools import Tool, ToolContext

DIGITS_TIMEOUT_S = 900.0
"""Beyond any entry: each of its waits has a limit of its own."""


async def hang_up(context: ToolContext) -> str:
    """End the call. Say goodbye first, in the same answer; the caller hears it to its end."""
    context.hang_up()
    return "The call ends when your words have been heard."


async def wait() -> str:
    """Say nothing until the caller speaks again, for instance when you were asked to hold on."""
    return "You are silent until the caller speaks."


async def collect_digits(
    context: ToolContext,
    max_digits: int | None = None,
    terminator: str | None = None,
    timeout_s: float | None = None,
) -> str:
    """Wait for the caller to enter digits on the telephone keypad. First say what to enter, in the same answer.

    Args:
        max_digits: how many digits there are at most; the last one ends the entry
        terminator: the key that ends an entry before that, such as #; empty: none
        timeout_s: how long a pause after a digit ends the entry, in seconds
    """
    return (await context.digits(max_digits=max_digits, terminator=terminator, timeout_s=timeout_s)).words


def _send_to(destinations: tuple[str, ...]) -> Tool:
    async def send_to(context: ToolContext, next: str) -> str:
        """End your part of the call and hand the caller on. Say so first, in the same answer.

        Args:
            next: who takes over
        """
        context.send_to(next)
        return "The caller is handed on when your words have been heard."

    send_to.__annotations__["next"] = Literal[destinations]  # the model is told the list, and held to it
    return Tool(send_to, replies=False)


def all_tools(config: ToolsConfig, own: Sequence[Tool]) -> tuple[Tool, ...]:
    """Join the built-in tools that are switched on and a program's own.

    Raises ``ConfigError``: two have one name, or there is nobody to send a caller to.
    """
    if "send_to" in config.builtin and not config.send_to:
        raise ConfigError("tools.send_to", "expected at least one destination for the tool send_to, got none")
    makers = {
        "hang_up": lambda: Tool(hang_up, replies=False),
        "send_to": lambda: _send_to(config.send_to),
        "wait": lambda: Tool(wait, replies=False),
        "collect_digits": lambda: Tool(collect_digits, timeout_s=DIGITS_TIMEOUT_S),
    }
    tools = (*(makers[name]() for name in config.builtin), *own)
    names = [tool.name for tool in tools]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError("tools.builtin", f"expected tools of different names, got two named {', '.join(twice)}")
    return tools
