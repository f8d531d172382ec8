"""What went wrong and needs the owner, each with what mends it."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from chamade_mcp.api.account import OkWire
from chamade_mcp.api.fields import FromText, Query, Wire
from chamade_mcp.api.operation import Answer, Asked, Group, Operation
from chamade_mcp.core.troubles import Fix, Kind, Troubles
from chamade_mcp.model.access import Permission


class TroublesQuery(Query):
    limit: Annotated[int, Field(ge=1, le=200), FromText] = 50
    before: Annotated[str | None, Field(max_length=32, description="`next` of the page before")] = None


class TroubleWire(Wire):
    id: Annotated[
        str, Field(description="Of the connection, webhook, message, call or key it is about; `disk`")
    ]
    kind: Kind
    at: Annotated[str, Field(description="When it happened, or began; of a connection, when that was made")]
    name: Annotated[str, Field(description="Whose or which; empty where nobody is known. Untrusted")]
    detail: Annotated[str, Field(description="The platform's or the server's own words, where there are any")]
    fix: Annotated[
        Fix,
        Field(
            description="What helps: `sign_in` at `POST /api/oauth/start/{provider}`; `new_credentials` by"
            " `PATCH /api/connections/{connection_id}`; `look` at the webhook's deliveries or the call's"
            " timeline; `send_again` by `POST /api/messages/{message_id}/retry`; `ping` the agents, nobody"
            " answered; `new_key` for whoever still uses that one; `make_room` where the"
            " gateway keeps its data (told to the gateway's owner)"
        ),
    ]
    platform: str | None
    conversation_id: str | None
    oauth_provider: Annotated[str | None, Field(description="Of `sign_in`")]
    lasting: Annotated[bool, Field(description="Listed until it is mended; it cannot be put aside")]


class TroublesWire(Wire):
    troubles: list[TroubleWire]
    next: Annotated[str | None, Field(description="`before` of the next page; null on the last")]


@dataclass(frozen=True, slots=True)
class TroubleGroup:
    troubles: Troubles

    async def page(self, asked: Asked[None, TroublesQuery]) -> Answer:
        return await self.troubles.page(asked.principal, asked.query.before, asked.query.limit)

    async def put_aside(self, asked: Asked[None, None]) -> Answer:
        await self.troubles.put_aside(asked.principal, asked.ids["trouble_id"])
        return {"status": "ok"}

    def group(self) -> Group:
        manage, path = Permission.MANAGE, "/api/troubles"
        return Group(
            "Troubles",
            "What went wrong with the agent in the last 7 days, and what is broken until somebody mends it.",
            (
                Operation(
                    "GET",
                    path,
                    "What needs the owner: what lasts, then the newest",
                    self.page,
                    manage,
                    query=TroublesQuery,
                    reply=TroublesWire,
                    errors={400: ("INVALID_CURSOR",)},
                    notes="Of each kind the newest 200; of calls those that went wrong of the newest 200.",
                ),
                Operation(
                    "DELETE",
                    f"{path}/{{trouble_id}}",
                    "Put one aside: it was seen",
                    self.put_aside,
                    manage,
                    reply=OkWire,
                    errors={404: ("TROUBLE_NOT_FOUND",)},
                ),
            ),
        )
