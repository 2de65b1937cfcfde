"""A recorded call again: what comes out now is what came out then, or the first difference is named."""

from __future__ import annotations

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from command import run
from replayed import replayed
from trio.testing import MockClock
from virtual_call import CallMaker, Script, VirtualCall, appends, silence, tone

from voxpipe.actors.leg_control import LegControl
from voxpipe.audio import SLIN8, SLIN16, ULAW8
from voxpipe.dsp import ulaw_encode
from voxpipe.errors import ConfigError, RecordError
from voxpipe.replay import replay_log
from voxpipe.replay.tape import NotReplayable
from voxpipe.sansio.ledger import CutPoint, Ledger
from voxpipe.testing import load_speech
from voxpipe.testing.caller_run import SPEECH
from voxpipe.testing.scenario import SCENARIOS, CallTool, Pace, Scenario, Step, Trigger, Vanish
from voxpipe.tools import Tool

ONE_TURN = tone(1000) + silence(4000)
LONG = attrs.evolve(SCENARIOS["parrot"], pace=Pace(speed=3))
BARGE_IN = Script(audio=tone(4000) + silence(2900) + tone(700) + silence(3000))
DIGIT = b"\x03\x00\x01"
GONE = Scenario("gone", "goes in silence", (Step(Trigger.READY, 4.507, Vanish()),))
LOOKS_UP = Scenario(
    "looks up", "calls a tool", (Step(Trigger.SPEECH_STOPPED, 0.8, CallTool("look_up", '{"what":"x"}')),)
)
HANGS_UP, HANDS_ON, ASKS = (
    Scenario(name, "calls a tool", (Step(Trigger.SPEECH_STOPPED, 0.8, CallTool(name, arguments)),))
    for name, arguments in (("hang_up", "{}"), ("send_to", '{"next":"sales"}'), ("collect_digits", "{}"))
)


async def look_up(what: str) -> str:
    """Look something up."""
    await trio.sleep(0.7)
    return f"{what}: high"


async def attend(control: LegControl) -> None:
    """Be a program that takes a hand in the call."""
    await trio.sleep(1.5)
    await control.instruct("Speak like a pirate.")
    await control.say("Ahoy.")
    await trio.sleep(3)
    await control.hang_up()


