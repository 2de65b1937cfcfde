"""Tools: what the model is told of a function, and what of the model's arguments reaches it."""

from __future__ import annotations

import enum
import json
from collections.abc import Callable
from typing import Any, Literal, Optional
from uuid import UUID

import attrs
import pytest

from voxpipe.tools import Tool, ToolContext, write_result

ARGUMENTS = "Expected {"


@attrs.frozen
class Address:
    """Where the pizza goes."""

    street: str
    floor: int = 0


class Size(enum.Enum):
    """How large."""

    SMALL = "small"
    LARGE = "large"


async def order(number: int, note: str = "") -> str:
    """Look up an order
    by its number.

    A paragraph the model is not told.

    Args:
        number: the number
            on the receipt
        note: what else was said
    """
    return f"{number}{note}"


def leg_context(left: list[tuple[str, str | None]]) -> ToolContext:
    """A context that notes how the leg was left."""
    return ToolContext(UUID(int=1), ("sales",), lambda reason, next_: left.append((reason, next_)))


def test_a_function_is_told_to_the_model() -> None:
    """The name, the first paragraph, each parameter's text, what is required and what the rest is by default."""
    schema = Tool(order).schema
    assert (schema.name, schema.description) == ("order", "Look up an order by its number.")
    assert schema.parameters == {
        "type": "object",
        "properties": {
            "number": {"type": "integer", "description": "the number on the receipt"},
            "note": {"type": "string", "description": "what else was said", "default": ""},
        },
        "required": ["number"],
        "additionalProperties": False,
    }


ADDRESS = {
    "title": "Address",
    "description": "Where the pizza goes.",
    "type": "object",
    "properties": {"street": {"type": "string"}, "floor": {"type": "integer", "default": 0}},
    "required": ["street"],
}
SIZE = {"title": "Size", "description": "How large.", "enum": ["large", "small"]}
NULL = {"type": "null"}
TYPES: list[tuple[Any, dict[str, Any], str, Any, str]] = [
    (str, {"type": "string"}, '"a"', "a", "1"),
    (int, {"type": "integer"}, "3", 3, '"3"'),
    (int, {"type": "integer"}, "3", 3, "3.5"),
    (float, {"type": "number"}, "3", 3.0, '"3"'),
    (bool, {"type": "boolean"}, "true", True, "1"),
    (Literal["a", "b"], {"enum": ["a", "b"]}, '"b"', "b", '"c"'),
    (list[str], {"type": "array", "items": {"type": "string"}}, '["a"]', ["a"], "[1]"),
    (
        dict[str, int],
        {"type": "object", "additionalProperties": {"type": "integer"}},
        '{"a":1}',
        {"a": 1},
        '{"a":"1"}',
    ),
    (Optional[int], {"anyOf": [{"type": "integer"}, NULL]}, "null", None, '"x"'),  # noqa: UP045 - as users write it
    (str | None, {"anyOf": [{"type": "string"}, NULL]}, '"x"', "x", "1"),
    (Address, {"$ref": "#/$defs/Address"}, '{"street":"A"}', Address("A"), '{"floor":1}'),
    (Size, {"$ref": "#/$defs/Size"}, '"large"', Size.LARGE, '"huge"'),
]


@pytest.mark.parametrize(("hint", "schema", "good", "value", "bad"), TYPES, ids=str)
def test_a_type_hint_is_a_schema_and_a_check(
    hint: Any, schema: dict[str, Any], good: str, value: Any, bad: str
) -> None:
    """Each type is described to the model, read into what the function wants, and any other value is refused."""

    async def take(x: Any) -> None:
        """Take it."""

    take.__annotations__["x"] = hint
    tool = Tool(take)
    assert tool.parameters["properties"] == {"x": schema}
    classes = {"Address": ADDRESS, "Size": SIZE}
    assert tool.parameters.get("$defs", {}) == {n: c for n, c in classes.items() if schema.get("$ref", "").endswith(n)}
    assert tool.read(f'{{"x":{good}}}') == {"x": value}
    with pytest.raises(ValueError, match=r"\$\.x|missing"):
        tool.read(f'{{"x":{bad}}}')


