"""The document follows from the operations."""

from typing import Any

from chamade_mcp.api.fields import Body, PlatformName, Query, Wire
from chamade_mcp.api.openapi import document, errors_of
from chamade_mcp.api.operation import Answer, Asked, Group, Operation
from chamade_mcp.model.access import Permission


class Wanted(Body):
    platform: PlatformName
    title: str = "x"


class Page(Query):
    limit: int = 5
    after: str | None = None
    by: Permission | None = None


class PlanWire(Wire):
    plan: str


async def _plan(asked: Asked[Any, Any]) -> Answer:
    del asked
    return {"plan": "a"}


GROUP = Group(
    "Plans",
    "To make and read.",
    (
        Operation(
            "POST", "/api/plan", "Make", _plan, Permission.CALL, body=Wanted, reply=PlanWire,
            also={202: "Later"}, errors={429: ("PLAN_LIMIT",)},
        ),
        Operation("GET", "/api/call/{call_id}/plan", "Read", _plan, Permission.READ, query=Page,
                  reply=PlanWire),
        Operation("GET", "/up", "Up", _plan, public=True, reply=PlanWire),
    ),
)  # fmt: skip


def _document() -> dict[str, Any]:
    return document([GROUP], ["web", "sip"], "https://gateway.example")


def test_bodies_and_answers_are_components_under_public_names() -> None:
    whole = _document()
    made = whole["paths"]["/api/plan"]["post"]
    assert made["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/Wanted")
    for status in ("200", "202"):
        assert made["responses"][status]["content"]["application/json"]["schema"]["$ref"].endswith("/Plan")
    assert whole["components"]["schemas"]["Plan"]["required"] == ["plan"]


def test_the_platforms_of_this_gateway_are_the_ones_that_are_accepted() -> None:
    schemas = _document()["components"]["schemas"]
    assert schemas["Wanted"]["properties"]["platform"] == {"$ref": "#/components/schemas/Platform"}
    assert schemas["Platform"]["enum"] == ["sip", "web"]
    assert schemas["Wanted"]["properties"]["title"]["type"] == "string"


def test_query_parameters_are_never_null() -> None:
    parameters = _document()["paths"]["/api/call/{call_id}/plan"]["get"]["parameters"]
    by_name = {p["name"]: p for p in parameters}
    assert by_name["call_id"]["required"]
    assert by_name["after"]["schema"] == {"type": "string"}
    assert by_name["limit"]["schema"] == {"type": "integer", "default": 5}
    assert by_name["by"]["schema"]["enum"] == [str(permission) for permission in Permission]


def test_every_status_that_can_come_is_there() -> None:
    paths = _document()["paths"]
    made = set(paths["/api/plan"]["post"]["responses"])
    assert made == {"200", "202", "400", "401", "403", "413", "415", "422", "429", "500", "503"}
    read = set(paths["/api/call/{call_id}/plan"]["get"]["responses"])
    assert read == {"200", "400", "401", "403", "404", "422", "500", "503"}
    assert set(paths["/up"]["get"]["responses"]) == {"200", "500"}
    assert paths["/up"]["get"]["security"] == []


def test_codes_are_listed_once() -> None:
    for operation in GROUP.operations:
        for codes in errors_of(operation).values():
            assert len(codes) == len(set(codes))
    assert errors_of(GROUP.operations[0])[429] == ("PLAN_LIMIT",)
