"""Clients of the context endpoint that share no code with it: ``http.client`` and the program curl."""

from __future__ import annotations

import http.client
import json
import subprocess
from collections.abc import Mapping
from typing import Any

import attrs
import trio

Address = tuple[str, int]


@attrs.frozen
class Answer:
    """What came back."""

    status: int
    text: str
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.text)


async def ask(
    address: Address, method: str, path: str, body: str | bytes | None = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """Make one request in a thread."""

    def work() -> Answer:
        connection = http.client.HTTPConnection(*address, timeout=20)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, response.read().decode(), found)
        finally:
            connection.close()

    return await trio.to_thread.run_sync(work)


async def post(address: Address, path: str, tree: object, headers: Mapping[str, str] | None = None) -> Answer:
    """Post JSON."""
    return await ask(address, "POST", path, json.dumps(tree), {"Content-Type": "application/json", **(headers or {})})


async def curl(address: Address, path: str, *options: str) -> tuple[int, str]:
    """Run curl; return the status and the body."""
    url = f"http://{address[0]}:{address[1]}{path}"
    command = ["curl", "--silent", "--max-time", "20", "--write-out", "\n%{http_code}", *options, url]
    done = await trio.run_process(command, capture_stdout=True, stdin=subprocess.DEVNULL)
    body, _, status = done.stdout.decode().rpartition("\n")
    return int(status), body
