"""The logger sink: what is on disk when the disk is full, when records come too fast, when the process is killed."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile
import trio
import trio.testing
from trio.testing import MockClock
from virtual_call import CALL, CallMaker, Script, read_log, run_inline, silence, tone, virtual_config

from voxpipe.actors.monotonic import now_ns
from voxpipe.actors.sink import CallLog, Entry, write_records
from voxpipe.audio import SLIN8
from voxpipe.leg import run_leg
from voxpipe.sansio.records import AudioMode, Record, parse_line

START_UNIX_NS = 1_800_000_000_000_000_000


@pytest.fixture
def inline_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run what would run in a thread on the spot, so that the virtual clock waits for it."""
    monkeypatch.setattr(trio.to_thread, "run_sync", run_inline)


class Disk:
    """A disk that takes ``room_bytes`` more, at most ``piece_bytes`` at a time; the rest is refused as full."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room_bytes = 1 << 40
        self.piece_bytes = 1 << 40
        self._write = os.write
        monkeypatch.setattr("voxpipe.actors.sink.os.write", self.write)

    def write(self, fd: int, data: Any) -> int:
        """Be ``os.write``."""
        if not self.room_bytes:
            raise OSError(errno.ENOSPC, "No space left on device")
        size = min(len(data), self.piece_bytes, self.room_bytes)
        self.room_bytes -= size
        return self._write(fd, bytes(data[:size]))


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """The disk under the log."""
    return Disk(monkeypatch)


class Sink:
    """A log with its writer."""

    def __init__(self, path: Path, capacity: int = 10_000, audio: AudioMode = "digest") -> None:
        self.path = path
        self.warnings: list[str] = []
        self.observed: list[Record] = []
        self._send, self._receive = trio.open_memory_channel[Entry](capacity)
        self.log = CallLog(
            self._send,
            leg="leg",
            start_ns=now_ns(),
            start_unix_ns=START_UNIX_NS,
            now_ns=now_ns,
            audio=audio,
            observer=self.observed.append,
        )

    async def start(self, nursery: trio.Nursery) -> None:
        """Start the writer; its file is open after that."""
        await nursery.start(write_records, self._receive, self.path, self.log, self.warnings.append)

    @property
    def lines(self) -> list[Record]:
        """What is on disk."""
        return read_log(self.path)

    @property
    def types(self) -> list[str]:
        """The types on disk."""
        return [record.event_type for record in self.lines]


@pytest.fixture
def sink(tmp_path: Path, inline_threads: None) -> Callable[..., Sink]:
    """Make a sink in a folder that does not exist yet."""
    return lambda *args, **options: Sink(tmp_path / "logs" / "leg.jsonl", *args, **options)


async def test_lines_are_on_disk_within_a_second(autojump_clock: MockClock, sink: Callable[..., Sink]) -> None:
    """In the middle of a call, what happened a second ago can be read."""
    it = sink()
    async with trio.open_nursery() as nursery:
        await it.start(nursery)
        for number in range(50):
            it.log.record("x", {"n": number})
            await trio.sleep(0.1)
            old = [record for record in it.observed if record.t_ns <= now_ns() - it.observed[0].t_ns - 1_000_000_000]
            assert len(it.lines) >= len(old)
        await it.log.finish("end", {})
    assert [record.event_data for record in it.lines[:-1]] == [{"n": number} for number in range(50)]
    assert it.lines == it.observed
    assert it.warnings == []


# --- a full disk ------------------------------------------------------------------------------------------------------


async def test_short_writes_lose_nothing(autojump_clock: MockClock, sink: Callable[..., Sink], disk: Disk) -> None:
    """A write that takes seven bytes at a time makes the same file."""
    it = sink()
    disk.piece_bytes = 7
    async with trio.open_nursery() as nursery:
        await it.start(nursery)
        it.log.record("x", {"text": "ä" * 100})
        await it.log.finish("end", {})
    assert it.lines == it.observed
    assert it.types == ["x", "end"]


async def test_a_full_disk_loses_nothing_and_says_so_once(
    autojump_clock: MockClock, sink: Callable[..., Sink], disk: Disk
) -> None:
    """Full in the middle of a line for ten seconds: the operator hears once of it and of its end; every line comes."""
    it = sink()
    async with trio.open_nursery() as nursery:
        await it.start(nursery)
        it.log.record("before", {})
        await trio.sleep(2)
        disk.room_bytes = 100
        for number in range(100):
            it.log.record("during", {"n": number})
            await trio.sleep(0.1)
        assert len(it.path.read_bytes().splitlines()) < 5
        disk.room_bytes = 1 << 40
        await trio.sleep(2)
        assert len(it.lines) == 101
        await it.log.finish("after", {})
    assert it.lines == it.observed
    assert [record.seq for record in it.lines] == list(range(102))
    assert it.warnings == [
        f"cannot write {it.path}: [Errno 28] No space left on device; records wait in memory",
        f"writing {it.path} works again",
    ]
    assert it.log.statistics.lost == 0


async def test_a_disk_that_stays_full_never_holds_a_leg(
    autojump_clock: MockClock, sink: Callable[..., Sink], disk: Disk
) -> None:
    """Even with the channel full, the log is given up soon after the end, and the count of what is lost is right."""
    it = sink(capacity=20)
    async with trio.open_nursery() as nursery:
        await it.start(nursery)
        disk.room_bytes = 0
        for number in range(100):
            it.log.record("x", {"n": number})
            await trio.sleep(0.1)
        start_s = trio.current_time()
        with trio.fail_after(10):
            await it.log.finish("end", {})
    assert trio.current_time() - start_s < 5
    assert it.path.read_bytes() == b""
    assert it.log.statistics.lost >= 100
    assert len(it.warnings) == 2
    assert it.warnings[1].startswith(f"gave up on {it.path}: ")


async def test_a_call_ends_though_the_disk_is_full(autojump_clock: MockClock, make_call: CallMaker, disk: Disk) -> None:
    """The caller is answered and hung up on in time: logging never delays voice, nor the end of it."""
    disk.room_bytes = 0
    call = await make_call(Script(audio=tone(1000) + silence(3000)), limits={"records": 50}, log={"audio": "sidecar"})
    assert call.phone.spoken
    assert call.outcome.error is None
    assert call.records == []
    assert call.duration_s < 10


# --- too many records -------------------------------------------------------------------------------------------------


async def test_what_does_not_fit_is_counted(autojump_clock: MockClock, sink: Callable[..., Sink]) -> None:
    """Records beyond the channel are lost by count: the sums in records.lost are the gaps in the sequence numbers."""
    it = sink(capacity=10)
    async with trio.open_nursery() as nursery:
        await it.start(nursery)
        for burst in (30, 5, 12):
            for number in range(burst):
                it.log.record("x", {"n": number})
            await trio.sleep(2)
        await it.log.finish("end", {})
    told = sum(record.event_data["records"] for record in it.lines if record.event_type == "records.lost")
    assert told == it.log.statistics.lost > 10
    assert it.lines[-1].seq + 1 - len(it.lines) == told
    assert it.types.count("x") == 47 - told
    assert it.log.statistics.records == len(it.lines)


async def test_a_loss_is_told_at_the_end_at_the_latest(autojump_clock: MockClock, sink: Callable[..., Sink]) -> None:
    """A burst right before the end is in the count as well; the last line is the last record."""
    it = sink(capacity=10)
    async with trio.open_nursery() as nursery:
        await it.start(nursery)
        for number in range(15):
            it.log.record("x", {"n": number})
        await it.log.finish("end", {})
    # One record is in the writer's hand, ten wait.
    assert it.types == ["x"] * 11 + ["records.lost", "end"]
    assert it.lines[-2].event_data == {"records": 4}


async def test_whoever_watches_the_log_hears_of_a_loss(autojump_clock: MockClock, sink: Callable[..., Sink]) -> None:
    """The terminal sees exactly the records that the file has, records.lost among them."""
    it = sink(capacity=10)
    async with trio.open_nursery() as nursery:
        await it.start(nursery)
        for _ in range(2):
            for number in range(15):
                it.log.record("x", {"n": number})
            await trio.sleep(2)
        await it.log.finish("end", {})
    assert it.observed == it.lines
    assert it.types.count("records.lost") == 2


async def test_lost_audio_moves_no_offset(autojump_clock: MockClock, sink: Callable[..., Sink]) -> None:
    """The audio of a lost record is not in the file either, so that every other record still names its own."""
    it = sink(capacity=4, audio="sidecar")
    async with trio.open_nursery() as nursery:
        await it.start(nursery)
        for _ in range(2):
            for value in range(8):
                audio = bytes((value, 0)) * 160
                it.log.record_audio("a", {}, "received", audio, SLIN8, side="uplink")
            await trio.sleep(2)
        await it.log.finish("end", {})
    samples, _ = soundfile.read(it.path.with_suffix(".uplink.wav"), dtype="int16")
    kept = [record.event_data["audio"] for record in it.lines if record.event_type == "a"]
    assert [audio["offset_samples"] for audio in kept] == [160 * index for index in range(len(kept))]
    assert len(samples) == 160 * len(kept)
    assert 4 < len(kept) < 16


# --- a folder that cannot be written ----------------------------------------------------------------------------------


async def test_no_call_without_evidence(autojump_clock: MockClock, tmp_path: Path, inline_threads: None) -> None:
    """Where the log cannot be opened the leg is hung up at once, and the error says which file and why."""
    (tmp_path / "logs").write_text("a file where a folder should be")
    line, leg = trio.testing.memory_stream_pair()
    await line.send_all(b"\x01\x00\x10" + CALL.bytes)
    outcome = await run_leg(leg, virtual_config(tmp_path, "openai", {}))
    assert outcome.log is None
    assert str(outcome.error).startswith(f"expected to write {tmp_path / 'logs'}/")
    assert "File exists" in str(outcome.error) or "Not a directory" in str(outcome.error)
    assert await line.receive_some(10) == b"\x00\x00\x00"


# --- a killed process -------------------------------------------------------------------------------------------------

WRITER = """
import sys, time
from pathlib import Path
import trio
from voxpipe.actors.sink import CallLog, Entry, write_records
from voxpipe.audio import SLIN8