KINDS: dict[str, tuple[Script, Any, dict[str, Any]]] = {
    "a turn and its answer": (Script(audio=ONE_TURN), "parrot", {}),
    "a leg of 16 kHz": (Script(audio=tone(1000, 16_000) + silence(4000, 16_000), format=SLIN16), "parrot", {}),
    "a leg of mu-law": (
        Script(audio=ulaw_encode(tone(1000)) + b"\xff" * 32_000, format=ULAW8),
        "parrot",
        {"leg": {"format": "ulaw8"}},
    ),
    "G.711 to the provider": (Script(audio=ONE_TURN), "parrot", {"provider": {"formats": ["ulaw8"]}}),
    "a second format": (Script(audio=ONE_TURN), "second-format-only", {"provider": {"formats": ["pcm24", "ulaw8"]}}),
    "a barge-in": (BARGE_IN, LONG, {}),
    "a truncation refused": (BARGE_IN, attrs.evolve(LONG, undercount_ms=85), {}),
    "a lost provider": (Script(audio=ONE_TURN + ONE_TURN), ("vanish", "parrot"), {}),
    "a provider lost in silence": (Script(audio=ONE_TURN + ONE_TURN), (GONE, "parrot"), {}),
    "a provider that is away": (Script(audio=ONE_TURN + ONE_TURN), (GONE, "parrot"), {"refuse_connections": [2, 3]}),
    "a lost provider and no other": (Script(audio=ONE_TURN, stays=True), "vanish", {"provider": {"reconnect_s": 0.0}}),
    "a session renewed": (
        Script(audio=ONE_TURN + ONE_TURN),
        "parrot",
        {"provider": {"session_limit_s": 60.0, "renew_before_s": 56.0}},
    ),
    "audio before the acknowledgement": (Script(audio=ONE_TURN), "early-audio", {}),
    "no acknowledgement": (Script(stays=True), "no-ack", {}),
    "another format confirmed": (Script(audio=ONE_TURN), "wrong-format", {}),
    "a stall": (Script(audio=tone(3000) + silence(9000)), "stall", {}),
    "garbage": (Script(audio=ONE_TURN), "garbage", {}),
    "no connection": (Script(stays=True), "parrot", {"refuse_connections": [1]}),
    "a greeting": (Script(audio=silence(4000)), "parrot", {"session": {"greeting": "Say hello."}}),
    "a tool": (Script(audio=ONE_TURN + silence(2000)), LOOKS_UP, {"own_tools": [Tool(look_up)]}),
    "a tool nobody has": (Script(audio=ONE_TURN + silence(2000)), LOOKS_UP, {}),
    "keys": (
        Script(audio=silence(8000), extra=((1.0, DIGIT + b"4"), (1.4, DIGIT + b"2"), (1.8, DIGIT + b"#"))),
        "parrot",
        {"digits": {"log": True}},
    ),
    "push-to-talk": (
        Script(audio=tone(7000), extra=((1.0, DIGIT + b"#"), (5.0, DIGIT + b"#"))),
        "parrot",
        {"session": {"push_to_talk": "#", "turn_detection": {"type": "none"}}},
    ),
    "silence": (Script(audio=silence(9000)), "parrot", {"leg": {"idle_timeout_s": 2.0}}),
    "the longest call": (
        Script(audio=ONE_TURN, stays=True),
        "parrot",
        {"leg": {"max_call_s": 6.0, "warn_before_end_s": 3.0}},
    ),
    "a goodbye": (Script(audio=ONE_TURN, stays=True), HANGS_UP, {"tools": {"builtin": ["hang_up"]}}),
    "a caller handed on": (
        Script(audio=ONE_TURN, stays=True),
        HANDS_ON,
        {"tools": {"builtin": ["send_to"], "send_to": ["sales"]}},
    ),
    "a tool that asks for keys": (
        Script(audio=ONE_TURN + silence(4000), extra=((4.0, DIGIT + b"1"), (4.5, DIGIT + b"#"))),
        ASKS,
        {"tools": {"builtin": ["collect_digits"]}, "digits": {"log": True}},
    ),
    "the caller's voice, heard here": (
        Script(audio=load_speech(SPEECH, SLIN8) + silence(3000)),
        "parrot",
        {"voice": {"detect": "on"}, "session": {"turn_detection": {"type": "none"}}},
    ),
    "a hang-up message": (Script(audio=ONE_TURN, stays=True, extra=((4.01, bytes(3)),)), "parrot", {}),
    "a message nobody knows": (Script(audio=ONE_TURN, extra=((1.01, b"\x77\x00\x02ab"),)), "parrot", {}),
    "a program that attends": (Script(audio=silence(5000), stays=True), "parrot", {"on_start": attend}),
    "a gateway that drains": (Script(audio=ONE_TURN, stays=True), "parrot", {"drain_after_s": 2.2}),
}


async def recorded(make_call: CallMaker, kind: str) -> VirtualCall:
    """Make a call of one kind, with the audio beside its log."""
    script, scenario, tables = KINDS[kind]
    log = {**tables.get("log", {}), "audio": "sidecar"}
    return await make_call(script, scenario, **{**tables, "log": log})


@pytest.mark.every_dialect
@pytest.mark.parametrize("kind", KINDS)
async def test_a_call_comes_out_as_it_did(autojump_clock: MockClock, make_call: CallMaker, kind: str) -> None:
    """Commands, caller audio, agent audio and events are those of the log, however the call went."""
    call = await recorded(make_call, kind)
    assert call.outcome.log is not None
    replay = replayed(call.outcome.log)
    assert replay.identical, str(replay.difference)
    sent = call.of("audiosocket.sent", direction="sent")
    assert replay.counts["agent audio to the caller"] == len(sent)
    assert replay.counts["caller audio to the provider"] == appends(call)
    assert replay.counts["events"] > 0


# --- what differs, and what cannot be replayed ------------------------------------------------------------------------


