"""The printed dialplan with its two CURL() lines, through a real Asterisk: announced, answered, asked about."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from asterisk_call import place
from asterisk_gateway import RealCall, hold

from voxpipe.audio import SLIN8
from voxpipe.config import Config
from voxpipe.dialplan import asterisk_dialplan
from voxpipe.testing.signals import silence

if TYPE_CHECKING:
    from tests.asterisk.conftest import Asterisk

pytestmark = [pytest.mark.asterisk, pytest.mark.sockets]

NUMBER, NAME = "+4930/123", "Eva Müller & Co; 100%"
TOKEN = "tok-0123456789abcdef"
BEFORE = f"""
[globals]
VOXPIPE_TOKEN={TOKEN}
[line]
exten => s,1,Set(CALLERID(num)={NUMBER})
 same => n,Set(CALLERID(name)={NAME.replace(";", chr(92) + ";")})
 same => n,Goto(voxpipe,agent,1)
[speaker]
exten => s,1,Answer()
 same => n,Playback(SOUND)
"""
INSTRUCTIONS = "You speak with {name}, who calls from {caller}."


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


async def announced_call(asterisk: Asterisk, folder: Path, scenario: str, **tables: Any) -> RealCall:
    """Make one call through the printed dialplan."""
    sound = asterisk.sound("silence", silence(SLIN8, 8), "sln")

    def place_it(config: Config) -> str:
        assert asterisk_dialplan(config).count("${CURL(") == 2
        return place(asterisk, BEFORE.replace("SOUND", sound) + asterisk_dialplan(config), "s@line")

    (call,) = await hold(folder, scenario, place_it, **tables)
    return call


def steps(call: RealCall) -> str:
    """The lines of the dialplan that Asterisk went through."""
    return "\n".join(re.findall(r"Executing \[agent@voxpipe:\d+\] (.*) in new stack", call.asterisk_log))


@pytest.mark.parametrize("token", ["", TOKEN])
async def test_a_call_announced_by_asterisk_is_asked_about(asterisk: Asterisk, tmp_path: Path, token: str) -> None:
    """Caller and name reach the provider letter for letter; the dialplan reads ``completed`` and skips its excuse."""
    call = await announced_call(
        asterisk,
        tmp_path,
        "parrot",
        context={"listen": f"127.0.0.1:{free_port()}", "token": token, "announced_only": True},
        session={"instructions": INSTRUCTIONS},
        provider={"session_limit_s": 2.0},
    )
    (update,) = [message for message in call.session.messages if message.type == "session.update"]
    assert update.body["session"]["instructions"] == f"You speak with {NAME}, who calls from {NUMBER}."
    assert call.outcome.error is None
    went = steps(call)
    assert '"ANNOUNCED=announced"' in went
    assert '"OUTCOME=completed"' in went
    assert "Verbose" not in went
    assert went.splitlines()[-1].startswith("Hangup")
    assert NAME not in call.outcome.log.read_text()  # type: ignore[union-attr]


async def test_a_dialplan_branches_on_a_failed_call(asterisk: Asterisk, tmp_path: Path) -> None:
    """A provider that confirms other formats: ``failed``, and the dialplan goes where the excuse is."""
    call = await announced_call(asterisk, tmp_path, "wrong-format", context={"listen": f"127.0.0.1:{free_port()}"})
    went = steps(call)
    assert '"OUTCOME=failed"' in went
    assert 'Verbose("' in went


async def test_a_refused_announcement_makes_no_call(asterisk: Asterisk, tmp_path: Path) -> None:
    """Configured instructions with a variable that the dialplan does not give: refused, and nothing is dialled."""
    sound = asterisk.sound("silence", silence(SLIN8, 1), "sln")
    logs = []

    def place_it(config: Config) -> str:
        logs.append(place(asterisk, BEFORE.replace("SOUND", sound) + asterisk_dialplan(config), "s@line"))
        return logs[0]

    listen = f"127.0.0.1:{free_port()}"
    calls = await hold(
        tmp_path, "parrot", place_it, context={"listen": listen}, session={"instructions": "Ask for {order}."}
    )
    assert calls == []
    assert '"ANNOUNCED=refused"' in logs[0]
    assert "Dial(" not in logs[0].partition("ANNOUNCED=refused")[2]
