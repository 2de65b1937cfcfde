"""What the log of a call holds, and what it must never hold."""

from __future__ import annotations

from itertools import pairwise

import attrs
import pytest
import soundfile
from trio.testing import MockClock
from virtual_call import HELLO_AND_WAIT, CallMaker, Script, silence, tone

from voxpipe.audio import SLIN24
from voxpipe.config import Config
from voxpipe.dialects import get_dialect
from voxpipe.testing.provider import SPELLINGS


@pytest.mark.every_dialect
async def test_the_log_is_gapless_and_in_order(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """Sequence numbers have no gap, times never go back, and every line has what plain scripts want."""
    call = await make_call(HELLO_AND_WAIT)
    assert [record.seq for record in call.records] == list(range(len(call.records)))
    assert all(a.t_ns <= b.t_ns for a, b in pairwise(call.records))
    assert call.records[0].timestamp == "2027-01-15T08:00:00.000000+00:00"
    assert {record.leg for record in call.records} == {"aaaabbbb-cccc-dddd-eeee-ffff00001111"}


@pytest.mark.every_dialect
async def test_no_secret_reaches_the_log(
    autojump_clock: MockClock, make_call: CallMaker, call_dialect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key from the environment, and secrets in the session's own keys, are in no line."""
    monkeypatch.setenv(get_dialect(call_dialect).api_key_env, "sk-very-secret-0123456789")
    tools = [{"type": "mcp", "server_label": "crm", "authorization": "tok-5555", "headers": {"X-Key": "hdr-7777"}}]
    endpoint = {"url": "https://llm.test", "headers": {"authorization": "tok-5555", "X-Key": "hdr-7777"}}
    extra = {"deepgram": {"agent": {"think": {"endpoint": endpoint}}}, "openai-live": {"input": tools}}.get(
        call_dialect, {"tools": tools}
    )
    call = await make_call(
        HELLO_AND_WAIT,
        session={"instructions": "The key is sk-very-secret-0123456789.", "extra": extra},
        provider={} if SPELLINGS[call_dialect].plain_url else {"query": {"k": "{api_key}"}},
    )
    (sent,) = [value for value in call.session.headers.values() if "sk-very" in value]
    assert sent.removeprefix("Bearer ").removeprefix("Token ") == "sk-very-secret-0123456789"
    assert "hdr-7777" in str(call.session.messages[0].body)
    assert call.outcome.log is not None
    text = call.outcome.log.read_text()
    for secret in ("sk-very-secret", "tok-5555", "hdr-7777"):
        assert secret not in text
    assert "[redacted]" in text


async def test_no_configured_parameter_of_the_url_reaches_the_log(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """Tokens travel in URLs: of a query only the names are written down, and of the dialect's own the values too."""
    call = await make_call(
        HELLO_AND_WAIT,
        provider={"url": "ws://provider.test/v1?code=code-1111", "query": {"tenant": "tok-2222", "model": "m-1"}},
    )
    assert "tok-2222" in call.session.path
    assert call.outcome.log is not None
    text = call.outcome.log.read_text()
    assert "code-1111" not in text
    assert "tok-2222" not in text
    shown = "ws://provider.test/v1?code=[redacted]&model=m-1&tenant=[redacted]"
    assert call.data("connection.opening")[0]["url"] == call.data("connection.opened")[0]["url"] == shown


@pytest.mark.every_dialect(but="openai-live")
async def test_audio_is_digested_inlined_or_put_beside(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """The three modes keep the same lines; sidecar files hold the bytes at the offsets the lines name."""
    digest = await make_call(HELLO_AND_WAIT)
    inline = await make_call(HELLO_AND_WAIT, log={"audio": "inline"})
    sidecar = await make_call(HELLO_AND_WAIT, log={"audio": "sidecar"})
    (one, *_), (two, *_), (three, *_) = (
        [data for data in call.data("audiosocket.received") if data["message_type"] == "audio"]
        for call in (digest, inline, sidecar)
    )
    assert one["audio"]["bytes"] == 320
    assert one["audio"]["duration_ms"] == 20.0
    assert isinstance(two["audio"], str)
    assert three["audio"] == {**one["audio"], "offset_samples": 0}
    assert sidecar.outcome.log is not None
    uplink, rate_hz = soundfile.read(sidecar.outcome.log.with_suffix(".uplink.wav"), dtype="int16")
    assert rate_hz == 8000
    assert uplink.astype("<i2").tobytes() == HELLO_AND_WAIT.audio
    downlink, rate_hz = soundfile.read(sidecar.outcome.log.with_suffix(".downlink.wav"), dtype="int16")
    assert rate_hz == 24_000
    assert 2 * len(downlink) == sidecar.outcome.summary["downlink"]["bytes"]


@pytest.mark.every_dialect
async def test_linear_legs_of_the_models_rate_pass_untouched(autojump_clock: MockClock, make_call: CallMaker) -> None:
    """On a slin24 leg the provider gets the caller's very bytes."""
    speech = tone(1000, 24_000) + silence(2500, 24_000)
    call = await make_call(Script(audio=speech, format=SLIN24))
    assert bytes(call.session.uplink) == speech
    assert all(len(frame) == 960 for _, frame in call.phone.frames)


@pytest.mark.every_dialect(but="openai-live")
async def test_the_log_begins_with_the_configuration_and_without_its_secrets(
    autojump_clock: MockClock, make_call: CallMaker
) -> None:
    """Every key is in the first line, so that the call can be gone through again; keys, headers and tokens are not."""
    call = await make_call(
        Script(audio=tone(200)),
        provider={
            "api_key": "sk-1",
            "headers": {"X-Pass": "sesame"},
            "query": {"code": "c-93-x"},
            "url": "ws://provider.test/v1?key=2222",
        },
        context={"token": "tok-3"},
        session={"voice": "marin"},
    )
    config = call.data("leg.started")[0]["config"]
    assert set(config) == {field.name for field in attrs.fields(Config)}
    assert config["session"]["voice"] == "marin"
    assert config["provider"]["url"] == "ws://provider.test/v1"
    assert [config["provider"][name] for name in ("api_key", "headers", "query")] == [
        "[redacted]",
        {"X-Pass": "[redacted]"},
        {"code": "[redacted]"},
    ]
    text = b"".join(record.to_line() for record in call.records)
    assert not [secret for secret in (b"sk-1", b"sesame", b"c-93-x", b"2222", b"tok-3") if secret in text]
