"""The logger sink: records to one file per leg, without ever making the voice wait.

``CallLog.record`` is called by every actor; it never waits. ``write_records`` is the actor behind it: it gathers what
has come for half a second and writes it in a thread, so that a killed process has lost at most that, and a torn last
line.

A disk that is full loses nothing that fits into the channel: the unwritten rest stays first in line and is tried again.
What does not fit any more is counted, and ``records.lost`` tells how many as soon as there is room.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs
import trio

from voxpipe.actors.blocking import run_blocking
from voxpipe.actors.record_stream import RecordStreams
from voxpipe.audio import AudioFormat
from voxpipe.errors import AudioError
from voxpipe.sansio.memory import ENTRIES
from voxpipe.sansio.records import AudioMode, Direction, Record, audio_evidence, format_timestamp, redact
from voxpipe.wav import WavWriter

FLUSH_INTERVAL_S = 0.5
"""Half of the second within which a line must be on disk."""
FINAL_TRIES = 3
SIDES = ("uplink", "downlink")
CONCEALED = ENTRIES
"""Each is looked for in every text of every record, so a caller who never stops pressing keys must not add up; but what
another session may be given again is not written down then."""

RecordObserver = Callable[[Record], None]


@attrs.frozen
class Entry:
    """A record and, in a sidecar log, the audio that belongs to it."""

    record: Record
    side: str = ""
    format: AudioFormat | None = None
    audio: bytes = b""


@attrs.define
class LogStatistics:
    """What the log took and lost."""

    records: int = 0
    lost: int = 0
    write_errors: int = 0


class CallLog:
    """Where all evidence of one leg goes. ``record`` may be called from any task of the leg and never waits."""

    def __init__(
        self,
        send: trio.MemorySendChannel[Entry],
        *,
        leg: str | None,
        start_ns: int,
        start_unix_ns: int,
        now_ns: Callable[[], int],
        audio: AudioMode = "digest",
        secrets: frozenset[str] = frozenset(),
        observer: RecordObserver | None = None,
    ) -> None:
        self._send = send
        self._leg = leg
        self._start_ns = start_ns
        self._start_unix_ns = start_unix_ns
        self._now_ns = now_ns
        self._audio = audio
        self._secrets = self._known_secrets = secrets
        self._concealed: deque[frozenset[str]] = deque(maxlen=CONCEALED)
        self._observer = observer
        self._seq = 0
        self._untold = 0
        self._offset_samples = dict.fromkeys(SIDES, 0)
        self.statistics = LogStatistics()
        self.streams = RecordStreams()
        """Who reads along."""
        self.suspicions: list[str] = []
        """What the audio of either side sounded like and should not, for the summary."""
        self.closing = trio.Event()

    def conceal(self, secrets: frozenset[str]) -> None:
        """Redact these too from now on; of all that were named, the latest ``CONCEALED`` are kept in mind."""
        if secrets:
            with suppress(ValueError):
                self._concealed.remove(secrets)  # named again, it is the latest
            self._concealed.append(secrets)
            self._secrets = self._known_secrets.union(*self._concealed)

    def record(
        self,
        event_type: str,
        data: dict[str, Any] | None = None,
        direction: Direction = "local",
        *,
        session: int | None = None,
    ) -> None:
        """Write down that something happened, now; in which of the leg's sessions, where that is not the first."""
        self._put(event_type, redact(data or {}, self._secrets), direction, session=session)

    def record_audio(
        self,
        event_type: str,
        data: dict[str, Any],
        direction: Direction,
        audio: bytes,
        format_: AudioFormat | None,
        *,
        key: str = "audio",
        side: str = "",
        session: int | None = None,
    ) -> None:
        """Write down audio under ``key``, as the log's mode wants it. ``side`` names the sidecar file it belongs to."""
        data = redact({name: value for name, value in data.items() if name != key}, self._secrets)
        if self._audio == "sidecar" and side and format_ is not None:
            evidence = audio_evidence(audio, format_, self._audio, self._offset_samples[side])
            if self._put(event_type, {**data, key: evidence}, direction, side, format_, audio, session=session):
                self._offset_samples[side] += format_.samples(len(audio))
        else:
            evidence = audio_evidence(audio, format_, self._audio)
            self._put(event_type, {**data, key: evidence}, direction, session=session)

    async def finish(self, event_type: str, data: dict[str, Any]) -> None:
        """Write the last record, waiting for room, and close the log."""
        self.closing.set()
        last = [(event_type, redact(data, self._secrets))]
        if self._untold:
            last.insert(0, ("records.lost", {"records": self._untold}))
        try:
            for name, content in last:
                entry = Entry(self._make(name, content, "local"))
                await self._send.send(entry)
                self._count(entry)
        except trio.BrokenResourceError:  # the writer has given up
            self.statistics.lost += 1
        finally:
            self._send.close()  # also when the observer fails: the writer waits for this end
            self.streams.end()

    def _put(
        self,
        event_type: str,
        data: dict[str, Any],
        direction: Direction,
        side: str = "",
        format_: AudioFormat | None = None,
        audio: bytes = b"",
        *,
        session: int | None = None,
    ) -> bool:
        if self._untold and not self._tell_lost():
            self._count_lost()
            return False
        entry = Entry(self._make(event_type, data, direction, session), side, format_, audio)
        try:
            self._send.send_nowait(entry)
        except trio.WouldBlock:
            self._count_lost()
            return False
        except trio.ClosedResourceError:
            return False  # a program that holds on to a call which is over: behind the last record there is none
        self._count(entry)
        return True

    def _count(self, entry: Entry) -> None:
        self.statistics.records += 1
        self.streams.put(entry.record)
        if self._observer is not None:
            self._observer(entry.record)

    def _make(self, event_type: str, data: dict[str, Any], direction: Direction, session: int | None = None) -> Record:
        t_ns = self._now_ns() - self._start_ns
        timestamp = format_timestamp(self._start_unix_ns + t_ns)
        record = Record(self._seq, t_ns, timestamp, self._leg, direction, event_type, data, session=session)
        self._seq += 1
        return record

    def _count_lost(self) -> None:
        self.statistics.lost += 1
        self._untold += 1

    def _tell_lost(self) -> bool:
        entry = Entry(self._make("records.lost", {"records": self._untold}, "local"))
        try:
            self._send.send_nowait(entry)
        except trio.WouldBlock:
            return False
        self._untold = 0
        self._count(entry)
        return True


