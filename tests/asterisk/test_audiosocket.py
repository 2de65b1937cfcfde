"""What a real Asterisk does on the wire: the facts that the caller peer imitates and the gateway relies on.

The gateway here is a few lines of plain sockets, on purpose: these tests hold Asterisk, not voxpipe, to its word.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import numpy as np
import pytest
from asterisk_call import goes_on, place, place_call, recorded, speech

from voxpipe.audio import SLIN8, SLIN24
from voxpipe.testing.signals import align, speech_like, tone

if TYPE_CHECKING:
    from tests.asterisk.conftest import Asterisk

pytestmark = [pytest.mark.asterisk, pytest.mark.sockets]

HEADER = struct.Struct("!BH")
SPEECH_S = 2.0


class Gateway:
    """Takes one leg, keeps its messages with their times, and answers each by ``answer(gateway, kind, payload)``."""

    def __init__(self) -> None:
        self.answer: Callable[[Gateway, int, bytes], bool | None] = lambda gateway, kind, payload: None
        self.messages: list[tuple[float, int, bytes]] = []
        self.end = ""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(20)
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        try:
            self.socket, _ = self._listener.accept()
        except OSError as error:
            self.end = f"no leg: {error}"
            return
        self.socket.settimeout(20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self.socket:
            try:
                while True:
                    kind, size_bytes = HEADER.unpack(self._receive(HEADER.size))
                    payload = self._receive(size_bytes)
                    self.messages.append((time.monotonic(), kind, payload))
                    if self.answer(self, kind, payload):
                        self.end = "closed by the gateway"
                        return
            except EOFError:
                self.end = "closed by Asterisk"
            except OSError as error:
                self.end = f"lost: {error}"

    def _receive(self, size_bytes: int) -> bytes:
        data = b""
        while len(data) < size_bytes:
            piece = self.socket.recv(size_bytes - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def send(self, kind: int, payload: bytes = b"", *, pause_after: int = 0, pause_s: float = 0) -> None:
        """Send a message, in two parts if there is to be a pause after so many bytes."""
        message = HEADER.pack(kind, len(payload)) + payload
        if pause_after:
            self.socket.sendall(message[:pause_after])
            time.sleep(pause_s)
        self.socket.sendall(message[pause_after:])

    def payloads(self, *kinds: int) -> list[bytes]:
        """The payloads of some kinds, in their order."""
        return [payload for _, kind, payload in self.messages if kind in kinds]

    def close(self) -> None:
        """End the thread; a leg that never came does not keep it."""
        self._listener.close()
        self._thread.join(30)
        assert not self._thread.is_alive()


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    """A listening gateway, which ends with the test."""
    gateway = Gateway()
    yield gateway
    gateway.close()


def echo(gateway: Gateway, kind: int, payload: bytes) -> None:
    """Answer audio by the same audio."""
    if kind >= 0x10:
        gateway.send(kind, payload)


def test_the_application_sends_slin8_and_plays_what_it_gets(asterisk: Asterisk, gateway: Gateway) -> None:
    """``AudioSocket()``: UUID first, 320 bytes of slin8 each 20 ms, digits as kind 0x03, both ways exact."""
    gateway.answer = echo
    call_id, audio = uuid4(), speech(SLIN8, SPEECH_S)
    application = f"AudioSocket({call_id},127.0.0.1:{gateway.port})"
    place_call(asterisk, application, asterisk.sound("speech", audio, "sln"), dtmf="1#")
    assert gateway.messages[0][1:] == (0x01, call_id.bytes)
    frames = gateway.payloads(0x10)
    assert {len(frame) for frame in frames} == {320}
    assert audio in b"".join(frames)
    assert gateway.payloads(0x03) == [b"1", b"#"]
    assert {kind for _, kind, _ in gateway.messages} == {0x01, 0x03, 0x10}
    times_s = [at_s for at_s, kind, _ in gateway.messages if kind == 0x10][: round(SPEECH_S * 50)]
    assert np.median(np.diff(times_s)) == pytest.approx(0.020, abs=0.005)
    for name in ("uplink.wav", "downlink.wav"):
        found = align(audio, recorded(asterisk.recording(name)))
        assert found.correlation > 0.99, (name, found)
        assert found.gain_db == pytest.approx(0, abs=0.1), (name, found)
    assert gateway.end == "closed by Asterisk"


def test_the_channel_driver_speaks_slin24(asterisk: Asterisk, gateway: Gateway) -> None:
    """``Dial(AudioSocket/.../c(slin24))``: kind 0x13 with 960 bytes each 20 ms, when the caller's leg is slin24 too."""
    gateway.answer = echo
    call_id, audio = uuid4(), speech(SLIN24, SPEECH_S)
    application = f"Dial(AudioSocket/127.0.0.1:{gateway.port}/{call_id}/c(slin24))"
    place_call(asterisk, application, asterisk.sound("speech", audio, "sln24"), codecs="slin24", dtmf="5")
    assert gateway.messages[0][1:] == (0x01, call_id.bytes)
    frames = gateway.payloads(0x13)
    assert {len(frame) for frame in frames} == {960}
    assert align(audio, b"".join(frames)).correlation > 0.99
    assert gateway.payloads(0x03) == [b"5"]
    assert {kind for _, kind, _ in gateway.messages} == {0x01, 0x03, 0x13}
    for name in ("uplink.wav", "downlink.wav"):
        assert align(speech(SLIN8, SPEECH_S), recorded(asterisk.recording(name))).correlation > 0.98, name


