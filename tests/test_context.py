"""What an announcement may say, what it makes of a leg's configuration, and who is kept in the book for how long."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any
from uuid import UUID

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from voxpipe.audio import NS_PER_S
from voxpipe.config import Config, ContextConfig, structure_config
from voxpipe.context import Book, Ended, LegContext, NotNow, Stage, check_context, form_tree, prepare
from voxpipe.dialects import DIALECTS
from voxpipe.dialects.openai import OPENAI
from voxpipe.errors import ConfigError

CONFIG = structure_config(
    {"session": {"instructions": "You help {name}.", "voice": "ash", "greeting": "Greet {caller}."}}
)
CALL, OTHER = UUID(int=1), UUID(int=2)
CONTEXT = LegContext(Config())
DONE = Ended("completed", "leg closed by the peer")


# --- what is announced ------------------------------------------------------------------------------------------------


def test_an_announcement_is_laid_over_the_session_and_nothing_else() -> None:
    """What is given replaces what is configured, what is not given stays, and the gateway's own is as it was."""
    tree = {
        "caller": "+4930123",
        "language": "de",
        "instructions": "Be brief with {name}.",
        "variables": {"name": "Eva"},
    }
    context = prepare(tree, CONFIG)
    session = context.config.session
    assert session.instructions == "Be brief with Eva."
    assert session.greeting == "Greet +4930123."
    assert session.voice == "ash"
    assert session.transcription.language == "de"
    assert attrs.evolve(context.config, session=CONFIG.session) == CONFIG
    assert CONFIG.session.instructions == "You help {name}."


def test_an_empty_text_is_something_else_than_none() -> None:
    """An empty greeting lets the caller begin, an absent one is the configured one."""
    variables = {"variables": {"name": "Eva"}}
    assert prepare({**variables, "greeting": ""}, CONFIG).config.session.greeting == ""
    assert prepare({**variables, "caller": "7"}, CONFIG).config.session.greeting == "Greet 7."


def test_a_value_is_no_template() -> None:
    """Braces in a value are said as they are: a caller's name cannot ask for another variable."""
    tree = {"variables": {"name": "{pin} {caller}", "pin": "1234"}, "caller": "7"}
    assert prepare(tree, CONFIG).config.session.instructions == "You help {pin} {caller}."


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"callr": "7"}, "callr", "expected one of caller, language, instructions, voice, greeting, tools, variables, "),
    ({"caller": 7}, "caller", "expected a string, got 7"),
    ({"voice": ["ash"]}, "voice", "expected a string, got a list"),
    ({"tools": "transfer"}, "tools", "expected a list of strings, got 'transfer'"),
    ({"tools": ["transfer"]}, "tools", "expected no name, since no tool is configured, got 'transfer'"),
    ({"variables": {"a": 1}}, "variables", "expected a table of strings, got a = 1"),
    ({"variables": {"a": {"b": "c"}}}, "variables", "expected a table of strings, got a = a table"),
    ({"variables": {"a b": "c"}}, "variables.a b", "expected a name of letters, digits and _, got 'a b'"),
    ({"variables": {"caller": "c"}}, "variables.caller", "expected another name, since {caller} is the key's, "),
    ({}, "variables.name", "expected a string, since session.instructions has {name}, got none"),
    ({"instructions": "{who}"}, "variables.who", "expected a string, since instructions has {who}, got none"),
]


@pytest.mark.parametrize(("tree", "path", "reason"), REFUSED)
def test_what_does_not_fit_is_refused_by_its_path(tree: dict[str, Any], path: str, reason: str) -> None:
    """The error names the announcement's key, what was expected there and what was found."""
    with pytest.raises(ConfigError) as caught:
        prepare(tree, CONFIG)
    assert caught.value.path == path
    assert caught.value.reason.startswith(reason)


