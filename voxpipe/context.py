"""What is known of a call besides its UUID: announced before it comes, used once, and how it ended, asked for after it.

Pure bookkeeping. Times are arguments, in nanoseconds of one clock; both tables are bounded in number and in time, so
that whoever announces calls that never come, or never asks how they ended, costs no more than that.

::

    announce -> ANNOUNCED -- begin --> RUNNING -- end ----> ENDED (completed, failed)
                    | expires             ^        refuse > ENDED (refused)
                    v                     | begin
                 UNKNOWN -----------------+
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Any, Literal, TypeAlias
from uuid import UUID

import attrs
import cattrs

from voxpipe.audio import NS_PER_S
from voxpipe.config import Config, ContextConfig, parse_address
from voxpipe.dialects import get_dialect
from voxpipe.errors import ConfigError, VoxpipeError
from voxpipe.sansio.dialect import Dialect
from voxpipe.sansio.records import REDACTED
from voxpipe.structuring import first_fault, make_converter

PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
OWN_NAMES = ("caller", "language")
"""Placeholders that no variable may stand in for."""
PERSONAL_LETTERS = 4
"""A shorter value is a word that the rest of a log needs, such as a digit or ``de``."""
TARGETS = {
    "instructions": "session.instructions",
    "greeting": "session.greeting",
    "voice": "session.voice",
    "language": "session.transcription.language",
}
"""Which key of the configuration a key of an announcement is laid over."""

Word: TypeAlias = Literal["completed", "failed", "refused"]


@attrs.frozen
class Announcement:
    """A call's context as it is posted; what is not given stays as it is configured."""

    caller: str = attrs.field(default="", repr=False)
    language: str | None = None
    instructions: str | None = attrs.field(default=None, repr=False)
    voice: str | None = None
    greeting: str | None = attrs.field(default=None, repr=False)
    tools: tuple[str, ...] | None = None
    variables: dict[str, str] = attrs.field(factory=dict, repr=False)


@attrs.frozen
class LegContext:
    """An announcement made ready for its leg.

    ``config`` is for this leg only. ``tools`` are the names allowed, ``None`` when all are. ``told`` goes into the
    log; ``secrets`` are to be redacted wherever else in it they appear.
    """

    config: Config = attrs.field(repr=False)
    caller: str = attrs.field(default="", repr=False)
    variables: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    tools: tuple[str, ...] | None = None
    told: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    secrets: frozenset[str] = attrs.field(default=frozenset(), repr=False)


_CONVERTER = make_converter()
attrs.resolve_types(Announcement)


def prepare(tree: Mapping[str, Any], config: Config, known_tools: frozenset[str] = frozenset()) -> LegContext:
    """Lay an announcement over the configuration; ``ConfigError`` names the announcement's key that does not fit."""
    try:
        announced = _CONVERTER.structure(tree, Announcement)
    except cattrs.BaseValidationError as group:
        path, reason = first_fault(group, "")
        raise ConfigError(path, reason) from None
    _check_names(announced, known_tools)
    _check_spelling(announced, get_dialect(config.provider.dialect))
    values = {**announced.variables, "caller": announced.caller}
    values["language"] = config.session.transcription.language if announced.language is None else announced.language
    session = config.session
    given = {name: getattr(announced, name) for name in ("instructions", "greeting", "voice")}
    texts = {name: getattr(session, name) if value is None else value for name, value in given.items()}
    for name in ("instructions", "greeting"):
        texts[name] = _fill(texts[name], values, name if given[name] is not None else f"session.{name}")
    transcription = attrs.evolve(session.transcription, language=values["language"])
    overlaid = attrs.evolve(config, session=attrs.evolve(session, transcription=transcription, **texts))
    open_ = config.context.log_variables
    personal = [announced.caller, *announced.variables.values()]
    return LegContext(
        overlaid,
        announced.caller,
        announced.variables,
        announced.tools,
        _told(announced, tree, open_),
        frozenset() if open_ else frozenset(word for word in personal if len(word) >= PERSONAL_LETTERS),
    )


