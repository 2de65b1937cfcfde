"""Logs as production leaves them, again: from far away, broken off, incomplete, or not ours."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from command import run
from replayed import replayed
from trio.testing import MockClock
from virtual_call import CallMaker, Script, VirtualCall, silence, tone

from voxpipe.actors.audiosocket_leg import AudioSocketLeg
from voxpipe.actors.leg_control import LegControl
from voxpipe.actors.monotonic import now_ns
from voxpipe.audio import SLIN8
from voxpipe.config import Config
from voxpipe.context import LegContext, prepare
from voxpipe.errors import AudioError, RecordError
from voxpipe.replay.compare import compare
from voxpipe.replay.peers import TapedPace
from voxpipe.replay.tape import NotReplayable, read_tape
from voxpipe.replay.wire import Line
from voxpipe.sansio.ledger import CutPoint, Ledger
from voxpipe.testing import load_speech
from voxpipe.testing.caller_run import SPEECH
from voxpipe.testing.scenario import SCENARIOS, Pace
from voxpipe.wav import write_wav

ONE_TURN = Script(audio=tone(1000) + silence(4000))
BARGE_IN = Script(audio=tone(4000) + silence(2900) + tone(700) + silence(3000))
LONG = attrs.evolve(SCENARIOS["parrot"], pace=Pace(speed=3))
SIDECAR = {"audio": "sidecar"}


def log_of(call: VirtualCall) -> Path:
    """The log of a call."""
    assert call.outcome.log is not None
    return call.outcome.log


def change(log: Path, edit: Callable[[list[dict[str, Any]]], None]) -> None:
    """Edit the records of a log."""
    records = [json.loads(line) for line in log.read_text().splitlines()]
    edit(records)
    log.write_text("".join(json.dumps(record) + "\n" for record in records))


# --- where the provider was -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["", "wss://api.openai.com/v1/realtime", "[redacted]"])
async def test_a_provider_reached_by_tls(autojump_clock: MockClock, make_call: CallMaker, url: str) -> None:
    """As every call to a real one is: nobody has its certificate now, and what is secret in a URL is not in the log."""
    log = log_of(await make_call(ONE_TURN, log=SIDECAR))

    def elsewhere(records: list[dict[str, Any]]) -> None:
        records[0]["event_data"]["config"]["provider"]["url"] = url

    change(log, elsewhere)
    replay = replayed(log)
    assert replay.identical, str(replay.difference)


# --- logs that break off ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.2, 0.45, 0.6, 0.8, 0.95])
@pytest.mark.parametrize(("script", "scenario"), [(BARGE_IN, LONG), (ONE_TURN, "vanish")], ids=["barge-in", "vanish"])
async def test_the_log_of_a_process_that_was_killed(
    autojump_clock: MockClock, make_call: CallMaker, script: Script, scenario: Any, share: float
) -> None:
    """It breaks off anywhere: identical as far as it goes, and said to be no whole call."""
    log = log_of(await make_call(script, (scenario, "parrot"), log=SIDECAR))
    content = log.read_bytes()
    log.write_bytes(content[: round(len(content) * share)])
    replay = replayed(log)
    assert replay.identical, str(replay.difference)
    assert not replay.whole


async def test_a_difference_before_the_log_breaks_off(
    autojump_clock: MockClock, make_call: CallMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in the log counts, though its end is not: another cut is named."""
    call = await make_call(BARGE_IN, LONG, log=SIDECAR)
    (cut_at,) = call.of("playout.cut")
    lines = log_of(call).read_bytes().splitlines(keepends=True)
    log_of(call).write_bytes(b"".join(lines[: cut_at.seq + 20]))
    cut = Ledger.cut

    def late(self: Ledger) -> CutPoint:
        point = cut(self)
        return attrs.evolve(point, begun=tuple(attrs.evolve(p, played_ms=p.played_ms + 1) for p in point.begun))

    monkeypatch.setattr(Ledger, "cut", late)
    difference = replayed(log_of(call)).difference
    assert difference is not None
    assert difference.line_no == cut_at.seq + 1


async def test_what_comes_too_many_before_the_log_breaks_off(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """A command that is not in the log, well before its end, is a difference."""
    log = log_of(await make_call(Script(audio=silence(4000)), session={"greeting": "Say hello."}, log=SIDECAR))
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(line for line in lines[:-1] if b'"event_type":"response.create"' not in line))
    difference = replayed(log).difference
    assert difference is not None
    assert difference.now.startswith("response.create")


# --- machines that were slow ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("voice", [{}, {"detect": "on"}], ids=["cut", "held"])
async def test_a_frame_on_its_way_when_the_caller_spoke(
    autojump_clock: MockClock, make_call: CallMaker, monkeypatch: pytest.MonkeyPatch, voice: dict[str, str]
) -> None:
    """Taken before the cut and written after it, as on real sockets: it is neither dropped nor missing."""
    write_frame = AudioSocketLeg.write_frame

    async def slowly(self: AudioSocketLeg, *args: Any) -> None:
        await trio.sleep(0.017)
        await write_frame(self, *args)

    with monkeypatch.context() as slow:
        slow.setattr(AudioSocketLeg, "write_frame", slowly)
        said = load_speech(SPEECH, SLIN8) + silence(3000)
        script = Script(audio=said) if voice else BARGE_IN
        call = await make_call(script, LONG, voice=voice, log=SIDECAR)
    (cut,) = call.data("playout.cut")
    received, played = (sum(part[name] for part in cut["begun"]) for name in ("received_samples", "played_samples"))
    assert voice or received - played - cut["dropped_samples"] == 160
    replay = replayed(log_of(call))
    assert replay.identical, str(replay.difference)


