"""Everything voxpipe raises for what its users or peers did, in one tree.

::

    VoxpipeError
    ├── ConfigError                 .path of the key, .reason
    ├── AudioError                  audio which cannot be read as what it is said to be
    ├── ProtocolError               .peer
    │   ├── LocalProtocolError      we did what the protocol forbids: a bug of ours
    │   └── RemoteProtocolError     the peer did
    ├── SessionError
    │   ├── FormatMismatch          .requested, .confirmed
    │   ├── CommandRefused          .code, .command
    │   ├── AckTimeout              .command, .waited_s
    │   └── SessionLost             another session could go on
    └── RecordError                 a log line which is not a record: .line_no

Each message gives expected and actual. Normal ends (a hang-up, a close after a drain) are events, not exceptions.
"""

from __future__ import annotations

from typing import Any


class VoxpipeError(Exception):
    """The root of the tree: catch this to catch all that is not a bug of the caller's own."""

    def __reduce__(self) -> tuple[Any, ...]:
        # By default an exception is rebuilt from its text alone, which most of ours cannot be.
        return _restore, (type(self), self.args, vars(self))


def _restore(kind: type[VoxpipeError], args: tuple[Any, ...], attributes: dict[str, Any]) -> VoxpipeError:
    error = kind.__new__(kind)
    error.args = args
    vars(error).update(attributes)
    return error


class ConfigError(VoxpipeError):
    """A key or a value of the configuration is not usable."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}" if path else reason)
        self.path = path
        self.reason = reason


class AudioError(VoxpipeError):
    """Audio which cannot be what it is said to be (half a sample, a file that is no audio)."""


class ProtocolError(VoxpipeError):
    """A peer and we disagree about a protocol; the subclass says who is to blame."""

    def __init__(self, message: str, *, peer: str = "") -> None:
        super().__init__(message)
        self.peer = peer


class LocalProtocolError(ProtocolError):
    """We tried what the protocol forbids: a bug of voxpipe or of the program that embeds it."""


class RemoteProtocolError(ProtocolError):
    """The peer did what the protocol forbids."""


class SessionError(VoxpipeError):
    """The session with the provider cannot go on."""


class FormatMismatch(SessionError):
    """The provider confirmed formats other than the requested ones.

    ``requested`` and ``confirmed`` are ``(uplink, downlink)`` pairs in words, as they appear in the log.
    """

    def __init__(self, requested: tuple[str, str], confirmed: tuple[str, str]) -> None:
        super().__init__(
            "the provider confirmed other formats than the requested ones: "
            f"expected uplink {requested[0]} and downlink {requested[1]}, "
            f"got uplink {confirmed[0]} and downlink {confirmed[1]}"
        )
        self.requested = requested
        self.confirmed = confirmed


class CommandRefused(SessionError):
    """The provider answered a command of ours with an error."""

    def __init__(self, command: str, code: str, message: str) -> None:
        super().__init__(f"expected the provider to accept {command}, got refusal {code}: {message}")
        self.command = command
        self.code = code


class AckTimeout(SessionError):
    """The provider did not acknowledge a command in time."""

    def __init__(self, command: str, expected: str, waited_s: float) -> None:
        super().__init__(f"expected {expected} in answer to {command} within {waited_s:g} s, got nothing")
        self.command = command
        self.waited_s = waited_s


class SessionLost(SessionError):
    """A session that was under way is gone: the connection broke, or the provider ended it. Another one could go on."""


class RecordError(VoxpipeError):
    """A line of a log is not a record."""

    def __init__(self, line_no: int, reason: str) -> None:
        super().__init__(f"line {line_no}: {reason}")
        self.line_no = line_no
        self.reason = reason


def describe_error(error: BaseException) -> dict[str, Any]:
    """Say in a record's words what went wrong, with expected and actual where the error has them."""
    data: dict[str, Any] = {"error": type(error).__name__, "message": str(error)}
    for name in ("requested", "confirmed", "code", "command", "waited_s"):
        if hasattr(error, name):
            data[name] = getattr(error, name)
    return data
