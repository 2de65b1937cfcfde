"""Pings: a provider that is gone without a word is noticed, and the way to it is kept open."""

from __future__ import annotations

from collections.abc import Callable

import trio

from voxpipe.websocket import WebSocket, WebSocketClosed


async def keep_alive(websocket: WebSocket, interval_s: float, lose: Callable[[WebSocketClosed], None]) -> None:
    """Ping every ``interval_s``; tell ``lose`` when no pong comes in as long again. Ends with the connection."""
    try:
        while True:
            await trio.sleep(interval_s)
            with trio.move_on_after(interval_s) as scope:
                await websocket.ping()
            if scope.cancelled_caught:
                lose(WebSocketClosed(1006, f"no pong within {interval_s:g} s"))
    except WebSocketClosed as closed:
        lose(closed)