async def test_a_changed_constant_is_named_where_it_shows_first(
    autojump_clock: MockClock, make_call: CallMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cut that is told one millisecond late: the first truncation differs, with its line and both sides."""
    call = await recorded(make_call, "a barge-in")
    assert call.outcome.log is not None
    cut = Ledger.cut

    def late(self: Ledger) -> CutPoint:
        point = cut(self)
        return attrs.evolve(
            point, begun=tuple(attrs.evolve(part, played_ms=part.played_ms + 1) for part in point.begun)
        )

    monkeypatch.setattr(Ledger, "cut", late)
    replay = replayed(call.outcome.log)
    assert replay.difference is not None
    (wrong,) = call.of("playout.cut")
    assert replay.difference.line_no == wrong.seq + 1
    assert replay.difference.t_ns == wrong.t_ns
    played_ms = wrong.event_data["begun"][0]["played_ms"]
    assert f"'played_ms': {played_ms}," in replay.difference.then.replace("}", ",")
    assert f"'played_ms': {played_ms + 1}," in replay.difference.now.replace("}", ",")


async def test_other_audio_is_a_difference_in_its_frame(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """One sample of the provider's, changed in the file: the frame it is in is the first difference."""
    call = await recorded(make_call, "a turn and its answer")
    assert call.outcome.log is not None
    sidecar = call.outcome.log.with_suffix(".downlink.wav")
    content = bytearray(sidecar.read_bytes())
    content[-5000] ^= 0x40
    sidecar.write_bytes(content)
    replay = replayed(call.outcome.log)
    assert replay.difference is not None
    assert replay.difference.lane == "agent audio to the caller"
    assert replay.difference.number > 1


async def test_what_comes_out_besides_is_a_difference(
    autojump_clock: MockClock, make_call: CallMaker, tmp_path: Path
) -> None:
    """A log that lacks a line of what was sent, and one that has a line too many."""
    call = await recorded(make_call, "a greeting")
    assert call.outcome.log is not None
    lines = call.outcome.log.read_bytes().splitlines(keepends=True)
    (asked,) = [number for number, line in enumerate(lines) if b'"event_type":"response.create"' in line]
    for name in ("uplink", "downlink"):
        call.outcome.log.with_suffix(f".{name}.wav").rename(tmp_path / f"a.{name}.wav")
    (tmp_path / "a.jsonl").write_bytes(b"".join(lines[:asked] + lines[asked + 1 :]))
    less = replayed(tmp_path / "a.jsonl").difference
    assert less is not None
    assert (less.then, less.line_no) == ("nothing", None)
    assert less.now.startswith("response.create")
    (tmp_path / "a.jsonl").write_bytes(b"".join([*lines[: asked + 1], *lines[asked:]]))
    more = replayed(tmp_path / "a.jsonl").difference
    assert more is not None
    assert (more.now, more.line_no) == ("nothing", asked + 2)


@pytest.mark.every_dialect
async def test_a_torn_last_line_is_forgiven_and_no_other(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """A process that was killed leaves half a line; half a line elsewhere is no log."""
    call = await recorded(make_call, "a turn and its answer")
    assert call.outcome.log is not None
    whole = call.outcome.log.read_bytes()
    lines = whole.splitlines(keepends=True)
    call.outcome.log.write_bytes(b"".join(lines[:-1]) + lines[-1][:20])
    assert replayed(call.outcome.log).identical
    call.outcome.log.write_bytes(lines[0] + lines[1][:20] + b"\n" + b"".join(lines[2:]))
    with pytest.raises(RecordError, match="line 2"):
        replayed(call.outcome.log)


@pytest.mark.every_dialect
async def test_a_log_without_what_it_takes_says_so(
    autojump_clock: MockClock, make_call: CallMaker, tmp_path: Path
) -> None:
    """Digests only, digits that were redacted, audio that is shorter than the log says, no log at all."""
    call = await make_call(Script(audio=ONE_TURN))
    assert call.outcome.log is not None
    with pytest.raises(NotReplayable, match=r"log\.audio"):
        replayed(call.outcome.log)
    keys = await make_call(Script(audio=silence(3000), extra=((1.0, DIGIT + b"4"),)), log={"audio": "sidecar"})
    assert keys.outcome.log is not None
    with pytest.raises(NotReplayable, match=r"line \d\d+: .*digits\.log"):
        replayed(keys.outcome.log)
    torn = await make_call(Script(audio=ONE_TURN, extra=((1.01, b"\x12\x00\x02ab"),)), log={"audio": "sidecar"})
    assert torn.outcome.log is not None
    with pytest.raises(NotReplayable, match=r"line \d+: expected a leg that keeps to its protocol"):
        replayed(torn.outcome.log)
    short = await recorded(make_call, "a turn and its answer")
    assert short.outcome.log is not None
    sidecar = short.outcome.log.with_suffix(".uplink.wav")
    sidecar.write_bytes(sidecar.read_bytes()[:2000])
    with pytest.raises(NotReplayable, match=r"bytes at .* of the uplink"):
        replayed(short.outcome.log)
    (tmp_path / "empty.jsonl").write_bytes(b"")
    with pytest.raises(NotReplayable, match="got none"):
        replayed(tmp_path / "empty.jsonl")


@pytest.mark.every_dialect
async def test_who_waits_is_told_how_far_it_is(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """Once a second of the call, growing, up to the whole."""
    call = await recorded(make_call, "a turn and its answer")
    assert call.outcome.log is not None
    shares: list[float] = []
    with ThreadPoolExecutor(1) as pool:
        pool.submit(replay_log, call.outcome.log, on_progress=shares.append).result()
    assert len(shares) == 5
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)


@pytest.mark.every_dialect
async def test_a_call_that_cannot_be_made_here_says_why(
    autojump_clock: MockClock, make_call: CallMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package for voice detection was there then and is not now: that is the error, not a difference."""
    call = await make_call(Script(audio=ONE_TURN), log={"audio": "sidecar"}, voice={"detect": "on"})
    assert call.outcome.log is not None
    assert replayed(call.outcome.log).identical

    def missing() -> str:
        raise ConfigError("voice.detect", "expected a package, got none")

    monkeypatch.setattr("voxpipe.leg.speech_package", missing)
    with pytest.raises(ConfigError, match=r"voice\.detect"):
        replayed(call.outcome.log)


@pytest.mark.every_dialect
async def test_audio_in_the_log_will_do(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """log.audio = "inline" needs no files beside it."""
    call = await make_call(Script(audio=ONE_TURN), log={"audio": "inline"})
    assert call.outcome.log is not None
    assert replayed(call.outcome.log).identical


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.mark.sockets
@pytest.mark.parametrize("scenario", ["parrot", "vanish"])
def test_a_call_over_real_sockets_becomes_a_test(tmp_path: Path, scenario: str) -> None:
    """The demo's call, with the jitter of a real machine, is identical; the written test passes, and can fail."""
    assert run("demo", "--out", tmp_path, "--scenario", scenario).returncode == (scenario != "parrot")
    (log,) = (path for path in tmp_path.glob("2*.jsonl"))
    test = tmp_path / "saved" / "test_call.py"
    done = run("replay", log, "--save-test", test)
    assert done.returncode == 0, done.stdout
    assert re.search(
        r": identical, \d+\.\d s: commands to the provider 2, " if scenario == "parrot" else ": identical", done.stdout
    )
    assert pytest_on(test) == 0
    saved = test.parent / log.name
    saved.write_bytes(saved.read_bytes().replace(b'"samples":160', b'"samples":159', 1))
    assert pytest_on(test) == 1
    different = run("replay", saved)
    assert different.returncode == 1
    assert re.search(r"different: line \d+, .* agent audio to the caller", different.stdout)
    again = run("replay", log, "--save-test", test)
    assert again.returncode == 2
    assert "not there yet" in again.stderr


def pytest_on(test: Path) -> int:
    """Run a test file by itself."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(test.parent), str(test)]
    return subprocess.run(command, cwd=test.parent, capture_output=True, check=False).returncode


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    """No log, a log that is not there, two logs for one test: status 2 and a line that says so."""
    for arguments, words in (
        ([], "expected a log"),
        ([tmp_path / "none.jsonl"], "No such file"),
        ([tmp_path / "a", tmp_path / "b", "--save-test", tmp_path / "t.py"], "expected one log"),
    ):
        done = run("replay", *arguments)
        assert done.returncode == 2
        assert words in done.stderr
        assert "Traceback" not in done.stderr
