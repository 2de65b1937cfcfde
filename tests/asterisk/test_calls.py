"""Whole calls: a real Asterisk, the gateway and the provider peer, over real sockets and in real time.

What is compared: the sound Asterisk played against what the provider heard, and what the provider sent against what
Asterisk recorded on its way to the caller.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest
from asterisk_call import goes_on, place, place_call, recorded, resampled, speech
from asterisk_gateway import RealCall, hold

from voxpipe.audio import NS_PER_S, PCM24, SLIN8, SLIN24
from voxpipe.config import Config
from voxpipe.dialplan import asterisk_dialplan
from voxpipe.dsp import Converter
from voxpipe.errors import FormatMismatch
from voxpipe.testing.caller_run import APOLOGY
from voxpipe.testing.provider_evidence import ProviderSession
from voxpipe.testing.signals import Alignment, align, silence
from voxpipe.wav import read_wav

if TYPE_CHECKING:
    from tests.asterisk.conftest import Asterisk

pytestmark = [pytest.mark.asterisk, pytest.mark.sockets]

FIRST_TURN_S = 2.5
"""caller.wav up to somewhere in its pause."""


def went_well(call: RealCall, call_id: UUID | None = None) -> None:
    """Assert what holds for every call that nothing went wrong with."""
    assert call.outcome.error is None
    assert call.outcome.reason == "leg closed by the peer"
    assert call_id in (None, call.outcome.uuid)
    confirmed = call.of("session.updated")[0]
    first_append = call.of("input_audio_buffer.append")[0]
    assert confirmed.seq < first_append.seq
    assert confirmed.t_ns <= first_append.t_ns
    assert call.outcome.summary["uplink"]["overrun_frames"] == 0
    assert call.outcome.summary["playout"]["underruns"] == 0


def found(sent: bytes, heard: bytes, at_least: float) -> Alignment:
    """Find a signal as loud as it was sent, and at least so much alike."""
    alignment = align(sent, heard)
    assert alignment.correlation > at_least, alignment
    assert alignment.gain_db == pytest.approx(0, abs=0.2), alignment
    return alignment


DIGITS_LOGGED = {"to": "off", "log": True}


def digits(call: RealCall) -> str:
    """The digits in our log, where they are not redacted."""
    return "".join(record.event_data["digit"] for record in call.of("audiosocket.received", message_type="dtmf"))


def answers(session: ProviderSession) -> list[bytes]:
    """The audio of each answer as the provider sent it."""
    audio, start = bytes(session.downlink), 0
    pieces = []
    for answer in session.answers:
        pieces.append(audio[start : start + answer.audio_bytes])
        start += answer.audio_bytes
    return pieces


async def test_a_call_by_the_application(asterisk: Asterisk, tmp_path: Path) -> None:
    """``AudioSocket()``, slin8: both turns come through, the first answer is cut by the second turn and told so."""
    call_id, said = uuid4(), speech(SLIN8)
    sound = asterisk.sound("caller", said + silence(SLIN8, 3.5), "sln")

    def place_it(config: Config) -> str:
        return place_call(asterisk, f"AudioSocket({call_id},{config.gateway.listen})", sound, dtmf="1#9")

    (call,) = await hold(tmp_path, "parrot", place_it, digits=DIGITS_LOGGED)
    went_well(call, call_id)
    assert call.outcome.summary["formats"]["leg"] == {"uplink": "slin8", "downlink": "slin8"}
    assert digits(call) == "1#9"
    found(resampled(said, SLIN8, PCM24), bytes(call.session.uplink), 0.99)
    assert call.outcome.summary["turns"] == {"caller": 2, "agent": 2, "cut": 1}
    heard = recorded(asterisk.recording("downlink.wav"))
    first, second = (resampled(answer, PCM24, SLIN8) for answer in answers(call.session))
    found(second, heard, 0.99)
    # What we told the provider was heard of the first answer is what Asterisk recorded of it, and there was more.
    (truncate,) = [message for message in call.session.messages if message.type == "conversation.item.truncate"]
    heard_bytes = SLIN8.bytes_of_ms(truncate.body["audio_end_ms"])
    assert 0 < heard_bytes < len(first)
    found(first[:heard_bytes], heard, 0.99)


async def test_a_call_by_the_channel_driver(asterisk: Asterisk, tmp_path: Path) -> None:
    """``Dial(AudioSocket/.../c(slin24))``: greeting, turn and answer go through a 24 kHz model bit for bit."""
    call_id, said = uuid4(), speech(SLIN24, FIRST_TURN_S)
    sound = asterisk.sound("caller", silence(SLIN24, 2.6) + said + silence(SLIN24, 3.2), "sln24")

    def place_it(config: Config) -> str:
        application = f"Dial(AudioSocket/{config.gateway.listen}/{call_id}/c(slin24))"
        return place_call(asterisk, application, sound, codecs="slin24", dtmf="*5", recording="sln24")

    (call,) = await hold(tmp_path, "greeting", place_it, digits=DIGITS_LOGGED)
    went_well(call, call_id)
    assert call.outcome.summary["formats"]["leg"] == {"uplink": "slin24", "downlink": "slin24"}
    assert digits(call) == "*5"
    assert said in bytes(call.session.uplink)
    assert call.outcome.summary["turns"] == {"caller": 1, "agent": 2, "cut": 0}
    heard = asterisk.recording("downlink.sln24").read_bytes()
    for answer in answers(call.session):
        assert answer in heard


@pytest.mark.parametrize("kind", ["application", "channel driver"])
async def test_digits_reach_the_agent(asterisk: Asterisk, tmp_path: Path, kind: str) -> None:
    """What a telephone sends as DTMF is an entry to the agent, who is heard to answer it, and no matter for the log."""
    call_id, quiet = uuid4(), asterisk.sound("quiet", silence(SLIN8, 1), "sln")
    later = asterisk.sound("later", silence(SLIN8, 4), "sln")

    def place_it(config: Config) -> str:
        address = config.gateway.listen
        driver = f"Dial(AudioSocket/{address}/{call_id}/c(slin))"
        application = f"AudioSocket({call_id},{address})" if kind == "application" else driver
        return place_call(asterisk, application, quiet, dtmf="7391#", then=f"Playback({later})")

    (call,) = await hold(tmp_path, "parrot", place_it)
    went_well(call, call_id)
    items = [message.body["item"] for message in call.session.messages if message.type == "conversation.item.create"]
    assert [item["content"][0]["text"] for item in items] == ["The caller pressed 7391 on the telephone keypad."]
    (entered,) = call.of("digits.entered")
    assert entered.event_data == {"digits": "[redacted]", "count": 4, "because": "terminator", "to": "text"}
    assert digits(call) == 5 * "[redacted]"
    assert call.outcome.log is not None
    assert "pressed 7391" not in call.outcome.log.read_text()
    assert call.outcome.summary["turns"] == {"caller": 0, "agent": 1, "cut": 0}
    (answer,) = answers(call.session)
    found(resampled(answer, PCM24, SLIN8), recorded(asterisk.recording("downlink.wav")), 0.98)


async def test_a_failed_session_ends_the_leg_and_not_the_call(asterisk: Asterisk, tmp_path: Path) -> None:
    """A provider that confirms other formats is hung up on at once; nothing is heard, and the dialplan goes on."""
    sound = asterisk.sound("silence", silence(SLIN8, 4), "sln")

    def place_it(config: Config) -> str:
        return place_call(asterisk, f"AudioSocket({uuid4()},{config.gateway.listen})", sound)

    (call,) = await hold(tmp_path, "wrong-format", place_it)
    assert isinstance(call.outcome.error, FormatMismatch)
    assert goes_on(call.asterisk_log)
    assert call.outcome.summary["duration_s"] < 2
    assert not any(recorded(asterisk.recording("downlink.wav")))
    assert call.of("input_audio_buffer.append") == []
    assert call.session.uplink_bytes == 0


async def test_a_failed_session_is_excused(asterisk: Asterisk, tmp_path: Path) -> None:
    """With ``leg.failure_wav`` the caller hears it to its end before the leg is hung up and the dialplan goes on."""
    sound = asterisk.sound("silence", silence(SLIN8, 4), "sln")

    def place_it(config: Config) -> str:
        return place_call(asterisk, f"AudioSocket({uuid4()},{config.gateway.listen})", sound)

    (call,) = await hold(tmp_path, "wrong-format", place_it, leg={"failure_wav": str(APOLOGY)})
    assert isinstance(call.outcome.error, FormatMismatch)
    assert goes_on(call.asterisk_log)
    apology, source = read_wav(APOLOGY)
    heard = recorded(asterisk.recording("downlink.wav"))
    found(resampled(apology, source, SLIN8), heard, 0.98)
    converter = Converter(source, SLIN8)
    assert converter.convert(apology) + converter.flush() in heard


@pytest.mark.parametrize(("extension", "leg_format"), [("agent", "slin24"), ("agent8", "slin8")])
async def test_the_printed_dialplan_works_as_it_is(
    asterisk: Asterisk, tmp_path: Path, extension: str, leg_format: str
) -> None:
    """Asterisk loads what ``asterisk_dialplan`` prints, and a call through either extension is answered."""
    said = speech(SLIN8, FIRST_TURN_S)
    sound = asterisk.sound("caller", said + silence(SLIN8, 3.5), "sln")

    def place_it(config: Config) -> str:
        caller = f"""
