"""Tools: async functions of the embedding program that the agent may call.

A function's name, docstring and type hints are all the model is told. One library makes both the schema and the check
of the arguments (msgspec), so the two cannot disagree; it knows attrs classes, dataclasses, enums and ``Literal``.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, get_type_hints
from uuid import UUID

import attrs
import docstring_parser
import msgspec

from voxpipe.errors import VoxpipeError
from voxpipe.sansio.digits import DigitEntry, EntryWish
from voxpipe.sansio.tool_words import ToolSchema

TOOL_TIMEOUT_S = 10.0
"""A caller who hears nothing for so long asks whether anybody is there."""
NAME = re.compile("[A-Za-z0-9_-]{1,64}")
"""What OpenAI takes as the name of a function."""
SHOWN_ARGUMENTS = 500
"""How many letters of wrong arguments are shown to the model again."""


async def _no_keypad(_wish: EntryWish) -> DigitEntry:
    raise VoxpipeError("expected the context of a leg, got one without a keypad")


@attrs.frozen
class ToolContext:
    """What a tool may know of its leg, and do with it; a tool takes it as its first parameter."""

    uuid: UUID
    destinations: tuple[str, ...] = attrs.field(repr=False)
    """The names that ``send_to`` takes: ``tools.send_to`` of the configuration."""
    _leave: Callable[[str, str | None], None] = attrs.field(repr=False)
    _ask_digits: Callable[[EntryWish], Awaitable[DigitEntry]] = attrs.field(repr=False, default=_no_keypad)

    def hang_up(self) -> None:
        """End the leg, once the caller has heard what is being said. Returns at once."""
        self._leave("hung up by the agent", None)

    def send_to(self, destination: str) -> None:
        """As ``hang_up``, with the destination in ``LegOutcome.next``. ``ValueError``: it is not a configured one.

        The first of both that is called counts.
        """
        if destination not in self.destinations:
            known = ", ".join(self.destinations) or "none, since tools.send_to is empty"
            raise ValueError(f"expected a destination of {known}, got {destination!r}")
        self._leave(f"sent to {destination}", destination)

    async def digits(
        self,
        *,
        max_digits: int | None = None,
        terminator: str | None = None,
        timeout_s: float | None = None,
        first_timeout_s: float | None = None,
    ) -> DigitEntry:
        """Wait until the caller has entered digits on the keypad; they do not reach the conversation by themselves.

        The entry ends with ``terminator``, with the last of ``max_digits``, or ``timeout_s`` after a digit;
        ``first_timeout_s`` counts from when the agent has been heard to its end, and without a digit by then the entry
        is empty. What is not given is as in the table ``digits`` of the configuration. Digits pressed just before, and
        not yet handed over, begin the entry. Tools that ask at once are served in turn. Cancelled, it leaves the digits
        to the conversation; mind ``Tool.timeout_s``, which cancels. ``ValueError``: a value is out of range.
        """
        return await self._ask_digits(EntryWish(max_digits, terminator, timeout_s, first_timeout_s))


class Tool:
    """A tool of the agent, made from an async function.

    The name is the function's, the description its docstring's first paragraph, the parameters are its own, with the
    texts the docstring has for them (Google's, NumPy's and Sphinx's ways of writing them are understood). A first
    parameter of type ``ToolContext`` is filled in and no part of the schema. What the function returns is given to the
    model: text as it is, anything else as JSON.

    ``timeout_s``: it is cancelled after so long, and the model is told. ``cancellable``: also when the caller begins to
    speak. ``replies``: the agent speaks about the result; without, it stays silent until the caller speaks again.

    Raises ``TypeError`` for a function that can be no tool: not async, without a docstring, of a name providers refuse,
    or with a parameter that has no type hint, or one that JSON cannot carry.
    """

    def __init__(
        self,
        function: Callable[..., Awaitable[Any]],
        *,
        timeout_s: float = TOOL_TIMEOUT_S,
        cancellable: bool = False,
        replies: bool = True,
    ) -> None:
        self.function = function
        self.timeout_s = timeout_s
        self.cancellable = cancellable
        self.replies = replies
        self.name = getattr(function, "__name__", repr(function))
        if not inspect.iscoroutinefunction(function):
            raise TypeError(f"expected an async function, got {self.name}")
        if not NAME.fullmatch(self.name):
            raise TypeError(f"expected a name of 1 to 64 letters, digits, - and _, got {self.name}")
        text = inspect.getdoc(function) or ""
        self.description = " ".join(text.partition("\n\n")[0].split())
        if not self.description:
            raise TypeError(f"expected a docstring for the model to read, got {self.name} without one")
        self._parameters, self._takes_context = _parameters(function, self.name)
        fields = [_field(parameter, text) for parameter in self._parameters]
        try:
            model = msgspec.defstruct("Arguments", fields, kw_only=True, forbid_unknown_fields=True)
            self._decoder = msgspec.json.Decoder(model)
            self.parameters = _schema(model)
        except (TypeError, NameError) as error:
            raise TypeError(f"expected parameters that JSON can carry, got {self.name}: {error}") from error

    @property
    def schema(self) -> ToolSchema:
        """What the model is told of it."""
        return ToolSchema(self.name, self.description, self.parameters)

    def read(self, arguments: str) -> dict[str, Any]:
        """Read a call's arguments (JSON); ``ValueError`` gives expected and actual in words for the model."""
        try:
            values = self._decoder.decode(arguments or "{}")
        except (msgspec.MsgspecError, ValueError) as error:
            expected = msgspec.json.encode(self.parameters).decode()
            raise ValueError(f"{error}. Expected {expected}, got {arguments:.{SHOWN_ARGUMENTS}}") from error
        return {parameter.name: getattr(values, parameter.name) for parameter in self._parameters}

    async def call(self, context: ToolContext, arguments: dict[str, Any]) -> Any:
        """Call the function with arguments as ``read`` gave them."""
        return await self.function(*([context] if self._takes_context else []), **arguments)


def write_result(value: Any) -> str:
    """Spell what a tool returned for the model; ``TypeError`` when JSON cannot carry it."""
    if value is None:
        return "done"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _parameters(function: Callable[..., Any], name: str) -> tuple[list[inspect.Parameter], bool]:
    """A function's parameters with their types looked up, and whether the first, left out here, is the context."""
    try:
        hints = get_type_hints(function, include_extras=True)
    except NameError as error:
        raise TypeError(f"expected type hints of {name} that can be looked up: {error}") from error
    parameters = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name not in hints:
            raise TypeError(f"expected a type hint for each parameter of {name}, got none for {parameter.name}")
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise TypeError(f"expected named parameters of {name}, got {parameter}")
        parameters.append(parameter.replace(annotation=hints[parameter.name]))
    takes_context = bool(parameters) and parameters[0].annotation is ToolContext
    return parameters[takes_context:], takes_context


def _field(parameter: inspect.Parameter, docstring: str) -> tuple[str, Any] | tuple[str, Any, Any]:
    texts = {told.arg_name: told.description for told in docstring_parser.parse(docstring).params}
    annotation = parameter.annotation
    if text := " ".join((texts.get(parameter.name) or "").split()):
        annotation = Annotated[annotation, msgspec.Meta(description=text)]
    if parameter.default is parameter.empty:
        return parameter.name, annotation
    return parameter.name, annotation, _default(parameter.default)


def _default(value: Any) -> Any:
    # What can be changed is made anew for each call.
    if isinstance(value, list | dict | set):
        return msgspec.field(default_factory=functools.partial(type(value), value))
    return msgspec.field(default=value)


def _schema(model: type) -> dict[str, Any]:
    """The JSON schema of the arguments: one object, with the classes it names beside it."""
    _, components = msgspec.json.schema_components([model], ref_template="#/$defs/{name}")
    schema = {key: value for key, value in components.pop("Arguments").items() if key != "title"}
    return {**schema, "$defs": components} if components else schema
