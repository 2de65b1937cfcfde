"""A bare client for the simulated provider: it knows WebSockets and JSON, nothing of the protocol."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import trio
import trio.testing

from voxpipe.testing.parrot import speech_like
from voxpipe.testing.provider import Provider
from voxpipe.websocket import WebSocket, WebSocketClosed, connect_websocket

Json = dict[str, Any]
URLS = {
    "openai": "ws://provider.test/v1/realtime?model=gpt-realtime-2.1",
    "openai-beta": "ws://provider.test/v1/realtime?model=gpt-4o-realtime-preview-2024-12-17",
    "openai-live": "ws://provider.test/v1/live/sessions",
    "azure-openai": "ws://provider.test/openai/v1/realtime?model=our-deployment",
    "deepgram": "ws://provider.test/v1/agent/converse",
}
BETA_HEADERS = (("OpenAI-Beta", "realtime=v1"),)


class Client:
    """One connection; ``events`` holds what came, ``times`` when."""

    def __init__(self, websocket: WebSocket) -> None:
        self.websocket = websocket
        self.events: list[Json] = []
        self.raw: list[str | bytes] = []
        self.times: list[float] = []
        self.closed: tuple[int, str] | None = None
        self._news = trio.Event()

    async def read(self) -> None:
        """Keep all that comes, to the end."""
        try:
            while True:
                message = await self.websocket.get_message()
                self.raw.append(message)
                try:
                    event = json.loads(message)
                except ValueError:
                    event = None
                if isinstance(event, dict):
                    self.events.append(event)
                    self.times.append(trio.current_time())
                self._tell()
        except WebSocketClosed as closed:
            self.closed = (closed.code, closed.reason)
            self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = trio.Event()

    async def send(self, event: Json | str | bytes) -> None:
        """Send one message."""
        await self.websocket.send_message(json.dumps(event) if isinstance(event, dict) else event)

    async def append(self, audio: bytes, piece_bytes: int = 960) -> None:
        """Append audio in pieces, 20 ms of telephone time each."""
        for start in range(0, len(audio), piece_bytes):
            piece = base64.b64encode(audio[start : start + piece_bytes]).decode()
            await self.send({"type": "input_audio_buffer.append", "audio": piece})
            await trio.sleep(0.02)

    async def until(self, kind: str, count: int = 1, timeout_s: float = 60.0) -> Json:
        """Wait for the count-th event of a type."""
        with trio.fail_after(timeout_s):
            while len(self.of(kind)) < count:
                assert self.closed is None, f"closed with {self.closed} before {kind}: {self.types()}"
                await self._news.wait()
        return self.of(kind)[count - 1]

    async def until_closed(self, timeout_s: float = 60.0) -> tuple[int, str]:
        """Wait for the end."""
        with trio.fail_after(timeout_s):
            while self.closed is None:
                await self._news.wait()
        return self.closed

    async def configure(self, session: Json | None = None) -> Json:
        """Update the session and wait for the acknowledgement."""
        count = len(self.of("session.updated"))
        await self.send({"type": "session.update", "event_id": "mine", "session": session or {"type": "realtime"}})
        return (await self.until("session.updated", count + 1))["session"]

    def of(self, kind: str) -> list[Json]:
        """Every event of a type."""
        return [event for event in self.events if event["type"] == kind]

    def types(self) -> list[str]:
        """The types in order."""
        return [event["type"] for event in self.events]

    def audio(self, kind: str = "response.output_audio.delta") -> bytes:
        """All audio that came."""
        return b"".join(base64.b64decode(event["delta"]) for event in self.of(kind))


@pytest.fixture
def connect(nursery: trio.Nursery) -> Callable[..., Any]:
    """Connect a client to a provider by a stream in memory, in virtual time."""

    async def connect_client(
        provider: Provider, *, url: str | None = None, headers: tuple[tuple[str, str], ...] | None = None
    ) -> Client:
        near, far = trio.testing.memory_stream_pair()
        nursery.start_soon(provider.serve_stream, far)

        async def dial(host: str, port: int) -> trio.abc.Stream:
            return near

        usual = BETA_HEADERS if provider.dialect == "openai-beta" else ()
        websocket = await connect_websocket(
            nursery, url or URLS[provider.dialect], usual if headers is None else headers, dial=dial
        )
        client = Client(websocket)
        nursery.start_soon(client.read)
        return client

    return connect_client


@pytest.fixture(scope="session")
def utterance() -> bytes:
    """Half a second of a quiet room, 1.2 s of speech without a pause, 1 s of room: 24 kHz, 16 bits."""
    room = np.zeros(12_000, np.int16)
    voice = speech_like(1.2, 24_000).astype(np.int32) + (3000 * np.sin(np.arange(28_800) * 0.05)).astype(np.int32)
    return np.concatenate([room, voice.astype(np.int16), room, room]).astype("<i2").tobytes()
