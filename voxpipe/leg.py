"""One leg, from its UUID to its last record. START READING HERE.

::

                uplink (what the caller says)
    Asterisk -> read_leg -> transcode_uplink -> converse ------> provider
                Decoder     Converter           Session          WebSocket
    Asterisk <- play <- Ledger <- transcode_downlink <- converse <- provider
                Clock             Converter             Session
                downlink (what the caller hears)

    every event and every effect -> CallLog -> write_records -> <time>-<uuid>.jsonl

Channels: all bounded, one policy each.

=========== ============= ================================ ============================================================
channel     carries       capacity                         when full, and why
=========== ============= ================================ ============================================================
``uplink``  one frame     ``limits.uplink_ms`` (1 s)       drop the oldest, record ``uplink.overrun``: the reader must
                                                           never wait (Asterisk's write does not block; a full socket
                                                           ends the call), and fresh speech is worth more
``appends`` one frame     0                                wait: one bound a direction; two queues in a row double the
                                                           staleness
``commands`` one ``Send`` 64                               ``SessionError``: a full command queue is a fault, not a load
``downlink`` one chunk    ``limits.downlink_chunks``       ``SessionError``: if the WebSocket's reader waited, pongs and
                                                           ``speech_started`` would starve, and with them barge-in
``entries`` one entry of  16                               tell ``digits.unsent`` with the count: nobody enters so much
            digits                                         before a session is ready, and the reader must never wait
``records`` one record    ``limits.records`` (10 000)      count what is lost and write ``records.lost`` as soon as
                                                           there is room: logging never delays voice
reader of   one record    1 000, or as it asks             drop the oldest, and tell the reader ``records.lost``: nobody
records                                                    who reads along may delay voice, and the last one must come
=========== ============= ================================ ============================================================

Tools run in tasks of their own, ``tools.max_calls`` at a time; a further call is not made, and the model is told.
The ledger holds the long queue (providers send faster than real time), bounded by ``limits.ledger_s``; beyond it audio
is refused and recorded as ``playout.overrun``. The peak use of each is in the leg's last record.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import attrs
import trio

from voxpipe.actors.access import describe_config, find_api_key, known_secrets
from voxpipe.actors.audiosocket_leg import AudioSocketLeg, aclosing_leg
from voxpipe.actors.leg_control import LegControl
from voxpipe.actors.monotonic import now_ns
from voxpipe.actors.sink import CallLog, Entry, write_records
from voxpipe.audio import AudioFormat
from voxpipe.builtin_tools import all_tools
from voxpipe.call import Call, Surroundings
from voxpipe.config import Config
from voxpipe.context import LegContext
from voxpipe.dialects import get_dialect
from voxpipe.dsp.speech import speech_package
from voxpipe.errors import RemoteProtocolError, VoxpipeError
from voxpipe.sansio.leg import LegIdentified
from voxpipe.sansio.records import format_timestamp
from voxpipe.summary import summarise


@attrs.frozen
class LegOutcome:
    """How a leg ended: ``error`` is ``None`` after a peaceful end, ``log`` is ``None`` when no UUID ever came.

    ``next`` is where the agent sent the caller, if it did.
    """

    uuid: UUID | None
    reason: str
    error: VoxpipeError | None
    log: Path | None
    summary: dict[str, Any]
    next: str | None = None


async def run_leg(stream: trio.abc.Stream, config: Config, surroundings: Surroundings | None = None) -> LegOutcome:
    """Answer one AudioSocket connection and join it to a session, until either ends; then hang up.

    What peers do wrong ends the leg and is in the outcome and the log. Cancelling it hangs up and completes the log.
    ``ConfigError``: the tools of configuration and surroundings do not go together, or a package for voice detection
    is missing.
    """
    given = surroundings or Surroundings()
    configured = None if config.leg.format == "auto" else AudioFormat.parse(config.leg.format)
    leg = AudioSocketLeg(stream, configured, write_timeout_s=config.leg.write_timeout_s)
    async with aclosing_leg(leg):
        tools = all_tools(config.tools, given.tools)
        if config.voice.detect == "on":
            speech_package()
        try:
            uuid = await _identify(leg, config.leg.uuid_timeout_s)
        except RemoteProtocolError as error:
            return LegOutcome(None, str(error), error, None, {})
        if uuid is None:
            return LegOutcome(None, "leg closed before its UUID", None, None, {})
        if refused := given.admit(uuid):
            return LegOutcome(uuid, refused, None, None, {})
        context = given.context(uuid) or LegContext(config)
        config = context.config
        tools = tuple(tool for tool in tools if context.tools is None or tool.name in context.tools)
        start_ns, start_unix_ns = now_ns(), given.unix_ns()
        path = _log_path(config, uuid, start_unix_ns)
        send, receive = trio.open_memory_channel[Entry](config.limits.records)
        dialect = get_dialect(config.provider.dialect)
        api_key = find_api_key(config.provider)
        log = CallLog(
            send,
            leg=str(uuid),
            start_ns=start_ns,
            start_unix_ns=start_unix_ns,
            now_ns=now_ns,
            audio=config.log.audio,
            secrets=known_secrets(config.provider) | context.secrets,
            observer=given.on_record,
        )
        call = Call(leg, configured, config, log, given, dialect, api_key, uuid, tools)
        async with trio.open_nursery() as nursery:
            try:
                await nursery.start(write_records, receive, path, log, given.on_warning)
            except OSError as error:
                refusal = VoxpipeError(f"expected to write {path}, got {error}")
                return LegOutcome(uuid, str(refusal), refusal, None, {})
            started = {"format": config.leg.format, "log": path.name, "dialect": dialect.name}
            log.record("leg.started", {**started, "config": describe_config(config)})
            if context.told:
                log.record("leg.context", dict(context.told))
            try:
                given.on_start(LegControl(uuid, call.conversation, log, call.load))
                await call.run()
            finally:
                with trio.CancelScope(shield=True):
                    summary = summarise(call, now_ns() - start_ns, send.statistics().peak_buffer_used)
                    await log.finish("leg.summary", summary)
    return LegOutcome(uuid, call.reason, call.error, path, summary, call.next)


async def _identify(leg: AudioSocketLeg, timeout_s: float) -> UUID | None:
    with trio.move_on_after(timeout_s):
        while (events := await leg.receive()) is not None:
            if events:
                assert isinstance(events[0], LegIdentified)
                leg.push_back(events)
                return events[0].uuid
        return None
    raise RemoteProtocolError(f"expected the UUID within {timeout_s:g} s, got nothing")


def _log_path(config: Config, uuid: UUID, unix_ns: int) -> Path:
    stamp = format_timestamp(unix_ns).translate({ord("-"): None, ord(":"): None, ord("."): ord("-")}).partition("+")[0]
    return Path(config.log.dir) / f"{stamp}-{uuid}.jsonl"