@pytest.mark.parametrize("codec", ["ulaw", "alaw"])
def test_g711_travels_as_kind_0x10_and_is_heard_as_slin8(asterisk: Asterisk, gateway: Gateway, codec: str) -> None:
    """A G.711 channel sends 160 bytes each 20 ms under kind 0x10, and takes slin8 under the same kind."""
    answer = speech_like(SLIN8, SPEECH_S)
    frames = iter([answer[start : start + 320] for start in range(0, len(answer), 320)])

    def play(gateway: Gateway, kind: int, payload: bytes) -> None:
        if kind == 0x10:
            gateway.send(0x10, next(frames, bytes(320)))

    gateway.answer = play
    application = f"Dial(AudioSocket/127.0.0.1:{gateway.port}/{uuid4()}/c({codec}))"
    place_call(asterisk, application, asterisk.sound("speech", speech(SLIN8, SPEECH_S), "sln"))
    assert {len(frame) for frame in gateway.payloads(0x10)} == {160}
    heard = recorded(asterisk.recording("downlink.wav"))
    assert align(answer, heard).correlation > 0.99
    assert align(answer, heard).gain_db == pytest.approx(0, abs=0.2)


def at_tenth(act: Callable[[Gateway], bool | None]) -> Callable[[Gateway, int, bytes], bool | None]:
    """Echo nine frames, then act once."""

    def answer(gateway: Gateway, kind: int, payload: bytes) -> bool | None:
        count = len(gateway.payloads(0x10))
        if count == 10 and kind == 0x10:
            return act(gateway)
        return echo(gateway, kind, payload) if count < 10 else None

    return answer


def close_unread(gateway: Gateway) -> bool:
    """Let frames arrive unread, and close: the kernel sends a reset."""
    time.sleep(0.1)
    return True


FRAME = bytes(320)
DROPS = {
    "a DTMF message": (lambda gateway: gateway.send(0x03, b"1"), "other than hangup or audio"),
    "a length of 0": (lambda gateway: gateway.send(0x10), "Invalid message length"),
    "a pause of 20 ms inside a payload": (
        lambda gateway: gateway.send(0x10, FRAME, pause_after=100, pause_s=0.02),
        "Poll timed out while waiting for data",
    ),
    "a close with audio unread": (close_unread, "Connection reset by peer"),
}
# A hang-up and a close with audio unread is either: the reset may come before Asterisk has read the hang-up.
ENDS = {
    "a hang-up": lambda gateway: gateway.send(0x00),
    "a close of our sending side": lambda gateway: gateway.socket.shutdown(socket.SHUT_WR),
}
SUFFERS = {
    "another kind, which it resamples": lambda gateway: gateway.send(0x12, bytes(640)),
    "half a sample": lambda gateway: gateway.send(0x10, bytes(319)),
    "five frames in one message": lambda gateway: gateway.send(0x10, FRAME * 5),
}


@pytest.mark.parametrize("case", [*DROPS, *ENDS, *SUFFERS])
def test_what_asterisk_makes_of_it(asterisk: Asterisk, gateway: Gateway, case: str) -> None:
    """Some messages drop the call, some end the application in order, and some it takes, odd as they are."""
    act = DROPS[case][0] if case in DROPS else ENDS.get(case) or SUFFERS[case]
    gateway.answer = at_tenth(act)
    application = f"AudioSocket({uuid4()},127.0.0.1:{gateway.port})"
    log = place_call(asterisk, application, asterisk.sound("tone", tone(SLIN8, 440, 1.0), "sln"))
    spoken = len(gateway.payloads(0x10))
    if case in DROPS:
        assert DROPS[case][1] in log
    assert goes_on(log) == (case in ENDS)
    assert (spoken >= 40) == (case in SUFFERS), spoken


def test_two_seconds_without_activity_drop_the_call(asterisk: Asterisk, gateway: Gateway) -> None:
    """A gateway that plays nothing, to a channel that sends nothing while it waits, loses the call after 2 s."""
    start_s = time.monotonic()
    place(
        asterisk,
        f"""
[gateway]
exten => s,1,Answer()
 same => n,AudioSocket({uuid4()},127.0.0.1:{gateway.port})
[speaker]
exten => s,1,Answer()
 same => n,Wait(8)
""",
        "s@gateway",
    )
    assert 1.8 < time.monotonic() - start_s < 6
    assert UUID(bytes=gateway.messages[0][2])
    assert gateway.end == "closed by Asterisk"
