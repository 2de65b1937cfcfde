"""A simulated speech provider: it hears turns, speaks them back, plays scenarios, and keeps evidence.

It speaks OpenAI Realtime (``openai``, ``azure-openai``, and the older beta ``openai-beta``), OpenAI Live
(``openai-live``) and Deepgram's Voice Agent (``deepgram``), strictly: what the real server refuses is refused here, in
its words, and everything a client does wrong is a ``Complaint``. It shares no code with the gateway but formats, errors
and the WebSocket, so it can tell when the gateway is wrong.

::

    provider = Provider(scenario=SCENARIOS["greeting"])
    await nursery.start(provider.listen, "127.0.0.1", 0)     # or provider.serve_stream(stream), in virtual time
    ...
    assert provider.sessions[0].complaints == []

Reading order: ``provider_connection`` (tasks), ``provider_dialogue`` (what a message does), ``provider_speaker`` and
``provider_answer`` (responses), ``parrot`` (turn detection), ``provider_ga``, ``provider_spelling``,
``provider_live`` and ``provider_deepgram`` (the wire).
"""

from __future__ import annotations

import itertools
import ssl
import time
from collections.abc import Callable, Sequence
from urllib.parse import parse_qs, urlsplit

import trio

from voxpipe.testing.provider_connection import Connection
from voxpipe.testing.provider_deepgram import DEEPGRAM
from voxpipe.testing.provider_evidence import Complaint, ProviderNote, ProviderSession
from voxpipe.testing.provider_live import LIVE
from voxpipe.testing.provider_schema import Refusal
from voxpipe.testing.provider_session import SessionConfiguration
from voxpipe.testing.provider_spelling import AZURE, BETA, GA
from voxpipe.testing.scenario import PARROT, Close, Scenario
from voxpipe.websocket import Upgrade, WebSocketClosed, WebSocketRefused, receive_upgrade

HANDSHAKE_TIMEOUT_S = 10.0
KEPT_SESSIONS = 1_000
KEPT_AUDIO_BYTES = 8 * 1024 * 1024
DEFAULT_MODEL = "gpt-realtime-2.1"
SPELLINGS = {spelling.name: spelling for spelling in (GA, BETA, LIVE, AZURE, DEEPGRAM)}
"""The dialects a simulated provider speaks, by name."""