class SessionLog:
    """The log as one session of a leg writes it: the lines of sessions after the first carry their number."""

    def __init__(self, log: CallLog, number: int) -> None:
        self._log = log
        self._session = number if number > 1 else None

    def record(self, event_type: str, data: dict[str, Any] | None = None, direction: Direction = "local") -> None:
        """Write down that something happened in the session, now."""
        self._log.record(event_type, data, direction, session=self._session)

    def record_unreadable(self, error: Exception, message: dict[str, Any], audio_key: str | None) -> None:
        """Write down a message that says nothing, without its audio."""
        event = {name: value for name, value in message.items() if name != audio_key}
        self.record("error.parsing", {"message": str(error), "type": message["type"], "event": event}, "received")

    def record_audio(
        self,
        event_type: str,
        data: dict[str, Any],
        direction: Direction,
        audio: bytes,
        format_: AudioFormat | None,
        *,
        key: str,
        side: str = "",
    ) -> None:
        """Write down audio of the session, as the log's mode wants it."""
        self._log.record_audio(event_type, data, direction, audio, format_, key=key, side=side, session=self._session)


async def write_records(
    receive: trio.MemoryReceiveChannel[Entry],
    path: Path,
    log: CallLog,
    on_error: Callable[[str], None],
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Write records to ``path``, and the audio of a sidecar log beside it.

    Owns the receiving end. Ends when every sender is closed and all is written, or when the log is to be finished and
    writing has failed ``FINAL_TRIES`` times since. Never waits on the live call. ``on_error`` is told once when writing
    fails, and once when it works again.
    """
    # Opening fails loudly, before the call: a gateway that cannot keep evidence must say so.
    files = await run_blocking(LegFiles, path)
    try:
        # Cancelled meanwhile, nobody comes back to close the sending end, for which the loop below would wait for ever.
        await trio.lowlevel.checkpoint_if_cancelled()
    except trio.Cancelled:
        files.close()
        raise
    task_status.started()
    failing = False
    tries = 0
    with trio.CancelScope(shield=True), receive:
        open_ = True
        while open_ or files.unwritten:
            if not files.unwritten:
                open_ = await _gather(receive, files, log.closing)
            try:
                await run_blocking(files.write)
            except OSError as error:
                log.statistics.write_errors += 1
                if not failing:
                    on_error(f"cannot write {path}: {error}; records wait in memory")
                failing = True
                tries = tries + 1 if log.closing.is_set() else 0
                if tries >= FINAL_TRIES:
                    lost = files.unwritten_records + receive.statistics().current_buffer_used
                    on_error(f"gave up on {path}: {lost} records are lost")
                    log.statistics.lost += lost
                    break
                await trio.sleep(FLUSH_INTERVAL_S)
            else:
                if failing:
                    on_error(f"writing {path} works again")
                failing = False
                while files.complaints:
                    on_error(files.complaints.pop())
        with suppress(OSError):
            await run_blocking(files.close)


async def _gather(receive: trio.MemoryReceiveChannel[Entry], files: LegFiles, closing: trio.Event) -> bool:
    """Wait for a record, then let more come; one wake-up for all of them. ``False`` at the end of the channel."""
    try:
        files.add(await receive.receive())
        with trio.move_on_after(FLUSH_INTERVAL_S):
            await closing.wait()
        while True:
            files.add(receive.receive_nowait())
    except trio.WouldBlock:
        return True
    except trio.EndOfChannel:
        return False


class LegFiles:
    """The files of one leg; blocking, for a thread. What could not be written stays in ``unwritten``."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o640)
        self._sides: dict[str, WavWriter] = {}
        self._audio: dict[str, tuple[AudioFormat, bytearray]] = {}
        self.unwritten = bytearray()
        self.unwritten_records = 0
        self.complaints: list[str] = []

    def add(self, entry: Entry) -> None:
        """Take an entry; nothing is written yet."""
        self.unwritten += entry.record.to_line()
        self.unwritten_records += 1
        if entry.side and entry.format is not None:
            self._audio.setdefault(entry.side, (entry.format, bytearray()))[1].extend(entry.audio)

    def write(self) -> None:
        """Write what waits; on ``OSError`` the rest still waits."""
        self._write_audio()
        while self.unwritten:
            written = os.write(self._fd, self.unwritten)
            del self.unwritten[:written]
        self.unwritten_records = 0

    def close(self) -> None:
        """Close all files."""
        os.close(self._fd)
        for writer in self._sides.values():
            with suppress(OSError):  # told already, by the write that failed
                writer.close()

    def _write_audio(self) -> None:
        for side, (format_, audio) in self._audio.items():
            if side not in self._sides:
                self._sides[side] = WavWriter(self._path.with_suffix(f".{side}.wav"), format_)
            writer = self._sides[side]
            try:
                writer.write(bytes(audio))
            except AudioError as error:  # 4 GiB: the records go on without the audio
                self.complaints.append(str(error))
            audio.clear()
            # Also when nothing came: what a full disk refused waits in the writer.
            writer.flush()
