"""A Realtime provider in a process of its own, with asyncio and ``websockets``; it imports nothing of voxpipe.

``python independent_provider.py PORT WORDS [CERTIFICATE]`` serves 127.0.0.1 (a PORT of 0 is any), over TLS with one
(PEM, with its key), and prints a line of JSON with its port. It says WORDS (a file of raw pcm at 24 kHz) once to each
client, after it has heard ``TURN_MS`` of audio or when it is asked, and prints a line of JSON, what it heard and was
told included, at the end of each connection. It closes with 1008 and the reason as soon as the client is wrong.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

PCM = {"type": "audio/pcm", "rate": 24_000}
BYTES_PER_MS = 48
TURN_MS = 1_500
ASKED, ANSWERED = "What is the time?", "It is noon."
CHUNK_MS = 130
"""No multiple of a frame, on purpose."""
CHUNK_EVERY_S = 0.05
"""Faster than real time, as providers send."""


class Wrong(Exception):
    """The client did what the protocol forbids."""


class Session:
    """One client: configured once, heard for a turn, answered once."""

    def __init__(self, socket: ServerConnection, words: bytes) -> None:
        self.heard = bytearray()
        self.types: list[str] = []
        self.told: list[list[str]] = []
        self._socket = socket
        self._words = words
        self._numbers = itertools.count(1)
        self._configured = False
        self._answer: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Serve until the client leaves; ``Wrong`` when it must be sent away."""
        try:
            await self._send("session.created", session={"type": "realtime", "object": "realtime.session"})
            async for text in self._socket:
                await self._take(json.loads(text))
        finally:
            if self._answer is not None:
                self._answer.cancel()

    async def _take(self, message: dict[str, Any]) -> None:
        self.types.append(message["type"])
        match message["type"]:
            case "session.update":
                await self._configure(message["session"])
            case "input_audio_buffer.append":
                await self._hear(base64.b64decode(message["audio"], validate=True))
            case "conversation.item.create" if self._configured and not self.heard:
                item = message["item"]
                self.told.append([item["role"], item["content"][0]["text"]])
                await self._send("conversation.item.added", item=item, previous_item_id=None)
            case "response.create" if self._configured and self._answer is None:
                self._answer = asyncio.create_task(self._speak())
            case unexpected:
                raise Wrong(f"expected session.update or audio, got {unexpected}")

    async def _configure(self, session: dict[str, Any]) -> None:
        audio = session["audio"]
        asked = [session["type"], audio["input"]["format"], audio["output"]["format"]]
        if self._configured or asked != ["realtime", PCM, PCM]:
            raise Wrong(f"expected one session of pcm at 24 kHz, got {asked}")
        self._configured = True
        await self._send("session.updated", session={**session, "object": "realtime.session", "id": "sess_1"})

    async def _hear(self, audio: bytes) -> None:
        if not self._configured:
            raise Wrong("expected no audio before session.updated, got some")
        if not audio or len(audio) % 2:
            raise Wrong(f"expected whole samples, got {len(audio)} bytes")
        self.heard += audio
        if self._answer is None and len(self.heard) >= TURN_MS * BYTES_PER_MS:
            await self._send("input_audio_buffer.committed", item_id="item_1", previous_item_id=None)
            self._answer = asyncio.create_task(self._speak())
            place = {"item_id": "item_1", "content_index": 0}
            await self._send("conversation.item.input_audio_transcription.completed", **place, transcript=ASKED)

    async def _speak(self) -> None:
        response = {"object": "realtime.response", "id": "resp_1", "output": []}
        item = {"object": "realtime.item", "id": "item_2", "type": "message", "role": "assistant", "content": []}
        place: dict[str, Any] = {"response_id": "resp_1", "output_index": 0}
        part = {**place, "item_id": "item_2", "content_index": 0}
        await self._send("response.created", response={**response, "status": "in_progress"})
        await self._send("response.output_item.added", **place, item={**item, "status": "in_progress"})
        await self._send("response.content_part.added", **part, part={"type": "audio", "transcript": ""})
        size = CHUNK_MS * BYTES_PER_MS
        await self._send("response.output_audio_transcript.delta", **part, delta=ANSWERED)
        for start in range(0, len(self._words), size):
            delta = base64.b64encode(self._words[start : start + size]).decode()
            await self._send("response.output_audio.delta", **part, delta=delta)
            await asyncio.sleep(CHUNK_EVERY_S)
        await self._send("response.output_audio.done", **part)
        await self._send("response.output_audio_transcript.done", **part, transcript=ANSWERED)
        await self._send("response.content_part.done", **part, part={"type": "audio", "transcript": ""})
        await self._send("response.output_item.done", **place, item={**item, "status": "completed"})
        await self._send("response.done", response={**response, "status": "completed"})

    async def _send(self, type_: str, **fields: Any) -> None:
        await self._socket.send(json.dumps({"event_id": f"event_{next(self._numbers)}", "type": type_, **fields}))


async def main(make_session: Callable[[ServerConnection], Any], port: int, context: ssl.SSLContext | None) -> None:
    """Serve until killed, each client by a session that has ``run``, ``types``, ``told`` and ``heard``."""

    async def one(socket: ServerConnection) -> None:
        session, wrong = make_session(socket), ""
        try:
            await session.run()
        except Wrong as error:
            wrong = str(error)
            await socket.close(1008, wrong)
        except ConnectionClosed:
            pass  # the client left while it was spoken to
        assert socket.request is not None
        headers = socket.request.headers
        tell(
            path=socket.request.path,
            authorization=headers.get("Authorization"),
            types=session.types,
            told=session.told,
            heard=base64.b64encode(session.heard).decode(),
            wrong=wrong,
            close_code=socket.close_code,
        )

    async with serve(one, "127.0.0.1", port, ssl=context) as server:
        tell(port=next(iter(server.sockets)).getsockname()[1])
        await server.serve_forever()


def tell(**facts: Any) -> None:
    """Print a line of JSON."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def tls_with(certificate: str) -> ssl.SSLContext:
    """A server's TLS with the certificate and key in a file."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


if __name__ == "__main__":
    context = tls_with(sys.argv[3]) if sys.argv[3:] else None
    words = Path(sys.argv[2]).read_bytes()
    asyncio.run(main(lambda socket: Session(socket, words), int(sys.argv[1]), context))
