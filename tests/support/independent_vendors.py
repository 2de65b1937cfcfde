"""Deepgram's Voice Agent and OpenAI Live in a process of their own, as ``independent_provider`` is OpenAI Realtime.

``python independent_vendors.py deepgram|openai-live PORT WORDS``; it imports nothing of voxpipe, and tells as the other
one does.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import time
from pathlib import Path
from typing import Any

from independent_provider import ANSWERED, ASKED, BYTES_PER_MS, CHUNK_EVERY_S, CHUNK_MS, TURN_MS, Wrong, main
from websockets.asyncio.server import ServerConnection

FRAME_MS = 40
LINEAR = {"encoding": "linear16", "sample_rate": 24_000}


class Vendor:
    """One client: configured once, heard for a turn, answered once."""

    def __init__(self, socket: ServerConnection, words: bytes) -> None:
        self.heard = bytearray()
        self.types: list[str] = []
        self.told: list[list[str]] = []
        self.tasks: set[asyncio.Task[None]] = set()
        self.configured = False
        self.answered = False
        self._socket = socket
        self._words = words

    async def greet(self) -> None:
        """Say what a server says first."""

    async def take(self, message: str | bytes) -> None:
        """Take one message; ``Wrong`` for one that is not right."""
        raise NotImplementedError

    async def answer(self) -> None:
        """Answer the turn that was heard."""
        raise NotImplementedError

    async def run(self) -> None:
        """Serve until the client leaves."""
        try:
            await self.greet()
            async for message in self._socket:
                await self.take(message)
        finally:
            for task in self.tasks:
                task.cancel()

    async def hear(self, audio: bytes) -> None:
        """Listen, and answer after a turn."""
        if not self.configured or not audio or len(audio) % 2:
            raise Wrong(f"expected whole samples once the session is there, got {len(audio)} bytes")
        self.heard += audio
        if not self.answered and len(self.heard) >= TURN_MS * BYTES_PER_MS:
            self.answered = True
            self.tasks.add(asyncio.create_task(self.answer()))

    async def send(self, type_: str, **fields: Any) -> None:
        """Send one message as text."""
        await self._socket.send(json.dumps({"type": type_, **fields}))


class Deepgram(Vendor):
    """Text for words, binary messages for sound."""

    async def greet(self) -> None:
        """Say who is there."""
        await self.send("Welcome", request_id="0d6b2c6e-1111-4222-8333-444455556666")

    async def take(self, message: str | bytes) -> None:
        """Take Settings, sound, and signs of life."""
        if isinstance(message, bytes):
            self.types.append("audio")
            await self.hear(message)
            return
        wire = json.loads(message)
        self.types.append(wire["type"])
        if wire["type"] == "KeepAlive":
            return
        asked = wire.get("audio")
        if wire["type"] != "Settings" or self.configured:
            raise Wrong(f"expected Settings once, got {wire['type']}")
        if asked != {"input": LINEAR, "output": {**LINEAR, "container": "none"}}:
            raise Wrong(f"expected linear16 at 24 kHz without a container, got {asked}")
        self.configured = True
        await self.send("SettingsApplied")

    async def answer(self) -> None:
        """Speak, faster than in real time."""
        await self.send("ConversationText", role="user", content=ASKED)
        await self.send("AgentThinking", content="")
        await self.send("ConversationText", role="assistant", content=ANSWERED)
        await self.send("AgentStartedSpeaking", total_latency=0.9, tts_latency=0.2, ttt_latency=0.4)
        size = CHUNK_MS * BYTES_PER_MS
        for start in range(0, len(self._words), size):
            await self._socket.send(self._words[start : start + size])
            await asyncio.sleep(CHUNK_EVERY_S)
        await self.send("AgentAudioDone")


class Live(Vendor):
    """Sound all the time, at its own pace: silence, and at last the words."""

    async def take(self, message: str | bytes) -> None:
        """Take a beginning, sound and an end."""
        wire = json.loads(message)
        self.types.append(wire["type"])
        match wire["type"]:
            case "session.start" if not self.configured:
                await self._start(wire["session"], wire.get("event_id"))
            case "session.input_audio.append":
                await self.hear(base64.b64decode(wire["audio"], validate=True))
            case "session.close":
                await self.send("session.closed", event_id="e9", reason="close_requested", client_event_id=None)
            case unexpected:
                raise Wrong(f"expected session.start once and audio, got {unexpected}")

    async def _start(self, session: dict[str, Any], client_event_id: str | None) -> None:
        if session["audio"]["format"] != {"type": "audio/pcm", "rate": 24_000}:
            raise Wrong(f"expected pcm at 24 kHz, got {session['audio']}")
        self.configured = True
        known = {"id": "live_1", "model": session["model"], "status": "active", "expires_at": int(time.time()) + 7200}
        audio = {"format": session["audio"]["format"], "output": {"voice": "marin"}}
        await self.send(
            "session.started", event_id="e1", client_event_id=client_event_id, session={**known, "audio": audio}
        )
        self.tasks.add(asyncio.create_task(self._sound()))

    async def _sound(self) -> None:
        size, position, start_s = FRAME_MS * BYTES_PER_MS, 0, time.monotonic()
        for number in range(1, 1_000_000):
            piece = bytes(size)
            if self.answered and position < len(self._words):
                piece = self._words[position : position + size].ljust(size, b"\0")
                position += size
            await self.send("session.output_audio.delta", delta=base64.b64encode(piece).decode())
            await asyncio.sleep(max(0.0, start_s + number * FRAME_MS / 1000 - time.monotonic()))

    async def answer(self) -> None:
        """Tell the words; their sound is in the stream."""
        await self.send("session.input_transcript.delta", delta=ASKED, start_ms=0, end_ms=1000)
        await self.send("session.output_transcript.delta", delta=ANSWERED, start_ms=TURN_MS, end_ms=TURN_MS + 2000)


if __name__ == "__main__":
    vendors = {"deepgram": Deepgram, "openai-live": Live}
    vendor, words = vendors[sys.argv[1]], Path(sys.argv[3]).read_bytes()
    asyncio.run(main(lambda socket: vendor(socket, words), int(sys.argv[2]), None))
