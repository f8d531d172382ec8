"""What every error of the REST API must look like, checked in one place."""

from typing import Any, cast

import httpx2

_TEXT_MEMBERS = ("type", "title", "detail", "code", "action", "outcome", "request_id")


def assert_problem(
    response: httpx2.Response, status: int, code: str, *, detail: str | None = None, field: str | None = None
) -> dict[str, Any]:
    """The answer is a complete problem object; returns it."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    problem = cast(dict[str, Any], response.json())
    assert problem["status"] == status
    assert problem["code"] == code, problem
    for member in _TEXT_MEMBERS:
        assert isinstance(problem[member], str), member
        assert problem[member], member
    assert problem["request_id"] == response.headers["x-request-id"]
    if detail is not None:
        assert problem["detail"] == detail
    if field is not None:
        assert field in [error["field"] for error in problem["errors"]], problem
    if status == 401:
        assert response.headers["www-authenticate"].startswith("Bearer")
    if "retry_after" in problem:
        assert int(response.headers["retry-after"]) >= problem["retry_after"]
    return problem
