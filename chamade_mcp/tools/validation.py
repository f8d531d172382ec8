"""Checks a tool's arguments against its schema; what is wrong is said so that a model can mend the call."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Protocol, cast

from jsonschema import Draft202012Validator

from chamade_mcp.model.errors import FieldError

_MOST_ERRORS = 8
_TYPE_NAMES = {
    "string": "a string",
    "integer": "a whole number",
    "boolean": "true or false",
    "array": "an array",
    "object": "an object",
}


class _Failure(Protocol):
    """What we use of `jsonschema.ValidationError`, which has no types."""

    absolute_path: Sequence[str | int]
    instance: object
    validator: str
    validator_value: object
    schema: Mapping[str, object]


class _Compiled(Protocol):
    def iter_errors(self, instance: object) -> Iterable[_Failure]: ...


class Arguments:
    """The validator of one tool, compiled once."""

    def __init__(self, schema: Mapping[str, object]) -> None:
        self._properties = cast(Mapping[str, object], schema.get("properties", {}))
        required = cast(Sequence[str], schema.get("required", ()))
        self._optional = frozenset(self._properties) - frozenset(required)
        self._validator = cast(_Compiled, Draft202012Validator(schema))

    def check(self, given: Mapping[str, object]) -> tuple[dict[str, object], list[FieldError]]:
        """The arguments to use, and what is wrong with them. A null optional argument counts as absent."""
        arguments = {
            # JSON knows one kind of number: 55.0 is a whole number to the schema, and must be one to us.
            name: int(value) if isinstance(value, float) and value.is_integer() else value
            for name, value in given.items()
            if value is not None or name not in self._optional
        }
        errors: list[FieldError] = []
        for failure in self._validator.iter_errors(arguments):
            errors.extend(_explain(failure))
            if len(errors) >= _MOST_ERRORS:
                break
        return arguments, errors


def _explain(failure: _Failure) -> list[FieldError]:
    path = [str(part) for part in failure.absolute_path]
    if failure.validator == "required":
        instance = cast(Mapping[str, object], failure.instance)
        missing = [name for name in cast(Sequence[str], failure.validator_value) if name not in instance]
        return [FieldError(_join(path, name), "is required") for name in missing]
    if failure.validator == "additionalProperties":
        return _unknown(path, failure)
    sentence = _SENTENCES.get(failure.validator, _fallback)
    return [FieldError(_join(path), sentence(failure))]


def _unknown(path: Sequence[str], failure: _Failure) -> list[FieldError]:
    known = list(cast(Mapping[str, object], failure.schema.get("properties", {})))
    names = [name for name in cast(Mapping[str, object], failure.instance) if name not in known]
    return [FieldError(_join(path, name), _unknown_name(name, known)) for name in names]


def _unknown_name(name: str, known: Sequence[str]) -> str:
    close = get_close_matches(name, known, n=1) or [word for word in known if name and name in word]
    if close:
        return f"is not an argument of this tool; did you mean {close[0]}?"
    if not known:
        return "is not an argument of this tool, which takes none"
    return f"is not an argument of this tool; it takes {', '.join(known)}"


def _join(path: Sequence[str], name: str | None = None) -> str:
    parts = [*path, name] if name is not None else path
    return ".".join(parts) or "arguments"


def _length(failure: _Failure) -> int:
    return len(cast(Sequence[object], failure.instance))


def _type(failure: _Failure) -> str:
    wanted = failure.validator_value
    return f"must be {_TYPE_NAMES.get(str(wanted), f'of type {wanted}')}"


def _min_length(failure: _Failure) -> str:
    if failure.validator_value == 1:
        return "must not be empty"
    return f"needs at least {failure.validator_value} characters"


def _fallback(failure: _Failure) -> str:
    return f"does not satisfy {failure.validator}: {failure.validator_value}"


_SENTENCES: dict[str, Callable[[_Failure], str]] = {
    "type": _type,
    "enum": lambda f: f"must be one of {', '.join(map(str, cast(Sequence[object], f.validator_value)))}",
    "minLength": _min_length,
    "maxLength": lambda f: f"has {_length(f)} characters, at most {f.validator_value} are allowed",
    "minimum": lambda f: f"must be at least {f.validator_value}",
    "maximum": lambda f: f"must be at most {f.validator_value}",
    "maxItems": lambda f: f"has {_length(f)} entries, at most {f.validator_value} are allowed",
    "pattern": lambda _: "is not an id: letters, digits, _ and - make one",
    "oneOf": lambda _: "needs exactly one of file_id, url, or bytes_b64 together with name and mime",
}
