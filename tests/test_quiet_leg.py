"""A leg whose peer sends no audio for a while, in virtual time."""

from __future__ import annotations

from itertools import pairwise

import pytest
from trio.testing import MockClock
from virtual_call import CallMaker, Script, silence, tone

from voxpipe.errors import RemoteProtocolError

ASTERISK_LIMIT_S = 2.0


@pytest.mark.every_dialect
async def test_a_leg_of_unknown_format_is_kept_up(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """Before the first audio tells the format, silence in slin8 stays below Asterisk's two seconds of no activity."""
    call = await make_call(Script(audio=tone(1000) + silence(1000), speaks_after_s=4.5))
    before = [(time_s, frame) for time_s, frame in call.phone.frames if time_s < 4.5]
    assert [frame for _, frame in before] == [silence(20)] * 4
    times = [0.0, *(time_s for time_s, _ in before), 4.5]
    assert max(later - earlier for earlier, later in pairwise(times)) < ASTERISK_LIMIT_S / 1.9
    assert call.outcome.error is None
    assert call.outcome.summary["uplink"]["append_chunks"] == 100
    assert call.session.complaints == []


@pytest.mark.every_dialect
async def test_a_leg_that_never_tells_its_format_ends_loudly(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """Kept up by silence, it ends at the timeout all the same, with the way out in the message."""
    call = await make_call(Script(audio=tone(1000), speaks_after_s=9.0))
    assert isinstance(call.outcome.error, RemoteProtocolError)
    assert "configure leg.format" in str(call.outcome.error)
    assert call.outcome.summary["duration_s"] == 5.0
