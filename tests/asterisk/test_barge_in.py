"""A barge-in through a real Asterisk, measured in a recording of what the caller hears on Asterisk's far side.

Both answers are sweeps, each moment of which has a pitch of its own: which piece of one is in the recording can be read
back to the sample. Before, between and behind them there are only zeros.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import attrs
import numpy as np
import pytest
import trio
from asterisk_call import resampled
from asterisk_gateway import RealCall, hold
from asterisk_phone import Phone

from voxpipe.audio import PCM24, PTIME_MS, SLIN8, SLIN16, SLIN24, AudioFormat
from voxpipe.config import Config
from voxpipe.sansio.records import Record
from voxpipe.testing.scenario import Pace, Say, Scenario, Step, Trigger
from voxpipe.testing.signals import align, silence, speech_like, sweep

if TYPE_CHECKING:
    from tests.asterisk.conftest import Asterisk

pytestmark = [pytest.mark.asterisk, pytest.mark.sockets]

LIMIT_MS = 100.0
STARTED_LIMIT_MS = 40.0
"""What is left of the frame that is being heard, and a frame for Asterisk and a busy machine."""
HEARING_MS = 40.0
"""The provider has heard three frames of 20 ms so long after the first of them came."""
NEXT_S = 2.0
LONG, NEXT = sweep(PCM24, 300, 3000, 20), sweep(PCM24, 3000, 300, NEXT_S)
NEAR_SAMPLES = 8
"""A sweep's first samples are zeros once rounded, or come a little early out of a filter."""
BEFORE_WORD_S, WORD_S, AFTER_WORD_S = 4.0, 0.6, 4.5

# The provider hears a word by its first 60 ms: what is measured is the bridge and Asterisk, and not its patience. It is
# still sending the long answer then, at twice the pace at which that is played.
INTERRUPTED = Scenario(
    "interrupted",
    "gives a long answer at once, and another one after the caller's word",
    (Step(Trigger.READY, 0.1, Say(LONG)), Step(Trigger.SPEECH_STOPPED, 0.2, Say(NEXT))),
    parrot=False,
    pace=Pace(speed=2.0),
)
ROUTES = {
    "application, slin8": ("AudioSocket({uuid},{address})", SLIN8, "slin"),
    "channel driver, slin16": ("Dial(AudioSocket/{address}/{uuid}/c(slin16))", SLIN16, "slin16"),
    "channel driver, slin24": ("Dial(AudioSocket/{address}/{uuid}/c(slin24))", SLIN24, "slin24"),
}


def unix_ns(record: Record) -> int:
    """When a record was made."""
    return round(datetime.fromisoformat(record.timestamp).timestamp() * 1e6) * 1000


@attrs.frozen
class Stretch:
    """What is heard between two silences, in samples of the recording."""

    begin: int
    end: int

    def likeness(self, answer: bytes, recording: bytes) -> float:
        """How alike it is with so much of the beginning of an answer, at this very place; 1 is the same."""
        found = align(answer[: 2 * (self.end - self.begin)], recording)
        return found.correlation if abs(found.lag_samples - self.begin) <= NEAR_SAMPLES else 0.0


def stretches(recording: bytes, format_: AudioFormat) -> list[Stretch]:
    """What is heard, cut where there are only zeros for a frame and longer."""
    loud = np.flatnonzero(np.frombuffer(recording, "<i2"))
    ends = [*np.flatnonzero(np.diff(loud) >= format_.frame_samples), len(loud) - 1]
    begins = [0, *(int(end) + 1 for end in ends[:-1])]
    return [Stretch(int(loud[begin]), int(loud[end]) + 1) for begin, end in zip(begins, ends, strict=True)]


async def barge_in(asterisk: Asterisk, folder: Path, route: str) -> tuple[RealCall, Phone]:
    """Make the call from a telephone on the far side."""
    application, format_, codec = ROUTES[route]
    spoken = silence(format_, BEFORE_WORD_S) + speech_like(format_, WORD_S) + silence(format_, AFTER_WORD_S)
    phone = Phone(format_, spoken)
    async with trio.open_nursery() as nursery:
        port = await nursery.start(phone.serve)

        def place_it(config: Config) -> str:
            application_line = application.format(uuid=uuid4(), address=config.gateway.listen)
            asterisk.dialplan(f"[gateway]\nexten => s,1,{application_line}\n")
            asterisk.originate(f"AudioSocket/127.0.0.1:{port}/{uuid4()}/c({codec})", "gateway", codecs=codec)
            asterisk.wait_until_idle()
            return asterisk.log()

        (call,) = await hold(folder, INTERRUPTED, place_it)
    return call, phone


@pytest.mark.parametrize("route", ROUTES)
async def test_the_answer_stops_at_the_callers_word(asterisk: Asterisk, tmp_path: Path, route: str) -> None:
    """Silence within 100 ms of the word; of the answer there is what the truncation says and no more; then the next."""
    _, format_, _ = ROUTES[route]
    call, phone = await barge_in(asterisk, tmp_path, route)
    assert call.outcome.error is None
    assert call.session.complaints == []
    recording = bytes(phone.heard)
    heard = stretches(recording, format_)
    assert len(heard) == 2, heard
    cut, following = heard
    (started,) = call.of("input_audio_buffer.speech_started")

    silent_ns = phone.heard_ns(2 * cut.begin, 2 * cut.end)
    after_word_ms = (silent_ns - phone.word_ns(format_.bytes_of_ms(1000 * BEFORE_WORD_S))) / 1e6
    after_started_ms = (silent_ns - unix_ns(started)) / 1e6
    assert HEARING_MS < after_word_ms <= LIMIT_MS
    assert after_started_ms <= STARTED_LIMIT_MS
    answered = next(record for record in call.of("response.created") if record.seq > started.seq)
    assert [r for r in call.of("audiosocket.sent") if started.seq < r.seq < answered.seq] == []

    assert cut.likeness(resampled(LONG, PCM24, format_), recording) > 0.999
    (truncate,) = [message for message in call.session.messages if message.type == "conversation.item.truncate"]
    assert format_.samples_ms(cut.end - cut.begin) == pytest.approx(truncate.body["audio_end_ms"], abs=PTIME_MS)
    assert call.session.answers[0].status == "cancelled"
    assert call.session.answers[0].audio_bytes > PCM24.bytes_of_ms(truncate.body["audio_end_ms"])

    assert following.likeness(resampled(NEXT, PCM24, format_), recording) > 0.999
    assert format_.samples_ms(following.end - following.begin) == pytest.approx(1000 * NEXT_S, abs=PTIME_MS)