def test_a_key_the_dialect_cannot_spell_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider without a word for the voice is no reason for a failed call: the announcement is refused."""
    mute = attrs.evolve(OPENAI, unknown_keys=frozenset({"session.voice"}))
    monkeypatch.setitem(DIALECTS, "openai", mute)
    with pytest.raises(
        ConfigError, match=r"voice: expected none, since openai has no word for session\.voice, got 'ash'"
    ):
        prepare({"voice": "ash"}, Config())
    assert prepare({"language": "de"}, Config()).config.session.transcription.language == "de"


def test_only_configured_tools_can_be_allowed() -> None:
    """The names are checked when the call is announced; an empty list allows none, and no list allows all."""
    known = frozenset({"transfer", "look_up"})
    assert prepare({"tools": ["transfer"]}, Config(), known).tools == ("transfer",)
    assert prepare({"tools": []}, Config(), known).tools == ()
    assert prepare({}, Config(), known).tools is None
    with pytest.raises(ConfigError, match="tools: expected look_up, transfer, got 'dial'"):
        prepare({"tools": ["dial"]}, Config(), known)


def test_the_log_is_told_what_was_announced_without_what_is_personal() -> None:
    """Caller and variables are redacted in the record and become secrets, unless the log may have them."""
    tree = {"caller": "+4930123", "greeting": "Hello {name}", "variables": {"name": "Eva-Maria", "n": "3"}}
    context = prepare(tree, Config())
    assert context.told == {
        "caller": "[redacted]",
        "greeting": "Hello {name}",
        "variables": {"name": "[redacted]", "n": "[redacted]"},
    }
    assert context.secrets == {"+4930123", "Eva-Maria"}
    assert "Eva" not in repr(context)
    open_ = prepare(tree, structure_config({"context": {"log_variables": True}}))
    assert open_.told == tree
    assert open_.secrets == frozenset()


def test_a_form_says_the_same_as_json() -> None:
    """Variables by their path, tools by commas; blanks are values."""
    pairs = [("caller", ""), ("variables.name", "Eva"), ("tools", "a, b"), ("variables.n", "1")]
    assert form_tree(pairs) == {"caller": "", "tools": ["a", "b"], "variables": {"name": "Eva", "n": "1"}}


@pytest.mark.parametrize("name", ["caller", "variables.a"])
def test_a_form_says_nothing_twice(name: str) -> None:
    """Which of the two was meant is not guessed."""
    with pytest.raises(ConfigError, match=f"{name}: expected it once, got it twice"):
        form_tree([(name, "1"), (name, "2")])


@given(
    st.dictionaries(st.from_regex(r"\A[a-z]{1,9}\Z").filter(lambda name: name not in ("caller", "language")), st.text())
)
def test_every_value_arrives_as_it_is(variables: dict[str, str]) -> None:
    """Whatever is in a value, it comes out where its name stands, and nothing else changes."""
    template = "|".join(f"<{{{name}}}>" for name in variables)
    context = prepare({"instructions": template, "variables": variables}, Config())
    assert context.config.session.instructions == "|".join(f"<{value}>" for value in variables.values())


LISTEN = {
    "": True,
    "127.0.0.1:9093": True,
    "127.8.8.8:1": True,
    "[::1]:9093": True,
    "localhost:9093": True,
    "0.0.0.0:9093": False,
    "[::]:9093": False,
    "10.0.0.1:9093": False,
    "pbx.example:9093": False,
}


@pytest.mark.parametrize("listen", LISTEN)
def test_beyond_loopback_a_token_is_needed(listen: str) -> None:
    """Strangers cannot announce calls: every address that is not surely loopback wants a token."""
    check_context(ContextConfig(listen=listen, token="t"))
    if LISTEN[listen]:
        check_context(ContextConfig(listen=listen))
    else:
        with pytest.raises(ConfigError, match=r"context.token: expected a token, since context.listen"):
            check_context(ContextConfig(listen=listen))


# --- the book ---------------------------------------------------------------------------------------------------------


def book(**limits: Any) -> Book:
    """A book; announcements last 60 s and outcomes 600 s unless told."""
    return Book(ContextConfig(**limits))


def test_a_call_goes_from_announced_to_ended() -> None:
    """The context is used once, and each stage is told."""
    it = book()
    assert it.look_up(CALL, 0) == (Stage.UNKNOWN, None)
    assert not it.announce(CALL, CONTEXT, 0)
    assert it.look_up(CALL, 1) == (Stage.ANNOUNCED, None)
    assert it.begin(CALL, 2) is CONTEXT
    assert it.look_up(CALL, 3) == (Stage.RUNNING, None)
    assert it.begin(CALL, 3) is None
    it.end(CALL, DONE, 4)
    assert it.look_up(CALL, 4) == (Stage.RUNNING, None)
    it.end(CALL, DONE, 5)
    assert it.look_up(CALL, 6) == (Stage.ENDED, DONE)


def test_a_second_announcement_replaces_the_first_and_its_time() -> None:
    """The later one counts, in what it says and in when it expires."""
    it, later = book(expires_s=60), LegContext(Config(), caller="7")
    it.announce(CALL, CONTEXT, 0)
    assert it.announce(CALL, later, 50 * NS_PER_S)
    assert it.expire(60 * NS_PER_S) == []
    assert it.begin(CALL, 109 * NS_PER_S) is later


def test_an_announcement_comes_too_late_once_the_call_has_begun() -> None:
    """While it runs, and as long as its outcome is kept; then the UUID is a new one. A refused call has not begun."""
    it = book(outcomes_s=10)
    it.begin(CALL, 0)
    for now_ns in (1, 2):
        with pytest.raises(NotNow) as caught:
            it.announce(CALL, CONTEXT, now_ns)
        assert caught.value.begun
        if now_ns == 1:
            it.end(CALL, DONE, 1)
    assert not it.announce(CALL, CONTEXT, 1 + 10 * NS_PER_S)
    it.refuse(OTHER, "full", 0)
    assert not it.announce(OTHER, CONTEXT, 1)


def test_an_announcement_expires_at_its_time() -> None:
    """To the nanosecond, whether anybody has looked or not; what is due first is first."""
    it, due_ns = book(expires_s=60), 60 * NS_PER_S
    it.announce(CALL, CONTEXT, 0)
    it.announce(OTHER, CONTEXT, 5)
    assert it.next_expiry_ns == due_ns
    assert it.is_announced(CALL, due_ns - 1)
    assert not it.is_announced(CALL, due_ns)
    assert it.look_up(CALL, due_ns) == (Stage.UNKNOWN, None)
    assert it.expire(due_ns - 1) == []
    assert it.expire(due_ns) == [CALL]
    assert it.next_expiry_ns == due_ns + 5
    assert it.begin(CALL, due_ns) is None


def test_an_expired_announcement_is_not_used() -> None:
    """A call that comes late begins without its context, though nobody has cleared the table."""
    it = book(expires_s=60)
    it.announce(CALL, CONTEXT, 0)
    assert it.begin(CALL, 60 * NS_PER_S) is None


def test_too_many_announcements_are_refused_and_a_replacement_is_none() -> None:
    """The table is bounded; who is in it already takes no further place."""
    it = book(max_announced=1)
    it.announce(CALL, CONTEXT, 0)
    with pytest.raises(NotNow, match="expected fewer than 1 waiting announcements") as caught:
        it.announce(OTHER, CONTEXT, 0)
    assert not caught.value.begun
    assert it.announce(CALL, CONTEXT, 0)


def test_an_outcome_is_kept_for_its_time_and_the_oldest_goes_first() -> None:
    """Bounded in number and in time."""
    it, third = book(max_outcomes=2, outcomes_s=10), UUID(int=3)
    for now_ns, uuid in enumerate((CALL, OTHER, third)):
        it.begin(uuid, now_ns)
        it.end(uuid, DONE, now_ns)
    assert [it.look_up(uuid, 3)[0] for uuid in (CALL, OTHER, third)] == [Stage.UNKNOWN, Stage.ENDED, Stage.ENDED]
    assert it.look_up(third, 2 + 10 * NS_PER_S) == (Stage.UNKNOWN, None)


def test_refused_strangers_displace_nobody() -> None:
    """However many call unannounced, what is known of others' calls stays."""
    it = book(max_outcomes=2)
    it.begin(CALL, 0)
    it.end(CALL, DONE, 0)
    for number in range(10, 20):
        it.refuse(UUID(int=number), "unannounced", 1)
    it.refuse(CALL, "unannounced", 1)
    assert it.look_up(CALL, 2) == (Stage.ENDED, DONE)
    assert it.look_up(UUID(int=10), 2) == (Stage.ENDED, Ended("refused", "unannounced"))
    assert it.look_up(UUID(int=11), 2) == (Stage.UNKNOWN, None)


