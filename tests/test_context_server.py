"""The context endpoint over real loopback sockets, asked by clients that share no code with it."""

from __future__ import annotations

import shutil
from uuid import UUID, uuid4

import attrs
import pytest
import trio
from context_client import ask, curl, post
from served_context import CALL, DONE, LEG, Serve

pytestmark = pytest.mark.sockets


# --- announcing -------------------------------------------------------------------------------------------------------


async def test_a_call_is_announced_once_and_replaced(serve: Serve) -> None:
    """201 with the expiry, 200 for a second one, 409 once the call has begun; the gateway's log has all three."""
    async with serve(expires_s=30) as it:
        first = await post(it.address, LEG, {"caller": "+4930123", "variables": {"name": "Eva"}})
        assert (first.status, first.json) == (201, {"uuid": str(CALL), "expires_s": 30.0})
        second = await post(it.address, LEG, {"voice": "ash"})
        assert second.status == 200
        context = it.reception.begin(CALL)
        assert context is not None
        assert context.config.session.voice == "ash"
        late = await post(it.address, LEG, {})
        assert (late.status, late.json) == (409, {"error": f"expected a call that has not begun, got {CALL}"})
        it.reception.end(CALL, DONE)
        assert (await post(it.address, LEG, {})).status == 409
        await ask(it.address, "GET", LEG + "/outcome")
        await it.stop()
    assert it.of("context.announced") == [
        {"uuid": str(CALL), "keys": ["caller", "variables"], "replaced": False, "expires_s": 30.0},
        {"uuid": str(CALL), "keys": ["voice"], "replaced": True, "expires_s": 30.0},
    ]
    assert len(it.of("context.refused")) == 2


FORM = "caller=%2B4930123&variables.name=Eva+M%C3%BCller%26Co&greeting=Hello+{name},+{caller}&language="


async def test_a_form_is_taken_as_curl_posts_it(serve: Serve) -> None:
    """The program curl posts a form unless told otherwise, as does Asterisk; it says what JSON would."""
    if shutil.which("curl") is None:
        pytest.skip("expected the program curl, got none")
    async with serve() as it:
        assert await curl(it.address, f"{LEG}?format=text", "--data", FORM) == (201, "announced")
        context = it.reception.begin(CALL)
        assert context is not None
        assert context.config.session.greeting == "Hello Eva Müller&Co, +4930123"
        other = f"/legs/{UUID(int=2)}"
        json = ("--header", "Content-Type: application/json", "--data", '{"voice": "ash"}')
        status, body = await curl(it.address, other, *json)
        assert (status, "expires_s" in body) == (201, True)
        assert await curl(it.address, f"{other}/outcome?format=text") == (409, "announced")
        assert await curl(it.address, f"{LEG}/outcome", "--header", "Accept: text/plain") == (409, "running")


WRONG: list[tuple[str, bytes, int, dict[str, str]]] = [
    ("application/json", b'{"voice": 3}', 422, {"key": "voice", "expected": "a string", "found": "3"}),
    ("application/json", b'{"colour": ""}', 422, {"key": "colour", "found": "an unknown key"}),
    ("application/json", b"[]", 422, {"expected": "a table", "found": "list"}),
    ("application/json", b"{", 400, {}),
    ("application/json", b'{"voice": "\xff"}', 400, {}),
    ("application/x-www-form-urlencoded", b"voice=a&voice=b", 422, {"key": "voice", "expected": "it once"}),
    ("application/x-www-form-urlencoded", b'{"voice": "ash"}', 400, {}),
    ("application/x-www-form-urlencoded", b"voice=%ff", 400, {}),
    ("application/x-www-form-urlencoded", b"&".join(b"variables.a%d=1" % n for n in range(300)), 400, {}),
    ("text/plain", b"voice=ash", 415, {}),
    ("", b"voice=ash", 415, {}),
    ("application/json", b" " * 70_000, 413, {}),
]


@pytest.mark.parametrize(("kind", "body", "status", "told"), WRONG)
async def test_a_wrong_body_is_refused_with_what_is_wrong(
    serve: Serve, kind: str, body: bytes, status: int, told: dict[str, str]
) -> None:
    """By its status, and a key by its path with what was expected and found; nothing is announced then."""
    async with serve() as it:
        answer = await ask(it.address, "POST", LEG, body, {"Content-Type": kind} if kind else {})
        assert answer.status == status
        assert told.items() <= answer.json.items()
        assert answer.json["error"]
        assert not it.reception.expects_calls
        word = await ask(it.address, "POST", f"{LEG}?format=text", body, {"Content-Type": kind} if kind else {})
        assert word.text == "refused"


