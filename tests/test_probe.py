"""A session without a call: what it shows, and what it says to do when something is wrong."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
import trustme
from command import ENVIRON, Background, run
from trio.testing import MockClock
from virtual_call import run_inline, virtual_config

from voxpipe.analysis.reader import LogReader
from voxpipe.dialects import DIALECTS
from voxpipe.errors import AckTimeout, CommandRefused, FormatMismatch, SessionError
from voxpipe.probe import Probe, probe
from voxpipe.testing.provider import Provider
from voxpipe.testing.scenario import SCENARIOS
from voxpipe.websocket import dial_tcp

Prober = Callable[..., Awaitable[Probe]]


@pytest.fixture
def make_probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nursery: trio.Nursery) -> Prober:
    """Probe a simulated provider in virtual time; ``make_probe.provider`` is the last one."""
    monkeypatch.setattr(trio.to_thread, "run_sync", run_inline)

    async def make(
        dialect: str = "openai",
        scenario: str = "parrot",
        *,
        served: str = "",
        api_key: str | None = None,
        dial: Callable[[str, int], Awaitable[trio.abc.Stream]] | None = None,
        options: dict[str, Any] | None = None,
        **tables: dict[str, Any],
    ) -> Probe:
        provider = make.provider = Provider(served or dialect, SCENARIOS[scenario], api_key=api_key)  # type: ignore[attr-defined]

        async def dial_memory(_host: str, _port: int) -> trio.abc.Stream:
            ours, theirs = trio.testing.memory_stream_pair()
            nursery.start_soon(provider.serve_stream, theirs)
            return ours

        tables["provider"] = {"url": f"ws://provider.test{provider.path}", **tables.get("provider", {})}
        config = virtual_config(tmp_path, dialect, tables)
        with trio.fail_after(60):
            return await probe(config, dial=dial or dial_memory, **options or {})

    return make


def provider_of(make_probe: Prober) -> Provider:
    """The provider of the last probe."""
    provider = make_probe.provider  # type: ignore[attr-defined]
    assert isinstance(provider, Provider)
    return provider


# --- what works -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_session_is_opened_and_ended(autojump_clock: MockClock, make_probe: Prober, dialect: str) -> None:
    """Request and acknowledgement stand side by side, each step has its time, and the provider hears nothing."""
    found = await make_probe(dialect)
    assert found.works
    assert found.advice == ()
    assert found.requested == found.confirmed == "slin24"
    assert found.connect_ms is not None
    assert found.ack_ms is not None
    assert found.audio_ms is None
    (session,) = provider_of(make_probe).sessions
    assert session.complaints == []
    assert session.uplink_bytes == 0
    assert session.closed is not None
    verdicts = {setting.name: setting.verdict for setting in found.settings}
    told = {"same"} if found.echoed else {"not told"}
    assert {verdict for name, verdict in verdicts.items() if name.endswith(("think.prompt", "instructions"))} == told
    assert found.echoed is not DIALECTS[dialect].silent_ack
    assert not any(name in ("type", "event_id") for name in verdicts)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_the_agent_speaks_if_asked(autojump_clock: MockClock, make_probe: Prober, dialect: str) -> None:
    """The time to its first sound is counted from the acknowledgement: the simulator takes 0.3 s."""
    found = await make_probe(dialect, options={"speak": True})
    assert found.works, found.error
    assert found.audio_ms is not None
    assert 290 <= found.audio_ms <= 420


async def test_an_agent_who_says_nothing_is_a_failure(autojump_clock: MockClock, make_probe: Prober) -> None:
    """After the wait that was asked for."""
    begin_s = trio.current_time()
    found = await make_probe(options={"speak": True, "wait_s": 0.2})
    assert isinstance(found.error, SessionError)
    assert str(found.error) == "expected the agent to speak within 0.2 s of the acknowledgement, got no sound"
    assert 0.2 <= trio.current_time() - begin_s < 1


async def test_what_differs_is_seen(autojump_clock: MockClock, make_probe: Prober) -> None:
    """A key of which the provider confirms another value, one it does not tell, and one of its own."""
    found = await make_probe(session={"voice": "cedar"})
    verdicts = {setting.name: setting.verdict for setting in found.settings}
    assert verdicts["audio.output.voice"] == "same"
    assert verdicts["tool_choice"] == "added"
    found = await make_probe("openai-live", scenario="silent-ack", provider={"accept_silent_ack": True})
    assert found.works
    assert not found.echoed
    assert {setting.verdict for setting in found.settings if "format" in setting.name} == {"not told"}


async def test_callers_settings_play_no_part(autojump_clock: MockClock, make_probe: Prober, tmp_path: Path) -> None:
    """No greeting without --speak, no welcome file, no second session; the log is kept where it is wanted."""
    keep = tmp_path / "kept"
    found = await make_probe(
        options={"keep": keep},
        session={"greeting": "Say hello."},
        leg={"welcome_wav": "nowhere.wav", "idle_timeout_s": 1.0, "format": "auto"},
        voice={"detect": "on"},
    )
    assert found.works
    assert dict(provider_of(make_probe).sessions[0].received) == {"session.update": 1}
    (log,) = keep.glob("*.jsonl")
    assert "session.ready" in {event.type for event in LogReader(log)}
    assert not (tmp_path / "logs").exists()


# --- what does not ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scenario", "error", "advice"),
    [
        ("wrong-format", FormatMismatch, "name formats the provider confirms in provider.formats"),
        ("silent-ack", FormatMismatch, "provider.accept_silent_ack = true"),
        ("no-ack", AckTimeout, "the server is slow (provider.ack_timeout_s)"),
        ("refused", CommandRefused, "look in session.extra for the one it names"),
    ],
)
async def test_what_the_provider_does_is_explained(
    autojump_clock: MockClock, make_probe: Prober, scenario: str, error: type[Exception], advice: str
) -> None:
    """The error is the one a call would end with, and there is a word of what to do."""
    found = await make_probe(scenario=scenario)
    assert not found.works
    assert isinstance(found.error, error)
    assert any(advice in text for text in found.advice), found.advice


async def test_every_format_is_tried(autojump_clock: MockClock, make_probe: Prober) -> None:
    """As in a call: what did not work is named beside what did."""
    found = await make_probe(scenario="second-format-only", provider={"formats": ["pcm24", "ulaw8"]})
    assert found.works
    assert (found.refused, found.requested, found.confirmed) == (("slin24",), "ulaw8", "ulaw8")


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_wrong_key_is_explained(autojump_clock: MockClock, make_probe: Prober, dialect: str) -> None:
    """The status of the refusal has its explanation, which names the key; the key itself is nowhere."""
    found = await make_probe(dialect, api_key="right", provider={"api_key": "sk-wrong-0123456789-abcdef"})
    assert "HTTP 401" in str(found.error)
    assert any("provider.api_key" in text for text in found.advice)
    assert "sk-wrong" not in repr(found)


@pytest.mark.parametrize(
    ("dialect", "served"),
    [("openai", "deepgram"), ("deepgram", "openai"), ("openai-live", "deepgram")],
)
async def test_another_dialect_is_recognised(
    autojump_clock: MockClock, make_probe: Prober, dialect: str, served: str
) -> None:
    """A server that says words of another dialect only is said to speak that."""
    found = await make_probe(dialect, served=served, provider={"query": {"model": ""}} if served == "deepgram" else {})
    assert not found.works
    assert any(f'try provider.dialect = "{served}"' in text for text in found.advice), (found.error, found.advice)


def refusing(error: BaseException) -> Callable[[str, int], Awaitable[trio.abc.Stream]]:
    """A network on which nothing can be reached."""

    async def dial(_host: str, _port: int) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        raise OSError("all attempts to connect failed") from error

    return dial


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (socket.gaierror(-2, "Name or service not known"), "the name of the host is not known here"),
        (ExceptionGroup("two", [ConnectionRefusedError(111, "refused")]), "nothing listens there"),
        (OSError(101, "Network is unreachable"), "the network does not lead there"),
    ],
    ids=["name", "port", "route"],
)
async def test_the_network_is_explained(
    autojump_clock: MockClock, make_probe: Prober, error: BaseException, advice: str
) -> None:
    """By what the operating system said, wherever in the chain of causes that is."""
    found = await make_probe(dial=refusing(error))
    assert [text for text in found.advice if advice in text], found.advice
    assert len(found.advice) == 1


async def test_a_server_that_never_answers_is_explained(autojump_clock: MockClock, make_probe: Prober) -> None:
    """A connection on which nothing comes: the timeout is named with its key."""

    async def dial(_host: str, _port: int) -> trio.abc.Stream:
        return trio.testing.memory_stream_pair()[0]

    found = await make_probe(dial=dial, provider={"connect_timeout_s": 2.0})
    assert str(found.error).endswith("within 2 s, got none")
    assert ["provider.connect_timeout_s" in text for text in found.advice] == [True]


@pytest.mark.sockets
async def test_tls_is_explained(make_probe: Prober, nursery: trio.Nursery) -> None:
    """A server without TLS, and one whose certificate nobody has signed."""
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    for served, advice in ((None, "speaks no TLS"), (context, "provider.ca_file")):
        _, port = await nursery.start(partial(Provider().listen, "127.0.0.1", 0, ssl_context=served))
        found = await make_probe(dial=dial_tcp, provider={"url": f"wss://localhost:{port}/v1/realtime"})
        assert not found.works
        assert any(advice in text for text in found.advice), (found.error, found.advice)
    nursery.cancel_scope.cancel()


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.mark.sockets
def test_the_command_shows_both_sides_and_the_times() -> None:
    """For people a table, for programs JSON; the status says whether a call would get its session."""
    server = Background("simulate", "--listen", "127.0.0.1:0")
    try:
        url = server.wait_for(r"ws://\S+")[0]
        shown = run("probe", "--url", url, "--speak")
        told = run("probe", "--url", url, "--json", "--set", 'provider.formats=["ulaw8"]')
    finally:
        server.signal(2)
        server.process.wait(20)
        server._reader.join()
    assert shown.returncode == 0, shown.stderr
    for word in ("audio.input.format.type", "audio/pcm", "acknowledged", "first sound", "works"):
        assert word in shown.stdout
    found = json.loads(told.stdout)
    assert (told.returncode, found["works"], found["confirmed"]) == (0, True, "ulaw8")
    rows = {row["name"]: row for row in found["settings"]}
    assert rows["audio.input.format.type"] == {
        "name": "audio.input.format.type",
        "requested": "audio/pcmu",
        "acknowledged": "audio/pcmu",
        "verdict": "same",
    }


@pytest.mark.sockets
def test_the_command_fails_with_its_status() -> None:
    """1 for a provider that does not do, 2 for a configuration that cannot be used; each with a word of why."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        refused = run("probe", "--url", f"ws://127.0.0.1:{taken.getsockname()[1]}/")
    assert refused.returncode == 1
    assert "nothing listens there" in " ".join(refused.stdout.split())
    assert "confirmed nothing │" in " ".join(refused.stdout.split())
    keyless = run("probe", environ={key: value for key, value in ENVIRON.items() if key != "OPENAI_API_KEY"})
    assert (keyless.returncode, "OPENAI_API_KEY" in keyless.stderr) == (2, True)
    assert run("probe", "--dialect", "klingon").returncode == 2
    assert run("probe", "--wait", "0").returncode == 2
    assert "--speak" in run("probe", "--help").stdout
