"""A session with the configured provider and no caller: is everything right with key, model, formats and network?

It is made by the code that makes calls, over a leg on which nobody is; what is known of it is read from its records.
"""

from __future__ import annotations

import socket
import ssl
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import attrs
import trio

from voxpipe.actors.sink import RecordObserver
from voxpipe.audio import PTIME_MS, SLIN8
from voxpipe.call import Surroundings
from voxpipe.config import Config
from voxpipe.dialects import DIALECTS, get_dialect
from voxpipe.errors import AckTimeout, FormatMismatch, SessionError, VoxpipeError
from voxpipe.leg import run_leg
from voxpipe.replay.wire import Line
from voxpipe.sansio.dialect import Dialect, View
from voxpipe.sansio.realtime import UNTOLD
from voxpipe.sansio.records import Record
from voxpipe.voice_config import VoiceConfig
from voxpipe.websocket import Dial, WebSocketRefused, dial_tcp

GREETING = "Say hello in one short sentence."
FRAME = b"\x10" + SLIN8.frame_bytes.to_bytes(2, "big") + SLIN8.silence
NETWORK: tuple[tuple[type[BaseException], str], ...] = (
    (socket.gaierror, "the name of the host is not known here: check provider.url, and the resolver of this machine"),
    (ConnectionRefusedError, "nothing listens there: check host and port of provider.url"),
    (
        ssl.SSLCertVerificationError,
        "the certificate is not trusted: a proxy in between, a server of your own (provider.ca_file), or a wrong clock",
    ),
    (ssl.SSLError, "what listens there speaks no TLS, or another kind: check the port, and wss:// against ws://"),
    (trio.TooSlowError, "no answer: a firewall or a proxy may be in between (provider.connect_timeout_s)"),
    (OSError, "the network does not lead there from this machine"),
)
"""What to do about an error of the network, the most telling first."""
STATUS: dict[int, str] = {
    401: "no key was sent, or one that is not known: set provider.api_key",
    403: "the key may not use this",
    404: "the URL leads nowhere: check provider.url and provider.model",
    429: "too many sessions for this key just now",
}
"""What to do about an HTTP status, where the dialect has no words of its own."""

Verdict = Literal["same", "differs", "not told", "added"]


@attrs.frozen
class Setting:
    """One key of the session: as requested, unless ``added``, and as acknowledged, unless ``not told``."""

    name: str
    requested: Any
    acknowledged: Any
    verdict: Verdict


@attrs.frozen(kw_only=True)
class Probe:
    """What one session with the provider has shown.

    ``connect_ms`` is name resolution, TCP, TLS and WebSocket together, ``ack_ms`` from the request to its
    acknowledgement, ``audio_ms`` from there to the first frame played; ``None`` where it did not come so far.
    ``echoed``: the acknowledgement tells the formats. ``refused``: formats that did not work before those in
    ``requested``. ``advice`` explains ``error``.
    """

    dialect: str
    url: str
    requested: str
    confirmed: str | None
    echoed: bool
    refused: tuple[str, ...]
    connect_ms: float | None
    ack_ms: float | None
    audio_ms: float | None
    settings: tuple[Setting, ...]
    warnings: tuple[str, ...]
    error: VoxpipeError | None
    advice: tuple[str, ...]

    @property
    def works(self) -> bool:
        """Whether a call would get this far."""
        return self.error is None


async def probe(
    config: Config,
    *,
    speak: bool = False,
    wait_s: float = 10.0,
    keep: Path | None = None,
    dial: Dial = dial_tcp,
    ssl_context: ssl.SSLContext | None = None,
    on_record: RecordObserver = lambda _record: None,
) -> Probe:
    """Open a session as a call would, and end it once it is acknowledged; nothing is said, and no tool is run.

    ``speak``: have the agent say one sentence first, and wait ``wait_s`` seconds for its sound. ``keep`` is a folder
    for the session's log; without it none is kept. What peers do wrong is in the result, and never raised.
    """
    records: list[Record] = []
    ready, heard = trio.Event(), trio.Event()
    line = Line()

    def observe(record: Record) -> None:
        records.append(record)
        on_record(record)
        if record.event_type == "session.ready":
            ready.set()
        elif record.event_type == "playout.started":
            heard.set()

    async def be_silent() -> None:
        await ready.wait()
        if speak:
            with trio.move_on_after(wait_s):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_send_silence, line)
                    await heard.wait()
                    nursery.cancel_scope.cancel()
        line.end()

    with tempfile.TemporaryDirectory(prefix="voxpipe-probe-") as folder:
        surroundings = Surroundings(dial=dial, ssl_context=ssl_context, on_record=observe)
        line.say(b"\x01\x00\x10" + uuid4().bytes)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(be_silent)
            outcome = await run_leg(line, _quiet(config, keep or Path(folder), speak=speak), surroundings)
            nursery.cancel_scope.cancel()
    error = outcome.error
    if error is None and speak and not heard.is_set():
        error = SessionError(f"expected the agent to speak within {wait_s:g} s of the acknowledgement, got no sound")
    return _read(records, get_dialect(config.provider.dialect), error)


async def _send_silence(line: Line) -> None:
    # Some models speak only while they hear something.
    while True:
        line.say(FRAME)
        await trio.sleep(PTIME_MS / 1000)