async def test_what_a_refusal_says_of_the_caller_is_in_no_log(serve: Serve) -> None:
    """The client reads what it posted; the gateway's log has the key alone."""
    async with serve() as it:
        answer = await post(it.address, LEG, {"variables": {"pin": 424242}})
        assert "424242" in answer.text
        await it.stop()
    assert it.of("context.refused") == [{"uuid": str(CALL), "because": "variables: [redacted]"}]


async def test_one_announcement_too_many_is_told_to_come_later(serve: Serve) -> None:
    """503, and those that wait stay."""
    async with serve(max_announced=1) as it:
        assert (await post(it.address, LEG, {})).status == 201
        assert (await post(it.address, f"/legs/{uuid4()}", {})).status == 503
        assert (await post(it.address, LEG, {})).status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 404), ("POST", "/legs/nobody", 404), ("GET", LEG, 405), ("POST", LEG + "/outcome", 405)],
)
async def test_other_paths_and_methods_are_none(serve: Serve, method: str, path: str, status: int) -> None:
    """What is not there is told as such, in the same form as everything else."""
    async with serve() as it:
        answer = await ask(it.address, method, path)
        assert answer.status == status
        assert answer.json["error"]


# --- outcomes ---------------------------------------------------------------------------------------------------------


async def test_an_outcome_is_told_in_json_and_as_a_word(serve: Serve) -> None:
    """Everything about it, or the one word that a dialplan branches on."""
    async with serve() as it:
        outcome = f"{LEG}/outcome"
        unknown = await ask(it.address, "GET", outcome + "?format=text")
        assert (unknown.status, unknown.text) == (404, "unknown")
        it.reception.begin(CALL)
        running = await ask(it.address, "GET", outcome)
        assert (running.status, running.json) == (409, {"uuid": str(CALL), "outcome": "running"})
        it.reception.end(CALL, DONE)
        ended = await ask(it.address, "GET", outcome)
        assert ended.status == 200
        assert ended.headers["content-type"] == "application/json"
        assert ended.json == {
            "uuid": str(CALL),
            "outcome": "completed",
            "reason": "leg closed by the peer",
            "error": "",
            "duration_s": 2.5,
            "log": "1.jsonl",
            "next": "",
        }
        word = await ask(it.address, "GET", outcome, headers={"Accept": "text/plain"})
        assert (word.status, word.text) == (200, "completed")


async def test_where_the_leg_wants_to_go_on_is_the_word(serve: Serve) -> None:
    """A leg that set ``next`` is branched on by that."""
    async with serve() as it:
        it.reception.begin(CALL)
        it.reception.end(CALL, attrs.evolve(DONE, next="operator"))
        assert (await ask(it.address, "GET", f"{LEG}/outcome?format=text")).text == "operator"
        assert (await ask(it.address, "GET", f"{LEG}/outcome")).json["outcome"] == "completed"


async def test_an_outcome_can_be_waited_for(serve: Serve) -> None:
    """Until the call ends, or so long; one who waits keeps nobody else waiting."""
    async with serve() as it:
        it.reception.begin(CALL)
        answers = []

        async def wait() -> None:
            answers.append(await ask(it.address, "GET", f"{LEG}/outcome?format=text&wait=20"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            short = await ask(it.address, "GET", f"{LEG}/outcome?format=text&wait=0.1")
            assert (short.status, short.text) == (409, "running")
            assert answers == []
            it.reception.end(CALL, DONE)
        assert (answers[0].status, answers[0].text) == (200, "completed")


@pytest.mark.parametrize("wait", ["soon", "-1", "61", "nan", "inf"])
async def test_a_wait_that_is_none_is_refused(serve: Serve, wait: str) -> None:
    """It is bounded, and a number."""
    async with serve() as it:
        answer = await ask(it.address, "GET", f"{LEG}/outcome?wait={wait}")
        assert answer.status == 422
        assert answer.json["key"] == "wait"
        assert answer.json["expected"] == "0 to 60 seconds"
