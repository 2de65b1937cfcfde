"""Signs of life: pings, by which a provider that is gone is noticed, and a word where it wants one in silence."""

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


class Outlet:
    """The way to the provider, and when something went out last."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self._sent_s = trio.current_time()

    async def send(self, message: str | bytes) -> None:
        """Send a message; ``WebSocketClosed`` when the connection is over."""
        self._sent_s = trio.current_time()
        await self._websocket.send_message(message)

    async def break_silence(
        self, message: str | bytes, after_s: float, may: Callable[[], bool], lose: Callable[[WebSocketClosed], None]
    ) -> None:
        """Send a message whenever nothing went out for so long, and ``may`` allows it, which takes note of it.

        Tells ``lose`` when the connection is over, and ends with it.
        """
        quiet_since_s = self._sent_s
        try:
            while True:
                await trio.sleep_until(quiet_since_s + after_s)
                quiet_since_s = max(quiet_since_s, self._sent_s)
                if trio.current_time() < quiet_since_s + after_s:
                    continue
                quiet_since_s = trio.current_time()
                if may():
                    await self.send(message)
        except WebSocketClosed as closed:
            lose(closed)