def test_only_an_announced_call_is_waited_for_to_be_asked_about() -> None:
    """Nobody asks after a call that came without; an old end, or one that was asked for, is not waited for either."""
    it = book()
    it.begin(OTHER, 0)
    it.end(OTHER, DONE, 5)
    assert not it.unasked(0)
    it.announce(CALL, CONTEXT, 0)
    it.begin(CALL, 1)
    it.end(CALL, DONE, 5)
    assert it.unasked(5)
    assert not it.unasked(6)
    it.look_up(CALL, 7)
    assert not it.unasked(5)


class Calls(RuleBasedStateMachine):
    """Any order of announcements, calls and refusals over a few UUIDs, with time going on."""

    def __init__(self) -> None:
        super().__init__()
        self.book = book(max_announced=3, max_outcomes=3, expires_s=1, outcomes_s=2)
        self.now_ns = 0
        self.running: list[UUID] = []

    uuids = st.builds(UUID, int=st.integers(0, 5))

    @rule(step_ns=st.integers(0, 2 * NS_PER_S))
    def wait(self, step_ns: int) -> None:
        """Time goes on, and what is due is forgotten."""
        self.now_ns += step_ns
        for uuid in self.book.expire(self.now_ns):
            assert not self.book.is_announced(uuid, self.now_ns)

    @rule(uuid=uuids)
    def announce(self, uuid: UUID) -> None:
        """An announcement is taken unless the call has begun or there is no room."""
        before = self.book.look_up(uuid, self.now_ns)
        if before[0] is Stage.RUNNING or before == (Stage.ENDED, DONE):
            with pytest.raises(NotNow, match="has not begun"):
                self.book.announce(uuid, CONTEXT, self.now_ns)
            return
        full = len(self.book) >= 3 and uuid not in self.book._announced
        with pytest.raises(NotNow, match="fewer than 3") if full else nullcontext():
            self.book.announce(uuid, CONTEXT, self.now_ns)
        if not full:
            assert self.book.look_up(uuid, self.now_ns)[0] is Stage.ANNOUNCED

    @rule(uuid=uuids)
    def begin(self, uuid: UUID) -> None:
        """A call has a context exactly if it is announced, and then no second time."""
        announced = self.book.is_announced(uuid, self.now_ns)
        assert (self.book.begin(uuid, self.now_ns) is not None) == announced
        assert not self.book.is_announced(uuid, self.now_ns)
        self.running.append(uuid)

    @rule(uuid=uuids)
    def refuse(self, uuid: UUID) -> None:
        """A refusal changes nothing for a call that runs or has run."""
        before = self.book.look_up(uuid, self.now_ns)
        self.book.refuse(uuid, "full", self.now_ns)
        if before[0] is Stage.RUNNING or before == (Stage.ENDED, DONE):
            assert self.book.look_up(uuid, self.now_ns) == before

    @rule()
    def end(self) -> None:
        """The longest call ends, and that is known at once."""
        if self.running:
            uuid = self.running.pop(0)
            self.book.end(uuid, DONE, self.now_ns)
            expected = Stage.RUNNING if uuid in self.running else Stage.ENDED
            assert self.book.look_up(uuid, self.now_ns)[0] is expected

    @invariant()
    def bounded(self) -> None:
        """No table outgrows its limit."""
        assert len(self.book) <= 3
        assert len(self.book._over) <= 3
        assert all(self.book.look_up(uuid, self.now_ns)[0] is Stage.RUNNING for uuid in self.running)


TestCalls = Calls.TestCase
