"""Virtual calls: a phone, the leg and the provider peer over memory streams, in virtual time."""

from __future__ import annotations

import itertools
import math
import struct
from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import attrs
import pytest
import trio
import trio.testing

from voxpipe.actors.leg_control import LegControl
from voxpipe.analysis.events import LogEvent
from voxpipe.analysis.reader import LogReader
from voxpipe.audio import SLIN8, AudioFormat
from voxpipe.call import Surroundings
from voxpipe.config import Config, structure_config
from voxpipe.context import LegContext
from voxpipe.dialects import get_dialect
from voxpipe.leg import LegOutcome, run_leg
from voxpipe.sansio.dialect import Dialect
from voxpipe.sansio.records import Record, parse_line
from voxpipe.testing.provider import Provider
from voxpipe.testing.provider_evidence import ProviderSession
from voxpipe.testing.scenario import SCENARIOS, Scenario
from voxpipe.tools import Tool

DEFAULT_DIALECT = "openai"
CALL = UUID("aaaabbbb-cccc-dddd-eeee-ffff00001111")
START_UNIX_NS = 1_800_000_000_000_000_000
KINDS = {8000: 0x10, 16000: 0x12, 24000: 0x13, 48000: 0x16}


def tone(duration_ms: int, rate_hz: int = 8000, frequency_hz: float = 440.0, amplitude: int = 8000) -> bytes:
    """A sine of 16-bit samples, which the parrot takes for speech."""
    samples = duration_ms * rate_hz // 1000
    step = 2 * math.pi * frequency_hz / rate_hz
    return struct.pack(f"<{samples}h", *(round(amplitude * math.sin(step * n)) for n in range(samples)))


