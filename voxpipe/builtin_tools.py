"""The tools that come with voxpipe: how the agent ends a call, sends it on, or keeps quiet. None is on by default."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from voxpipe.config import ToolsConfig
from voxpipe.errors import ConfigError
from voxpipe.tools import Tool, ToolContext


async def hang_up(context: ToolContext) -> str:
    """End the call. Say goodbye first, in the same answer; the caller hears it to its end."""
    context.hang_up()
    return "The call ends when your words have been heard."


async def wait() -> str:
    """Say nothing until the caller speaks again, for instance when you were asked to hold on."""
    return "You are silent until the caller speaks."


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
    }
    tools = (*(makers[name]() for name in config.builtin), *own)
    names = [tool.name for tool in tools]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError("tools.builtin", f"expected tools of different names, got two named {', '.join(twice)}")
    return tools
