"""Paths find their operations, with and without a slash; odd ids are just not there."""

import pytest

from chamade_mcp.api.operation import Answer, AnyOperation, Asked, Method, Operation
from chamade_mcp.api.routing import Router
from chamade_mcp.model.errors import NotFound


async def _nothing(asked: Asked[None, None]) -> Answer:
    del asked
    return {}


def _operation(method: Method, path: str) -> AnyOperation:
    return Operation(method, path, "A test", _nothing)


ROUTER = Router(
    [
        _operation("POST", "/api/call"),
        _operation("GET", "/api/call/{call_id}"),
        _operation("DELETE", "/api/call/{call_id}"),
        _operation("POST", "/api/call/{call_id}/say"),
        _operation("POST", "/api/files/reserve"),
        _operation("GET", "/api/files/{token}"),
        _operation("POST", "/api/files/u/{upload_token}"),
        _operation("GET", "/healthz"),
    ]
)


@pytest.mark.parametrize(
    ("path", "expected", "ids"),
    [
        ("/api/call", "/api/call", {}),
        ("/api/call/", "/api/call", {}),
        ("/api/call/call_1", "/api/call/{call_id}", {"call_id": "call_1"}),
        ("/api/call/call_1/", "/api/call/{call_id}", {"call_id": "call_1"}),
        ("/api/call/call_1/say/", "/api/call/{call_id}/say", {"call_id": "call_1"}),
        ("/api/files/reserve", "/api/files/reserve", {}),
        ("/api/files/abc", "/api/files/{token}", {"token": "abc"}),
        ("/api/files/u/abc", "/api/files/u/{upload_token}", {"upload_token": "abc"}),
        ("/healthz", "/healthz", {}),
    ],
)
def test_a_path_finds_its_place(path: str, expected: str, ids: dict[str, str]) -> None:
    found = ROUTER.find(path)
    assert found is not None
    place, got = found
    assert {operation.path for operation in place.methods.values()} == {expected}
    assert got == ids


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "//",
        "/api",
        "/api/",
        "/api/calls",
        "/api/call/a/b/c",
        "/api/call/a/shout",
        "/api/call/../etc",
    ],
)
def test_other_paths_find_nothing(path: str) -> None:
    assert ROUTER.find(path) is None


@pytest.mark.parametrize("odd", ["", "%00", "a b", "é", "x" * 129, "a\x00b", "\ud800", "a\nb", "a?"])
def test_what_cannot_be_an_id_is_not_there(odd: str) -> None:
    with pytest.raises(NotFound) as raised:
        ROUTER.find(f"/api/call/{odd}/say")
    assert (raised.value.detail, raised.value.code) == ("Call not found", "CALL_NOT_FOUND")


def test_a_place_names_its_methods() -> None:
    found = ROUTER.find("/api/call/call_1")
    assert found is not None
    assert found[0].allow == "DELETE, GET, HEAD"


def test_the_same_operation_twice_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="twice"):
        Router([_operation("GET", "/healthz"), _operation("GET", "/healthz")])


def test_an_undescribed_path_parameter_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="color"):
        Router([_operation("GET", "/api/paint/{color}")])
