"""Pydantic's findings in words that a caller, often a model, can act on. What was sent is never repeated."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from chamade_mcp.api.fields import PATTERN_WORDS
from chamade_mcp.model.errors import FieldError, InvalidRequest, ValidationFailed

ModelT = TypeVar("ModelT", bound=BaseModel)

_MOST_ERRORS = 20
_MOST_PARAMETERS = 100

_WORDS: Mapping[str, str] = {
    "missing": "is required",
    "string_type": "must be a string",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a smaller number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "list_type": "must be a list",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "dict_type": "must be an object",
    "uuid_type": "must be a UUID as a string",
    "uuid_parsing": "must be a UUID",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "enum": "must be {expected}",
    "literal_error": "must be {expected}",
    "string_too_short": "must have at least {min_length} character(s)",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have at least {min_length} entry(s)",
    "too_long": "must have at most {max_length} entries",
}


def parse_body(model: type[ModelT], raw: bytes) -> ModelT:
    """Raises `InvalidRequest` INVALID_JSON or `ValidationFailed`."""
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        details = _details(error)
        if details[0]["type"] == "json_invalid":
            # jiter tells the place as "... at line 1 column 9"; the text before it may quote the body.
            _, at, place = str(details[0]["msg"]).rpartition(" at line ")
            where = f" (line {place})" if at else ""
            detail = f"The body is not valid JSON{where}"
            raise InvalidRequest(detail, code="INVALID_JSON") from None
        raise ValidationFailed([_field_error(d, model) for d in details]) from None


def parse_query(model: type[ModelT], raw: bytes) -> ModelT:
    """Of a repeated parameter the last counts. Raises `ValidationFailed`."""
    try:
        pairs = parse_qsl(raw.decode("latin-1"), keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        raise InvalidRequest(f"A query may have {_MOST_PARAMETERS} parameters") from None
    return check(model, dict(pairs))


def check(model: type[ModelT], document: Mapping[str, object]) -> ModelT:
    """Raises `ValidationFailed`."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise ValidationFailed([_field_error(d, model) for d in _details(error)]) from None


def _details(error: ValidationError) -> list[ErrorDetails]:
    return error.errors(include_url=False, include_input=False)[:_MOST_ERRORS]


def _field_error(detail: ErrorDetails, model: type[BaseModel]) -> FieldError:
    kind = detail["type"]
    # Tags of unions ("by:url") are no part of what was sent.
    path = [str(part) for part in detail["loc"] if not (isinstance(part, str) and ":" in part)]
    if kind.startswith("field:"):
        path.append(kind.partition(":")[2])
    return FieldError(".".join(path) or "body", _message(detail, path, model))


def _message(detail: ErrorDetails, path: list[str], model: type[BaseModel]) -> str:
    kind = detail["type"]
    if kind == "extra_forbidden":
        near = get_close_matches(path[-1], model.model_fields, 1) if len(path) == 1 else []
        return f"is not a known field; did you mean {near[0]}?" if near else "is not a known field"
    context: dict[str, Any] = detail.get("ctx", {})
    if kind == "string_pattern_mismatch":
        return PATTERN_WORDS.get(context["pattern"], f"must match {context['pattern']}")
    words = _WORDS.get(kind)
    return detail["msg"] if words is None else words.format(**context)