@pytest.mark.parametrize(
    ("number", "due_ms", "expected_ns"),
    [(0, 2, 8_000_000), (0, 8, 8_000_000), (0, 9, 9_000_000), (1, 40, 45_000_001), (1, 300, 300_000_000)],
)
async def test_a_frame_leaves_when_it_left(
    autojump_clock: MockClock, make_call: CallMaker, number: int, due_ms: int, expected_ns: int
) -> None:
    """If that was a little after its time; and behind a cut before which it was due and had not left."""
    tape = read_tape(log_of(await make_call(Script(audio=silence(1000)), log=SIDECAR)))
    begin_ns = now_ns()
    tape = attrs.evolve(tape, frames_ns=(begin_ns + 8_000_000,), stops_ns={1: begin_ns + 45_000_000})
    pace = TapedPace(tape, Line())
    for _ in range(number):
        pace.note_written()
    await pace.wait(begin_ns + due_ms * 1_000_000)
    assert now_ns() - begin_ns == pytest.approx(expected_ns, abs=2)


async def test_which_of_two_sessions_goes_first_is_no_difference(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """A cut is told to the session that goes and to the one that takes over, by two tasks at one instant."""
    script = Script(audio=ONE_TURN.audio + ONE_TURN.audio)
    limits = {"session_limit_s": 60.0, "renew_before_s": 56.0}
    call = await make_call(script, provider=limits, log=SIDECAR)
    assert {record.session for record in call.of("session.update", direction="sent")} >= {None, 2}
    other = sorted(call.records, key=lambda record: -(record.session or 1))
    assert compare(call.records, range(1, len(call.records) + 1), other, call.dialect.audio_type).identical


# --- announced calls --------------------------------------------------------------------------------------------------


async def test_an_announced_call(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """With its own instructions, a name that is redacted, and only the tools that were allowed to it."""

    def announce(config: Config) -> LegContext:
        tree = {"instructions": "Greet {name}.", "variables": {"name": "Genoveva"}, "tools": ["wait"]}
        return prepare(tree, config, frozenset(config.tools.builtin))

    call = await make_call(ONE_TURN, announce=announce, tools={"builtin": ["hang_up", "wait"]}, log=SIDECAR)
    assert b"Genoveva" not in log_of(call).read_bytes()
    replay = replayed(log_of(call))
    assert replay.identical, str(replay.difference)


# --- prompts ----------------------------------------------------------------------------------------------------------


def prompt(path: Path) -> Path:
    """A WAV file of a second."""
    path.parent.mkdir(exist_ok=True)
    write_wav(path, tone(1000, frequency_hz=700), SLIN8)
    return path


async def test_a_file_that_a_program_played(autojump_clock: MockClock, make_call: CallMaker, tmp_path: Path) -> None:
    """control.play() is what came in then, and comes in again."""
    note = prompt(tmp_path / "note.wav")

    async def act(control: LegControl) -> None:
        await trio.sleep(1)
        await control.play(note)

    call = await make_call(Script(audio=silence(4000)), on_start=act, log=SIDECAR)
    assert len(call.of("audiosocket.sent")) == 50
    replay = replayed(log_of(call))
    assert replay.identical, str(replay.difference)


async def test_a_file_that_was_played_and_is_gone(
    autojump_clock: MockClock, make_call: CallMaker, tmp_path: Path
) -> None:
    """It is named with the line where it was played; a copy beside the log will do, and goes first."""
    hello = prompt(tmp_path / "there" / "hello.wav")
    call = await make_call(ONE_TURN, leg={"welcome_wav": str(hello)}, log=SIDECAR)
    (played,) = call.of("leg.welcome_wav")
    copy = log_of(call).with_suffix(".prompt-1.wav")
    copy.write_bytes(hello.read_bytes())
    hello.write_bytes(b"another file")
    assert replayed(log_of(call)).identical
    hello.unlink()
    assert replayed(log_of(call)).identical
    copy.unlink()
    with pytest.raises(NotReplayable, match=rf"line {played.seq + 1}: expected the WAV file .*hello\.wav"):
        replayed(log_of(call))


async def test_a_file_that_was_not_there_then(autojump_clock: MockClock, make_call: CallMaker, tmp_path: Path) -> None:
    """What could not be played then is not played now, though it is there."""
    call = await make_call(ONE_TURN, leg={"welcome_wav": str(tmp_path / "hello.wav")}, log=SIDECAR)
    prompt(tmp_path / "hello.wav")
    replay = replayed(log_of(call))
    assert replay.identical, str(replay.difference)


async def test_a_saved_test_has_all_it_needs(autojump_clock: MockClock, make_call: CallMaker, tmp_path: Path) -> None:
    """Log, audio and prompts, whatever the log is called, and nothing else; it goes on without the originals."""
    hello = prompt(tmp_path / "there" / "hello.wav")
    log = log_of(await make_call(ONE_TURN, leg={"welcome_wav": str(hello)}, log=SIDECAR))
    for path in list(log.parent.glob(f"{log.stem}*")):
        path.rename(tmp_path / path.name.replace(log.stem, 'a "call" [1]'))
    moved, test = tmp_path / 'a "call" [1].jsonl', tmp_path / "saved" / "test_call.py"
    moved.with_suffix(".caller-heard.wav").write_bytes(b"not needed")
    done = await trio.to_thread.run_sync(lambda: run("replay", moved, "--save-test", test))
    assert done.returncode == 0, done.stdout + done.stderr
    kept = [f'a "call" [1].{rest}' for rest in ("downlink.wav", "jsonl", "prompt-1.wav", "uplink.wav")]
    assert sorted(path.name for path in test.parent.iterdir()) == [*kept, "test_call.py"]
    hello.unlink()
    names: dict[str, Any] = {"__file__": str(test)}
    exec(compile(test.read_text(), str(test), "exec"), names)
    assert replayed(test.parent / moved.name).identical
    assert names["test_the_call_comes_out_as_it_did"].__doc__


# --- what is no whole log of ours -------------------------------------------------------------------------------------


async def test_records_that_were_lost_are_named(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """A call of which the log lacks some cannot be replayed: the line that says so."""
    log = log_of(await make_call(ONE_TURN, log=SIDECAR))

    def lose(records: list[dict[str, Any]]) -> None:
        records[30] |= {"event_type": "records.lost", "event_data": {"records": 7}, "direction": "local"}

    change(log, lose)
    with pytest.raises(NotReplayable, match="line 31: expected all records, got 7 lost here"):
        replayed(log)


@pytest.mark.parametrize(
    ("event_type", "data"),
    [
        ("connection.closed", {}),
        ("connection.closed", {"code": None, "reason": "x"}),
        ("audiosocket.received", {"message_type": "audio", "audio": 7}),
        ("audiosocket.received", {}),
        ("leg.format", {"uplink": "slin7"}),
        ("tool.called", {"name": "x"}),
        ("connection.opened", None),
    ],
)
async def test_records_of_another_kind_are_named(
    autojump_clock: MockClock, make_call: CallMaker, event_type: str, data: dict[str, Any] | None
) -> None:
    """A record that is one, and not as this version writes it: the line, and no traceback."""
    log = log_of(await make_call(ONE_TURN, log=SIDECAR))

    def spoil(records: list[dict[str, Any]]) -> None:
        records[2] |= {"event_type": event_type, "event_data": data or {}, "direction": "received", "session": 9}

    change(log, spoil)
    with pytest.raises(NotReplayable, match="line 3: expected"):
        replayed(log)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda first: first["event_data"].pop("config"), "line 1: expected leg.started with the configuration"),
        (lambda first: first["event_data"]["config"].pop("log"), "line 1: expected audio beside the log"),
        (lambda first: first["event_data"]["config"].update(log=7), "line 1: expected a configuration"),
        (lambda first: first["event_data"].update(config=[]), "line 1: expected a configuration"),
        (lambda first: first.update(leg="x"), "line 1: expected a configuration and a leg"),
        (lambda first: first.update(v=2), "line 1: .*expected schema version 1, got 2"),
    ],
)
async def test_a_log_of_another_version_says_so(
    autojump_clock: MockClock, make_call: CallMaker, edit: Callable[[dict[str, Any]], None], words: str
) -> None:
    """Its first line tells: what was expected there, and no traceback."""
    log = log_of(await make_call(ONE_TURN, log=SIDECAR))
    change(log, lambda records: edit(records[0]))
    with pytest.raises(RecordError, match=words):
        replayed(log)


async def test_audio_that_is_gone_or_empty(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """A file of nothing is no WAV file, and one that is missing is missing."""
    sidecar = log_of(await make_call(ONE_TURN, log=SIDECAR)).with_suffix(".uplink.wav")
    log = sidecar.with_name(sidecar.name.replace(".uplink.wav", ".jsonl"))
    sidecar.write_bytes(b"")
    with pytest.raises(AudioError, match=r"uplink\.wav: expected a WAV file, got an empty one"):
        replayed(log)
    sidecar.unlink()
    with pytest.raises(FileNotFoundError):
        replayed(log)


def test_a_plain_log_is_refused(tmp_path: Path) -> None:
    """Those of others have neither the audio nor the times that it takes: it says whose log is wanted."""
    log = tmp_path / "plain.jsonl"
    log.write_text('{"timestamp": "2026-01-01T00:00:00", "event_type": "session.created", "event_data": {}}\n')
    done = run("replay", log)
    assert done.returncode == 2
    assert "line 1: expected a log that voxpipe wrote" in done.stderr