async def main():
    send, receive = trio.open_memory_channel[Entry](10_000)
    start_ns = time.monotonic_ns()
    log = CallLog(send, leg="leg", start_ns=start_ns, start_unix_ns=time.time_ns(), now_ns=time.monotonic_ns,
                  audio="sidecar")
    async with trio.open_nursery() as nursery:
        await nursery.start(write_records, receive, Path(sys.argv[1]), log, print)
        print(start_ns, flush=True)
        while True:
            log.record_audio("audiosocket.received", {}, "received", bytes(320), SLIN8, side="uplink")
            await trio.sleep(0.01)

trio.run(main)
"""


@pytest.mark.slow
def test_a_killed_process_leaves_all_but_its_last_second(tmp_path: Path) -> None:
    """After SIGKILL every line older than a second is whole, only the last may be torn, and the WAV beside it plays."""
    path = tmp_path / "leg.jsonl"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        start_ns = int(process.stdout.readline())
        deadline = time.monotonic() + 60
        while path.stat().st_size < 60_000 and time.monotonic() < deadline:
            trio.run(trio.sleep, 0.05)
        # Taken before the kill: what was recorded a second before it must be there.
        killed_ns = time.monotonic_ns() - start_ns
        process.send_signal(signal.SIGKILL)
    lines = path.read_bytes().splitlines(keepends=True)
    whole = [
        parse_line(line, number) for number, line in enumerate(lines[: -1 if lines[-1][-1:] != b"\n" else None], 1)
    ]
    assert [record.seq for record in whole] == list(range(len(whole)))
    assert killed_ns > 2_000_000_000
    assert whole[-1].t_ns >= killed_ns - 1_000_000_000
    samples, rate_hz = soundfile.read(path.with_suffix(".uplink.wav"), dtype="int16")
    assert rate_hz == 8000
    last = whole[-1].event_data["audio"]
    assert last["offset_samples"] + 160 <= len(samples)
    assert json.loads(lines[0])["event_data"]["audio"]["offset_samples"] == 0