def _quiet(config: Config, folder: Path, *, speak: bool) -> Config:
    """The configuration without what is for callers only."""
    session, provider = config.session, attrs.evolve(config.provider, reconnect_s=0.0, renew_before_s=0.0)
    if not speak:
        session = attrs.evolve(session, greeting="", greeting_words="")
    elif not session.greeting and not session.greeting_words:
        session = attrs.evolve(session, greeting=GREETING)
    leg = attrs.evolve(
        config.leg, format="slin8", welcome_wav="", failure_wav="", reconnect_wav="", idle_timeout_s=0.0, max_call_s=0.0
    )
    log = attrs.evolve(config.log, dir=str(folder))
    return attrs.evolve(config, session=session, provider=provider, leg=leg, log=log, voice=VoiceConfig())


# --- what the records say ---------------------------------------------------------------------------------------------


def _read(records: Sequence[Record], dialect: Dialect, error: VoxpipeError | None) -> Probe:
    opening = [record for record in records if record.event_type == "connection.opening"]
    last = opening[-1] if opening else None
    own = [record for record in records if last is not None and record.session == last.session]
    opened, ready, spoken = (_first(own, name) for name in ("connection.opened", "session.ready", "playout.started"))
    asked = _message(own, dialect, "sent", "session.update")
    # Before ours there may be one which nobody asked for.
    answers = own if ready is None else own[: own.index(ready)]
    told = _message(reversed(answers), dialect, "received", "session.updated")
    return Probe(
        dialect=dialect.name,
        url=last.event_data["url"] if last is not None else "",
        requested=last.event_data["formats"] if last is not None else "",
        confirmed=None if ready is None else "/".join(dict.fromkeys(ready.event_data["confirmed"].values())),
        echoed=ready is not None and ready.event_data["echoed"],
        refused=tuple(r.event_data["refused"] for r in records if r.event_type == "session.retrying"),
        connect_ms=_between_ms(last, opened),
        ack_ms=None if ready is None else ready.event_data["ack_ms"],
        audio_ms=_between_ms(ready, spoken),
        settings=() if asked is None else tuple(_side_by_side(asked, told)),
        warnings=tuple(
            f"{r.event_data['code']}: {r.event_data['message']}" for r in records if r.event_type == "provider.warned"
        ),
        error=error,
        advice=tuple(dict.fromkeys(explain(error, records, dialect))) if error is not None else (),
    )


def _first(records: Sequence[Record], event_type: str) -> Record | None:
    return next((record for record in records if record.event_type == event_type), None)


def _between_ms(begin: Record | None, end: Record | None) -> float | None:
    return None if begin is None or end is None else round((end.t_ns - begin.t_ns) / 1e6, 3)


def _message(records: Any, dialect: Dialect, direction: str, wire_type: str) -> dict[str, Any] | None:
    for record in records:
        view = dialect.views.get(record.event_type, View(record.event_type))
        if record.direction == direction and view.wire_type == wire_type:
            session = record.event_data.get("session", record.event_data)
            return session if isinstance(session, dict) else {}
    return None


def _side_by_side(asked: dict[str, Any], told: dict[str, Any] | None) -> Iterator[Setting]:
    requested, acknowledged = _flat(asked), _flat(told or {})
    for name, value in requested.items():
        if name in acknowledged:
            other = acknowledged[name]
            yield Setting(name, value, other, "same" if value == other else "differs")
        elif told is not None and any(key.startswith(f"{name}.") for key in acknowledged):
            yield Setting(name, value, "a table", "differs")
        else:
            yield Setting(name, value, None, "not told")
    for name, value in acknowledged.items():
        if name not in requested and told is not None:
            yield Setting(name, None, value, "added")


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    if isinstance(value, dict) and value:
        items = [(key, item) for key, item in value.items() if name or key not in ("type", "event_id")]
        return {k: v for key, item in items for k, v in _flat(item, f"{name}.{key}" if name else str(key)).items()}
    return {name: value} if name else {}


# --- what to do -------------------------------------------------------------------------------------------------------


def explain(error: VoxpipeError, records: Sequence[Record], dialect: Dialect) -> Iterator[str]:
    """Say what is wrong and what to do, as far as the error and what the provider said can tell."""
    causes = list(_causes(error))
    for status in (cause.status for cause in causes if isinstance(cause, WebSocketRefused)):
        if status is not None:
            own = dialect.advice.get(f"HTTP {status}", STATUS.get(status))
            yield own or ("the server has a trouble of its own" if status >= 500 else "check provider.url")
    if any(isinstance(cause, WebSocketRefused) and cause.status is None for cause in causes) or causes[1:]:
        yield from [text for kind, text in NETWORK if any(isinstance(cause, kind) for cause in causes)][:1]
    words = " ".join([str(error), *(str(record.event_data) for record in records if record.event_type == "error")])
    yield from (text for code, text in dialect.advice.items() if not code.startswith("HTTP ") and code in words)
    if isinstance(error, FormatMismatch):
        yield "name formats the provider confirms in provider.formats, the best first: each is tried on a new session"
        if UNTOLD in error.confirmed:
            yield "a server that confirms none is taken at its word with provider.accept_silent_ack = true"
    if isinstance(error, AckTimeout):
        yield "the server is slow (provider.ack_timeout_s), or does not know the words of this dialect"
    received = {record.event_type for record in records if record.direction == "received"}
    yield from (
        f'this server speaks another dialect: try provider.dialect = "{other.name}"'
        for other in DIALECTS.values()
        if received & set(other.events) and not received & set(dialect.events)
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for each in error.exceptions:
                yield from _causes(each)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
