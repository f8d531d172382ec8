"""JSON into frozen dataclasses, by their annotations. Unknown members are passed over: answers may gain
some."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from chamade_mcp.client.errors import UnexpectedAnswer

R = TypeVar("R")
Reader = Callable[[object, str], Any]
"""Takes the JSON value and the place where it stands."""


def record(kind: type[R], document: object) -> R:
    """`document` as a `kind`. Raises `UnexpectedAnswer` when a member is missing or of another type."""
    return _reader(kind)(document, kind.__name__)


@cache
def _reader(annotation: Any) -> Reader:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        (inner,) = [one for one in arguments if one is not NoneType]
        return _optional(_reader(inner))
    if origin is tuple:
        return _sequence(_reader(arguments[0]))
    if origin is Literal or annotation is str:
        return _plain(str)  # a newer gateway may know words that this client does not
    if origin is not None and issubclass(origin, Mapping):
        return _mapping(_reader(arguments[1]))
    if annotation is datetime:
        return _timestamp
    if annotation is object:
        return lambda value, _: value
    if is_dataclass(annotation):
        return _members(cast(type[Any], annotation))
    return _plain(annotation)


def _plain(kind: type[Any]) -> Reader:
    def read(value: object, place: str) -> object:
        if kind is float and isinstance(value, int):
            value = float(value)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise UnexpectedAnswer(f"{place} should be of type {kind.__name__}")
        return value

    return read


def _optional(inner: Reader) -> Reader:
    return lambda value, place: None if value is None else inner(value, place)


def _sequence(inner: Reader) -> Reader:
    def read(value: object, place: str) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise UnexpectedAnswer(f"{place} should be a list")
        return tuple(inner(one, place) for one in cast(list[object], value))

    return read


def _mapping(inner: Reader) -> Reader:
    def read(value: object, place: str) -> dict[str, Any]:
        return {name: inner(one, f"{place}.{name}") for name, one in _object(value, place).items()}

    return read


def _timestamp(value: object, place: str) -> datetime:
    try:
        return datetime.fromisoformat(str(value))
    except ValueError:
        raise UnexpectedAnswer(f"{place} should be an ISO 8601 timestamp") from None


def _members(kind: type[Any]) -> Reader:
    hints = get_type_hints(kind)
    readers = {field.name: _reader(hints[field.name]) for field in fields(kind)}
    optional = {
        field.name
        for field in fields(kind)
        if field.default is not MISSING or field.default_factory is not MISSING
    }

    def read(value: object, place: str) -> Any:
        given = _object(value, place)
        for name in readers.keys() - given.keys() - optional:
            raise UnexpectedAnswer(f"{place} has no {name}")
        return kind(**{n: read(given[n], f"{place}.{n}") for n, read in readers.items() if n in given})

    return read


def _object(value: object, place: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise UnexpectedAnswer(f"{place} should be an object")
    return cast(Mapping[str, object], value)