def form_tree(pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Read an announcement from the fields of a form: ``variables.NAME=value``, ``tools=a,b``."""
    tree: dict[str, Any] = {}
    variables: dict[str, str] = {}
    for name, value in pairs:
        is_variable = name.startswith("variables.")
        table, key = (variables, name.removeprefix("variables.")) if is_variable else (tree, name)
        if key in table:
            raise ConfigError(name, "expected it once, got it twice")
        table[key] = value
    if "tools" in tree:
        tree["tools"] = [tool.strip() for tool in tree["tools"].split(",") if tool.strip()]
    if variables and "variables" not in tree:
        tree["variables"] = variables
    return tree


def check_context(context: ContextConfig) -> None:
    """Check that no stranger can announce calls; ``ConfigError`` names the key."""
    if not context.listen or context.token:
        return
    host, _ = parse_address(context.listen)
    if not _is_loopback(host):
        raise ConfigError(
            "context.token", f"expected a token, since context.listen ({context.listen}) is beyond loopback, got none"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_names(announced: Announcement, known_tools: frozenset[str]) -> None:
    for name in announced.variables:
        if not NAME.fullmatch(name):
            raise ConfigError(f"variables.{name}", f"expected a name of letters, digits and _, got {name!r}")
        if name in OWN_NAMES:
            raise ConfigError(
                f"variables.{name}", f"expected another name, since {{{name}}} is the key's, got {name!r}"
            )
    for name in announced.tools or ():
        if name not in known_tools:
            known = ", ".join(sorted(known_tools)) or "no name, since no tool is configured"
            raise ConfigError("tools", f"expected {known}, got {name!r}")


def _check_spelling(announced: Announcement, dialect: Dialect) -> None:
    for name, path in TARGETS.items():
        value = getattr(announced, name)
        if value is not None and path in dialect.unknown_keys:
            raise ConfigError(name, f"expected none, since {dialect.name} has no word for {path}, got {value!r}")


def _fill(template: str, values: Mapping[str, str], path: str) -> str:
    """Put values in; once, so that a value with braces is no template itself."""

    def value_of(match: re.Match[str]) -> str:
        name = match[1]
        if name not in values:
            raise ConfigError(f"variables.{name}", f"expected a string, since {path} has {match[0]}, got none")
        return values[name]

    return PLACEHOLDER.sub(value_of, template)


def _told(announced: Announcement, tree: Mapping[str, Any], open_: bool) -> dict[str, Any]:
    """Say what was announced: the keys that were given, texts as they came, before anything was filled in."""
    told = {field.name: getattr(announced, field.name) for field in attrs.fields(Announcement) if field.name in tree}
    if not open_:
        told |= {"caller": REDACTED} if announced.caller else {}
        told |= {"variables": dict.fromkeys(announced.variables, REDACTED)} if announced.variables else {}
    return told


@attrs.frozen
class Ended:
    """How a call ended: ``next`` is where its leg wanted the dialplan to go on, mostly nowhere."""

    word: Word
    reason: str
    error: str = ""
    duration_s: float = 0.0
    log: str = ""
    next: str = ""


class Stage(Enum):
    """Where a call is."""

    UNKNOWN = auto()
    ANNOUNCED = auto()
    RUNNING = auto()
    ENDED = auto()


class NotNow(VoxpipeError):
    """An announcement that comes too late (the call has begun) or is one too many."""

    def __init__(self, message: str, *, begun: bool) -> None:
        super().__init__(message)
        self.begun = begun


@attrs.define
class _Waiting:
    context: LegContext
    due_ns: int


@attrs.define
class _Over:
    ended: Ended
    due_ns: int
    asked: bool


class Book:
    """Who is announced, who is talking, and how calls ended. Owns nothing but its tables; never waits."""

    def __init__(self, limits: ContextConfig) -> None:
        self._expires_ns = round(limits.expires_s * NS_PER_S)
        self._keeps_ns = round(limits.outcomes_s * NS_PER_S)
        self._max_announced = limits.max_announced
        self._max_outcomes = limits.max_outcomes
        # The order of a dict is that of its deadlines: what is replaced is put in anew.
        self._announced: dict[UUID, _Waiting] = {}
        self._running: dict[UUID, int] = {}
        self._expects: set[UUID] = set()  # running with a context: somebody will ask how they ended
        self._over: dict[UUID, _Over] = {}

    def __len__(self) -> int:
        """Count the announcements that wait."""
        return len(self._announced)

    @property
    def next_expiry_ns(self) -> int | None:
        """When the next announcement expires."""
        return next((waiting.due_ns for waiting in self._announced.values()), None)

    def announce(self, uuid: UUID, context: LegContext, now_ns: int) -> bool:
        """Take an announcement; tell whether it replaces one. ``NotNow`` when its call has begun or there is no room.

        A refused call has not begun: it may be announced again.
        """
        over = self._over.get(uuid)
        if uuid in self._running or (over is not None and over.ended.word != "refused" and over.due_ns > now_ns):
            raise NotNow(f"expected a call that has not begun, got {uuid}", begun=True)
        if uuid not in self._announced and len(self._announced) >= self._max_announced:
            raise NotNow(f"expected fewer than {self._max_announced} waiting announcements, got as many", begun=False)
        self._over.pop(uuid, None)
        replaced = self._announced.pop(uuid, None) is not None
        self._announced[uuid] = _Waiting(context, now_ns + self._expires_ns)
        return replaced

    def expire(self, now_ns: int) -> list[UUID]:
        """Forget what is due, outcomes too; return the announcements whose calls did not come."""
        due = [uuid for uuid, waiting in self._announced.items() if waiting.due_ns <= now_ns]
        for uuid in due:
            del self._announced[uuid]
        for uuid in [uuid for uuid, over in self._over.items() if over.due_ns <= now_ns]:
            del self._over[uuid]
        return due

    def is_announced(self, uuid: UUID, now_ns: int) -> bool:
        """Tell whether a call may begin with a context."""
        waiting = self._announced.get(uuid)
        return waiting is not None and waiting.due_ns > now_ns

    def begin(self, uuid: UUID, now_ns: int) -> LegContext | None:
        """Use up the announcement of a call that begins; ``None`` when there is none."""
        announced = self.is_announced(uuid, now_ns)
        self._over.pop(uuid, None)
        self._running[uuid] = self._running.get(uuid, 0) + 1
        if not announced:
            return None
        self._expects.add(uuid)
        return self._announced.pop(uuid).context

    def end(self, uuid: UUID, ended: Ended, now_ns: int) -> None:
        """Keep how a call that had begun ended."""
        left = self._running[uuid] - 1
        if left:  # the same UUID twice at a time
            self._running[uuid] = left
        else:
            del self._running[uuid]
        self._keep(uuid, ended, now_ns, asked=uuid not in self._expects)
        self._expects.discard(uuid)

    def refuse(self, uuid: UUID, reason: str, now_ns: int) -> None:
        """Keep that a call was refused; of strangers there may be many, so none of them displaces another call."""
        known = uuid in self._running or (uuid in self._over and self._over[uuid].ended.word != "refused")
        if not known and (uuid in self._over or len(self._over) < self._max_outcomes):
            self._keep(uuid, Ended("refused", reason), now_ns, asked=True)

    def _keep(self, uuid: UUID, ended: Ended, now_ns: int, *, asked: bool) -> None:
        self._over.pop(uuid, None)
        if len(self._over) >= self._max_outcomes:
            del self._over[next(iter(self._over))]
        self._over[uuid] = _Over(ended, now_ns + self._keeps_ns, asked)

    def look_up(self, uuid: UUID, now_ns: int) -> tuple[Stage, Ended | None]:
        """Tell where a call is and, after it, how it ended."""
        if uuid in self._running:
            return Stage.RUNNING, None
        over = self._over.get(uuid)
        if self.is_announced(uuid, now_ns) and (over is None or over.due_ns <= now_ns):
            return Stage.ANNOUNCED, None
        if over is None or over.due_ns <= now_ns:
            return Stage.UNKNOWN, None
        over.asked = True
        return Stage.ENDED, over.ended

    def unasked(self, since_ns: int) -> bool:
        """Tell whether an announced call that ended after an instant has not been asked about yet."""
        return any(not over.asked and over.due_ns - self._keeps_ns >= since_ns for over in self._over.values())
