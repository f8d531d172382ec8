"""The document for machines at ``/openapi.json``; people read it below ``/docs/api``."""

from collections.abc import Sequence
from functools import cached_property

from starlette.responses import Response

from chamade_mcp.api.fields import Wire
from chamade_mcp.api.openapi import Schema, document
from chamade_mcp.api.operation import Answer, Asked, Group, Operation
from chamade_mcp.kit.compact import compact


class Reference:
    """Built at the first request: starting the gateway does not wait for it."""

    def __init__(self, groups: Sequence[Group], platforms: Sequence[str], public_url: str) -> None:
        self._groups = (*groups, self.group())
        self._platforms = platforms
        self._public_url = public_url

    @cached_property
    def document(self) -> Schema:
        return document(self._groups, self._platforms, self._public_url)

    async def openapi(self, asked: Asked[None, None]) -> Answer:
        del asked
        return Response(self._json, media_type="application/json", headers={"cache-control": "no-cache"})

    def group(self) -> Group:
        return Group(
            "Reference",
            "This document, for machines.",
            (
                Operation(
                    "GET", "/openapi.json", "The OpenAPI document", self.openapi, public=True, reply=Wire
                ),
            ),
        )

    @cached_property
    def _json(self) -> bytes:
        return compact(self.document)