[speaker]
exten => s,1,Answer()
 same => n,MixMonitor(mixed.wav,r(heard.wav)t(said.wav))
 same => n,Playback({sound})
"""
        log = place(asterisk, asterisk_dialplan(config) + caller, f"{extension}@voxpipe")
        reply = asterisk.command("dialplan show voxpipe")
        assert "'agent' =>" in reply
        assert "'agent8' =>" in reply
        return log

    (call,) = await hold(tmp_path, "parrot", place_it)
    went_well(call)
    assert not [line for line in call.asterisk_log.splitlines() if "WARNING" in line and "pbx" in line]
    assert call.outcome.summary["formats"]["leg"] == {"uplink": leg_format, "downlink": leg_format}
    found(resampled(said, SLIN8, PCM24), bytes(call.session.uplink), 0.98)
    (answer,) = answers(call.session)
    found(resampled(answer, PCM24, SLIN8), recorded(asterisk.recording("heard.wav")), 0.98)


@pytest.mark.parametrize("extension", ["agent", "agent8"])
async def test_the_printed_dialplan_goes_on_after_voxpipe_hangs_up(
    asterisk: Asterisk, tmp_path: Path, extension: str
) -> None:
    """With either extension the line behind the call is run, while the caller is still there."""
    sound = asterisk.sound("silence", silence(SLIN8, 4), "sln")

    def place_it(config: Config) -> str:
        caller = f"[speaker]\nexten => s,1,Answer()\n same => n,Playback({sound})\n"
        return place(asterisk, asterisk_dialplan(config) + caller, f"{extension}@voxpipe")

    (call,) = await hold(tmp_path, "wrong-format", place_it)
    assert isinstance(call.outcome.error, FormatMismatch)
    assert f"Executing [{extension}@voxpipe:3] Hangup(" in call.asterisk_log


QUIET = {
    "application, slin8": ("AudioSocket({uuid},{address})", "slin8", 5.0),
    "application, format unknown": ("AudioSocket({uuid},{address})", "auto", 4.0),
    "channel driver, format unknown": ("Dial(AudioSocket/{address}/{uuid}/c(slin24))", "auto", 4.0),
}


@pytest.mark.parametrize("case", QUIET)
async def test_silence_keeps_a_quiet_call_up(asterisk: Asterisk, tmp_path: Path, case: str) -> None:
    """Asterisk sends nothing, and its rule of two seconds without activity does not end the call; then it is heard."""
    application, leg_format, quiet_s = QUIET[case]
    said = speech(SLIN8, 1.0)
    sound = asterisk.sound("caller", said, "sln")

    def place_it(config: Config) -> str:
        dialplan = f"""
[gateway]
exten => s,1,Answer()
 same => n,{application.format(uuid=uuid4(), address=config.gateway.listen)}
[speaker]
exten => s,1,Answer()
 same => n,Wait({quiet_s + 0.5})
 same => n,Playback({sound})
"""
        return place(asterisk, dialplan, "s@gateway")

    (call,) = await hold(tmp_path, "parrot", place_it, leg={"format": leg_format})
    went_well(call)
    first_audio = call.of("audiosocket.received", message_type="audio")[0]
    assert first_audio.t_ns > 0.95 * quiet_s * NS_PER_S
    found(resampled(said, SLIN8, PCM24), bytes(call.session.uplink), 0.98)
