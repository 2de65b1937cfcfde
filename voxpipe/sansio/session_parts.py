"""What the session machine consists of, and what its actor may ask of it; how it reacts is in ``session.py``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from voxpipe.audio import FormatPair
from voxpipe.config import LegConfig, SessionConfig
from voxpipe.sansio.agent_audio import AgentAudio
from voxpipe.sansio.answers import Answers
from voxpipe.sansio.call_timer import CallTimer
from voxpipe.sansio.commands import Commands
from voxpipe.sansio.dialect import Dialect
from voxpipe.sansio.effects import Effect
from voxpipe.sansio.lifetime import Lifetime
from voxpipe.sansio.pending import SessionTimeouts
from voxpipe.sansio.realtime import DrainRequested
from voxpipe.sansio.restoration import Restoration
from voxpipe.sansio.session_statistics import SessionStatistics
from voxpipe.sansio.tool_calls import ToolCalls
from voxpipe.sansio.tool_words import ToolSchema
from voxpipe.sansio.transitions import CLOSED, CONNECTING, DRAINING, FAILED, READY, STANDBY, State
from voxpipe.sansio.turns import Turns
from voxpipe.voice_config import VoiceConfig


class SessionParts:
    """The state of one session and the objects that share its work; the reactions are those of ``Session``."""

    def __init__(
        self,
        dialect: Dialect,
        config: SessionConfig,
        formats: FormatPair,
        timeouts: SessionTimeouts | None = None,
        *,
        timer: CallTimer | None = None,
        tools: tuple[ToolSchema, ...] = (),
        model: str = "",
        accept_silent_ack: bool = False,
        stands_by: bool = False,
        voice: VoiceConfig | None = None,
        command_ids: Callable[[int], str] = "vx_{}".format,
    ) -> None:
        self._dialect = dialect
        self._config = config
        self._formats = formats
        self._tools = tools
        self._model = model
        self._accepts_silent_ack = accept_silent_ack or dialect.silent_ack
        self._stands_by = stands_by
        self._timeouts = timeouts or SessionTimeouts()
        self._lifetime = Lifetime(self._timeouts)
        self._timer = timer or CallTimer(LegConfig(), 0)
        self._state = CONNECTING
        self._now_ns = 0
        self._commands = Commands(
            dialect, self._timeouts.ack_ns, command_ids, self._emit, silent_ack=self._accepts_silent_ack
        )
        self._drain_request = DrainRequested("")
        self._awaited = 0
        self._renewing = False
        self._spent = False
        self._unheard = False
        self._played_ns: int | None = None
        self._left: dict[str, Any] | None = None
        self._effects: list[Effect] = []
        self._answers = Answers()
        self._restoration = Restoration(self._commands, config.instructions)
        self._audio = AgentAudio(self._answers, formats.downlink, self._commands, self._emit)
        self._turns = Turns(
            self._answers,
            config,
            self._commands,
            self._timer,
            self._emit,
            voice or VoiceConfig(),
            lambda: self._restoration.lines,
        )
        self._tool_calls = ToolCalls(self._answers, config.turn_detection, self._commands, self._emit)
        self._ack_ns: int | None = None
        self._count = {"responses": 0, "errors": 0}

    @property
    def state(self) -> State:
        """Where the session is."""
        return self._state

    @property
    def epoch(self) -> int:
        """How many cuts there were."""
        return self._turns.cuts.epoch

    @property
    def accepts_uplink(self) -> bool:
        """Whether caller audio may go out."""
        return self._state is READY

    @property
    def keeps_uplink(self) -> bool:
        """Whether caller audio is not to go out, but waits for another session."""
        return self._state is FAILED or (self._spent and self._renewing)

    @property
    def accepts_downlink(self) -> bool:
        """Whether agent audio may be played."""
        return self._state in (READY, DRAINING)

    @property
    def confirmed(self) -> bool:
        """Whether the provider has confirmed the formats, and the session goes on."""
        return self._state in (STANDBY, READY, DRAINING)

    @property
    def accepts_requests(self) -> bool:
        """Whether the agent may be asked to speak or be instructed."""
        return self._state is READY

    @property
    def can_take_over(self) -> bool:
        """Whether it stands by and knows what it was given."""
        return self._state is STANDBY and self._restoration.done

    def pauses(self, now_ns: int, within_ns: int) -> bool:
        """Tell, once renewal is due, whether nobody speaks, nothing is to be heard and nothing is asked.

        Without turn detection nobody tells when the caller speaks: then only for ``within_ns`` after an answer.
        """
        quiet = not (self._awaited or self._agent_busy or any(self.underway.values()) or self._commands.pending.count)
        told = self._config.turn_detection.type != "none" or (
            self._played_ns is not None and now_ns - self._played_ns <= within_ns
        )
        return self._state is READY and self._renewing and quiet and told and not self._turns.uncommitted

    @property
    def spent(self) -> bool:
        """Whether it came to its limit, and drains or has ended for that."""
        return self._spent

    @property
    def instructions(self) -> str:
        """What the agent goes by at present."""
        return self._turns.instructions

    @property
    def open_calls(self) -> frozenset[str]:
        """The tool calls that are not answered yet."""
        return self._tool_calls.open_calls

    @property
    def leaves(self) -> DrainRequested | None:
        """Why the call ends with this session, if it began to drain for that: not for its own limit."""
        return self._drain_request if self._drain_request.reason and not self._spent else None

    @property
    def known_responses(self) -> frozenset[str]:
        """The responses of which something may still be heard, those of earlier sessions included."""
        return self._answers.known | self._turns.cuts.foreign

    @property
    def underway(self) -> dict[str, Any]:
        """What is lost with the session: that of now, or of its end."""
        if self._left is not None:
            return self._left
        quiet = not self._turns.caller_speaks
        return {
            "running_responses": self._answers.uncut,
            "caller_speaks": not quiet,
            "unanswered_turn": quiet and (self._tool_calls.turn_open or self._turns.asks or self._turns.waiting),
        }

    @property
    def deadline_ns(self) -> int | None:
        """When ``expire`` must be called, at the latest."""
        deadlines = [self._commands.pending.deadline_ns, self._lifetime.deadline_ns]
        if self._state not in (STANDBY, CLOSED, FAILED):
            heard = self._state in (READY, DRAINING)
            deadlines.append(self._timer.deadline_ns if heard else self._timer.limit_ns)
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def statistics(self) -> SessionStatistics:
        """Tell what the session did so far."""
        return SessionStatistics(
            state=self._state.name.lower(),
            ack_ns=self._ack_ns,
            caller_turns=self._turns.caller_turns,
            cuts=self._turns.cuts.cuts,
            truncations=self._turns.cuts.truncations,
            commands_refused=self._commands.refused,
            commands_unanswered=self._commands.unanswered,
            **self._audio.counts,
            **self._count,
        )

    def _emit(self, effect: Effect) -> None:
        self._effects.append(effect)

    @property
    def _agent_busy(self) -> bool:
        return self._turns.agent_busy or self._turns.waiting or self._tool_calls.busy
