"""The end of a session that a provider wants to be asked for."""

from __future__ import annotations

import contextlib

import trio

from voxpipe.actors.sink import SessionLog
from voxpipe.errors import RemoteProtocolError
from voxpipe.sansio.dialect import Dialect
from voxpipe.websocket import WebSocket, WebSocketClosed

LAST_WORDS_S = 2.0


async def take_leave(websocket: WebSocket, dialect: Dialect, log: SessionLog) -> None:
    """Ask the provider to end the session, if it wants that, and record what it says to it: what it counted.

    The connection is to be closed after it, whatever came of it.
    """
    if dialect.farewell is None:
        return
    with trio.move_on_after(LAST_WORDS_S), contextlib.suppress(WebSocketClosed):
        log.record(dialect.farewell["type"], dialect.farewell, "sent")
        await websocket.send_message(dialect.serialize(dialect.farewell))
        said = ""
        while said != dialect.farewell_answer:
            with contextlib.suppress(RemoteProtocolError):
                wire = dialect.parse(await websocket.get_message())
                said = wire["type"]
                if said not in dialect.audio_keys:
                    log.record(said, wire, "received")