class Provider:
    """A provider that plays one scenario to every client, each connection on its own.

    Of a sequence of scenarios the first connection gets the first, and so on; further connections get the last.

    ``api_key``: what the dialect's own header must carry, else HTTP 401; None takes anybody.
    ``sessions``: the evidence of the last ``KEPT_SESSIONS`` connections, oldest first; ``keep_bytes`` bounds the audio
    kept of each, per direction. ``on_event`` is told what happens as it happens, and must not raise.
    """

    def __init__(
        self,
        dialect: str = "openai",
        scenario: Scenario | Sequence[Scenario] = PARROT,
        *,
        api_key: str | None = None,
        keep_bytes: int = KEPT_AUDIO_BYTES,
        on_event: Callable[[ProviderNote], None] | None = None,
    ) -> None:
        if dialect not in SPELLINGS:
            raise ValueError(f"expected a dialect of {', '.join(SPELLINGS)}, got {dialect!r}")
        self.dialect = dialect
        self.scenarios = (scenario,) if isinstance(scenario, Scenario) else tuple(scenario)
        self.sessions: list[ProviderSession] = []
        self._spelling = SPELLINGS[dialect]
        self._api_key = api_key
        self._keep_bytes = keep_bytes
        self._tell = on_event or (lambda note: None)
        self._numbers = itertools.count(1)

    @property
    def path(self) -> str:
        """Where clients of this dialect connect."""
        return self._spelling.path

    @property
    def complaints(self) -> list[Complaint]:
        """The complaints of all sessions kept."""
        return [complaint for session in self.sessions for complaint in session.complaints]

    async def listen(
        self,
        host: str,
        port: int,
        *,
        ssl_context: ssl.SSLContext | None = None,
        task_status: trio.TaskStatus[tuple[str, int]] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve TCP, or TLS, until cancelled; started with the (host, port) it listens on. ``OSError``: it cannot."""
        await self.listen_on(
            await trio.open_tcp_listeners(port, host=host), ssl_context=ssl_context, task_status=task_status
        )

    async def listen_on(
        self,
        listeners: list[trio.SocketListener],
        *,
        ssl_context: ssl.SSLContext | None = None,
        task_status: trio.TaskStatus[tuple[str, int]] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """As ``listen``, on sockets that are open already."""
        address = listeners[0].socket.getsockname()
        task_status.started((address[0], address[1]))

        async def serve(stream: trio.SocketStream) -> None:
            if ssl_context is None:
                await self.serve_stream(stream)
            else:
                secured = trio.SSLStream(stream, ssl_context, server_side=True, https_compatible=True)
                await self.serve_stream(secured)

        await trio.serve_listeners(serve, listeners)

    async def serve_stream(self, stream: trio.abc.Stream) -> None:
        """Serve one client on a stream, to its end; the stream is closed. What the client does never raises here."""
        session = ProviderSession(next(self._numbers), self._keep_bytes)
        self._keep(session)
        start_s = trio.current_time()
        try:
            async with trio.open_nursery() as nursery:
                upgrade = None
                with trio.move_on_after(HANDSHAKE_TIMEOUT_S):
                    upgrade = await receive_upgrade(nursery, stream)
                if upgrade is not None:
                    await self._serve(upgrade, stream, session, start_s)
                nursery.cancel_scope.cancel()
        except* (WebSocketClosed, WebSocketRefused, trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            await trio.aclose_forcefully(stream)
            session.closed = session.closed or (1006, "connection lost")
            code, reason = session.closed
            note = f"{code}{f' {reason}' if reason else ''}"
            self._tell(ProviderNote(trio.current_time() - start_s, session, "closed", note))

    async def _serve(self, upgrade: Upgrade, stream: trio.abc.Stream, session: ProviderSession, start_s: float) -> None:
        session.path, session.headers = upgrade.path, upgrade.headers
        self._tell(ProviderNote(trio.current_time() - start_s, session, "opened", upgrade.path))
        if not self._authorized(upgrade.headers):
            time_s = trio.current_time() - start_s
            complaint = Complaint(time_s, "unauthorized", "The client did not send the API key of this provider.")
            session.complain(complaint)
            self._tell(ProviderNote(time_s, session, "complaint", str(complaint), complaint))
            session.closed = (1006, "HTTP 401")
            await upgrade.reject(401, b'{"error":{"code":"invalid_api_key","message":"Incorrect API key provided."}}')
            return
        scenario = self.scenarios[min(session.number, len(self.scenarios)) - 1]
        query = urlsplit(upgrade.path).query
        models = parse_qs(query).get("model")
        configuration = SessionConfiguration(
            self._spelling,
            scenario,
            f"sess_vp{session.number:04d}",
            models[0] if models else DEFAULT_MODEL,
            int(time.time() + (scenario.session_limit_s or self._spelling.limit_s)),
        )
        connection = Connection(
            await upgrade.accept(), stream, self._spelling, scenario, configuration, session, self._tell, start_s
        )
        await connection.run(self._refuse(upgrade.headers, query))

    def _authorized(self, headers: dict[str, str]) -> bool:
        return self._api_key is None or self._spelling.authorizes(headers, self._api_key)

    def _refuse(self, headers: dict[str, str], query: str) -> tuple[Refusal, Close] | None:
        # The server opens the socket first and closes it with the error as its reason.
        refusal = self._spelling.refuse_upgrade(headers, query)
        return None if refusal is None else (refusal, Close(4000, f"invalid_request_error.{refusal.code}"))

    def _keep(self, session: ProviderSession) -> None:
        self.sessions.append(session)
        if len(self.sessions) > KEPT_SESSIONS:
            del self.sessions[0]