REFUSED: list[tuple[str, str]] = [
    ("", "Object missing required field `number`"),
    ("{}", "Object missing required field `number`"),
    ('{"number":', "Input data was truncated"),
    ("number=3", "JSON is malformed"),
    ("[3]", "Expected `object`, got `array`"),
    ('{"number":"3"}', "Expected `int`, got `str` - at `$.number`"),
    ('{"number":3,"x":1}', "Object contains unknown field `x`"),
]


@pytest.mark.parametrize(("arguments", "reason"), REFUSED)
def test_wrong_arguments_are_refused_with_expected_and_actual(arguments: str, reason: str) -> None:
    """The refusal says what is wrong, the schema that was expected and the arguments that came."""
    tool = Tool(order)
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is looked at
        tool.read(arguments)
    text = str(caught.value)
    assert text.startswith(reason)
    assert '. Expected {"type":"object"' in text
    assert text.endswith(f", got {arguments}")


def test_what_is_left_out_has_its_default() -> None:
    """A default is the function's own, and a list of one call is not that of the next."""

    async def take(a: str = "x", b: list[str] = ["y"], c: int | None = None) -> None:  # noqa: B006 - users do
        """Take it."""

    tool = Tool(take)
    first, second = tool.read("{}"), tool.read("")
    assert first == {"a": "x", "b": ["y"], "c": None}
    first["b"].append("z")
    assert second["b"] == ["y"]
    assert tool.parameters["required"] == []


async def test_the_context_comes_first_and_is_not_in_the_schema() -> None:
    """A first parameter of type ToolContext is filled in; the model does not know of it."""

    async def whose(context: ToolContext, greeting: str) -> str:
        """Say whose call it is."""
        context.hang_up()
        return f"{greeting} {context.uuid.int}"

    tool, left = Tool(whose), list[tuple[str, str | None]]()
    assert list(tool.parameters["properties"]) == ["greeting"]
    assert await tool.call(leg_context(left), tool.read('{"greeting":"hi"}')) == "hi 1"
    assert left == [("hung up by the agent", None)]


def test_a_leg_is_sent_only_where_the_configuration_says() -> None:
    """A destination that is not in the list is refused, and the leg goes on."""
    left: list[tuple[str, str | None]] = []
    context = leg_context(left)
    with pytest.raises(ValueError, match="expected a destination of sales, got 'moon'"):
        context.send_to("moon")
    assert left == []
    context.send_to("sales")
    assert left == [("sent to sales", "sales")]


async def _untyped(x) -> None:  # type: ignore[no-untyped-def]
    """Untyped."""


async def _rest(*x: int) -> None:
    """Take all."""


async def _object(x: object) -> None:
    """Take an object."""


async def _silent(x: int) -> None:
    pass


async def grüßen() -> None:
    """Say hello."""


def _sync(x: int) -> None:
    """Not async."""


NO_TOOLS: list[tuple[Callable[..., Any], str]] = [
    (_untyped, "expected a type hint for each parameter of _untyped, got none for x"),
    (_rest, "expected named parameters of _rest, got \\*x"),
    (_object, "expected parameters that JSON can carry, got _object"),
    (_silent, "expected a docstring for the model to read, got _silent without one"),
    (grüßen, "expected a name of 1 to 64 letters, digits, - and _, got grüßen"),
    (_sync, "expected an async function, got _sync"),
]


@pytest.mark.parametrize(("function", "reason"), NO_TOOLS)
def test_what_can_be_no_tool_is_refused_at_once(function: Callable[..., Any], reason: str) -> None:
    """A function the model could not be told of is an error where the tool is made, not in a call."""
    with pytest.raises(TypeError, match=reason):
        Tool(function)


RESULTS = [(None, "done"), ("as it is", "as it is"), ({"a": 1}, '{"a":1}'), ([1.5], "[1.5]"), (Size.SMALL, '"small"')]


@pytest.mark.parametrize(("value", "text"), RESULTS, ids=str)
def test_a_result_is_text_or_json(value: Any, text: str) -> None:
    """Text stays text, nothing is told as done, and the rest is JSON."""
    assert write_result(value) == text


def test_an_attrs_result_is_json_and_a_strange_one_is_refused() -> None:
    """An attrs class is an object of its fields; what JSON cannot carry is the tool's fault, and says so."""
    assert json.loads(write_result(Address("A", 2))) == {"street": "A", "floor": 2}
    with pytest.raises(TypeError, match="type object is unsupported"):
        write_result(object())