def silence(duration_ms: int, rate_hz: int = 8000) -> bytes:
    """Digital silence of 16-bit samples."""
    return bytes(2 * (duration_ms * rate_hz // 1000))


@attrs.define
class Phone:
    """What the caller's side saw: frames with the time of their arrival, and how the leg ended."""

    frames: list[tuple[float, bytes]] = attrs.field(factory=list)
    kinds: set[int] = attrs.field(factory=set)
    """The kinds the frames came under."""
    hung_up: bool = False
    closed: bool = False
    rest: bytes = b""

    @property
    def heard(self) -> bytes:
        """All that was played, silence included."""
        return b"".join(frame for _, frame in self.frames)

    @property
    def spoken(self) -> list[float]:
        """When each frame that was not silence arrived."""
        return [time_s for time_s, frame in self.frames if any(frame)]

    async def listen(self, stream: trio.abc.ReceiveStream, start_s: float) -> None:
        """Read the leg to its end."""
        try:
            async for data in stream:
                self.rest += bytes(data)
                self._split(trio.current_time() - start_s)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        self.closed = True

    def _split(self, time_s: float) -> None:
        while len(self.rest) >= 3:
            kind, end = self.rest[0], 3 + int.from_bytes(self.rest[1:3], "big")
            if len(self.rest) < end:
                return
            if kind == 0:
                self.hung_up = True
            else:
                self.kinds.add(kind)
                self.frames.append((time_s, self.rest[3:end]))
            self.rest = self.rest[end:]


@attrs.define
class VirtualCall:
    """Everything that is known of a call after it."""

    outcome: LegOutcome
    phone: Phone
    provider: Provider
    records: list[Record]
    duration_s: float

    @property
    def dialect(self) -> Dialect:
        """How the provider spells."""
        return get_dialect(self.provider.dialect)

    def seen(self, *event_types: str, direction: str = "") -> list[LogEvent]:
        """The events of these types in the reference dialect's words, as a log's reader sees them."""
        assert self.outcome.log is not None
        wanted = (event for event in LogReader(self.outcome.log) if event.type in event_types)
        return [event for event in wanted if direction in ("", event.direction)]

    @property
    def session(self) -> ProviderSession:
        """The provider's evidence of its latest session."""
        return self.provider.sessions[-1]

    def of(self, *event_types: str, direction: str = "") -> list[Record]:
        """The records of these types, in order."""
        return [r for r in self.records if r.event_type in event_types and direction in ("", r.direction)]

    def data(self, event_type: str) -> list[dict[str, Any]]:
        """The data of all records of one type."""
        return [record.event_data for record in self.of(event_type)]


@attrs.frozen(kw_only=True)
class Script:
    """What the caller does: speak ``audio`` by the frame, then hang up, or stay until the leg ends."""

    audio: bytes = b""
    format: AudioFormat = SLIN8
    extra: tuple[tuple[float, bytes], ...] = ()
    """Raw messages to send at a time, DTMF and the like."""
    stays: bool = False
    speaks_after_s: float = 0.0
    uuid: UUID = CALL


CallMaker = Callable[..., Awaitable[VirtualCall]]


async def run_inline(work: Callable[..., Any], *args: Any, **_options: Any) -> Any:
    """Stand in for ``trio.to_thread.run_sync``: a clock that jumps when all tasks wait would not wait for a thread."""
    await trio.lowlevel.checkpoint()
    return work(*args)


@pytest.fixture
def call_dialect(request: pytest.FixtureRequest) -> str:
    """The dialect of a test's calls: the reference, or each there is in turn."""
    return str(getattr(request, "param", DEFAULT_DIALECT))


@pytest.fixture
def make_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call_dialect: str) -> CallMaker:
    """Make one call in virtual time, over memory streams from the phone to the leg and from the leg to the provider."""
    monkeypatch.setattr(trio.to_thread, "run_sync", run_inline)

    async def call(
        script: Script,
        scenario: str | Scenario | Sequence[str | Scenario] = "parrot",
        *,
        dialect: str = call_dialect,
        timeout_s: float = 60,
        shape: Callable[[trio.abc.Stream, trio.Nursery], trio.abc.Stream] | None = None,
        refuse_connections: Collection[int] = (),
        drain_after_s: float | None = None,
        on_start: Callable[[LegControl], Awaitable[None]] | None = None,
        own_tools: Sequence[Tool] = (),
        announce: Callable[[Config], LegContext] | None = None,
        **tables: dict[str, Any],
    ) -> VirtualCall:
        scenarios = [scenario] if isinstance(scenario, str | Scenario) else scenario
        provider = Provider(dialect, [SCENARIOS[one] if isinstance(one, str) else one for one in scenarios])
        tables["provider"] = {"url": f"ws://provider.test{provider.path}", **tables.get("provider", {})}
        config = virtual_config(tmp_path, dialect, tables)
        start_s = trio.current_time()
        dials = itertools.count(1)
        phone, given = Phone(), None
        with trio.fail_after(timeout_s):
            async with trio.open_nursery() as nursery:

                async def dial(_host: str, _port: int) -> trio.abc.Stream:
                    if next(dials) in refuse_connections:
                        raise OSError("all attempts to connect failed")
                    ours, theirs = trio.testing.memory_stream_pair()
                    nursery.start_soon(provider.serve_stream, theirs)
                    return ours if shape is None else shape(ours, nursery)

                def start(control: LegControl) -> None:
                    if on_start is not None:
                        nursery.start_soon(on_start, control)

                given = Surroundings(
                    dial=dial,
                    on_start=start,
                    unix_ns=lambda: START_UNIX_NS + round(trio.current_time() * 1e9),
                    tools=own_tools,
                    context=lambda _uuid: None if announce is None else announce(config),
                )
                line, leg = trio.testing.memory_stream_pair()
                nursery.start_soon(phone.listen, line, start_s)
                nursery.start_soon(speak, line, script)
                if drain_after_s is not None:
                    nursery.start_soon(set_after, given.drain, drain_after_s)
                outcome = await run_leg(leg, config, given)
                await trio.testing.wait_all_tasks_blocked()
                nursery.cancel_scope.cancel()
        records = read_log(outcome.log) if outcome.log else []
        return VirtualCall(outcome, phone, provider, records, trio.current_time() - start_s)

    return call


def virtual_config(folder: Path, dialect: str, tables: dict[str, dict[str, Any]]) -> Config:
    """A configuration for virtual calls; ``tables`` are laid over it."""
    tree: dict[str, dict[str, Any]] = {
        "provider": {
            "dialect": dialect,
            "url": "ws://provider.test/v1/realtime",
            "model": "" if get_dialect(dialect).default_model else "our-deployment",
        },
        "log": {"dir": str(folder / "logs")},
    }
    for name, table in tables.items():
        tree[name] = {**tree.get(name, {}), **table}
    return structure_config(tree)


async def speak(line: trio.abc.SendStream, script: Script) -> None:
    """Be Asterisk: the UUID, then a frame each 20 ms, then the end of the connection unless the caller stays."""
    start_s = trio.current_time()
    size = script.format.frame_bytes
    kind = KINDS[script.format.rate_hz]
    extra = sorted(script.extra)
    try:
        await line.send_all(b"\x01\x00\x10" + script.uuid.bytes)
        await trio.sleep(script.speaks_after_s)
        position = 0
        while script.stays or position < len(script.audio):
            while extra and extra[0][0] <= trio.current_time() - start_s:
                await line.send_all(extra.pop(0)[1])
            frame = script.audio[position : position + size].ljust(size, b"\x00")
            await line.send_all(bytes((kind,)) + size.to_bytes(2, "big") + frame)
            position += size
            await trio.sleep_until(start_s + script.speaks_after_s + position / size * 0.02)
        await line.aclose()
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass


async def set_after(event: trio.Event, delay_s: float) -> None:
    """Set an event after a while."""
    await trio.sleep(delay_s)
    event.set()


def read_log(path: Path) -> list[Record]:
    """Read a whole log."""
    return [parse_line(line, number) for number, line in enumerate(path.read_bytes().splitlines(), 1)]


def wire_types(records: Sequence[Record], direction: str) -> list[str]:
    """The types that went over the WebSocket in one direction, audio runs folded into one."""
    types = [r.event_type for r in records if r.direction == direction and not r.event_type.startswith("audiosocket.")]
    return [name for name, before in zip(types, ["", *types], strict=False) if name != before]


HELLO_AND_WAIT = Script(audio=tone(1000) + silence(3500))
"""A second of a tone, and time for the answer to it."""


def appends(call: VirtualCall) -> int:
    """How many messages of caller audio went out."""
    return len(call.of(call.dialect.audio_type, direction="sent"))


def no_audio_passed(call: VirtualCall) -> None:
    """Assert that nothing went out to the provider and nothing but silence came to the caller."""
    assert appends(call) == 0
    assert call.session.complaints == []
    assert call.phone.spoken == []
