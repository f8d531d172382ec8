"""`Idempotency-Key`: a request that is sent again, because its answer got lost, is not done again."""

import asyncio
import hashlib
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from pydantic import BaseModel
from starlette.responses import Response

from chamade_mcp.api.operation import Answer, Asked, Handler, Json, Reply
from chamade_mcp.core.repeats import Answered, Begun, Repeats, Request
from chamade_mcp.kit.connection import HookReply
from chamade_mcp.kit.problem import problem_response
from chamade_mcp.kit.waiting import to_the_end
from chamade_mcp.model.errors import FieldError, GatewayError, Internal, Outcome, ValidationFailed

BodyT = TypeVar("BodyT", bound=BaseModel)

PATTERN: Final = "^[!-~]{1,255}$"
_KEY: Final = re.compile(rb"[!-~]{1,255}")
_REPLAYED: Final = {"idempotency-replayed": "true", "cache-control": "no-store"}
_dumps = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Once:
    """Around the handlers of operations that are `repeatable`."""

    repeats: Repeats

    def __call__(self, path: str, handler: Handler[BodyT, None]) -> Handler[BodyT, None]:
        def once(asked: Asked[BodyT, None]) -> Awaitable[Answer]:
            key = asked.headers.get(b"idempotency-key")
            if key is None:
                return handler(asked)
            request = Request(asked.principal.scope, _checked(key), _digest(path, asked))
            # Whoever asked may go away meanwhile; that it was done is noted all the same.
            return to_the_end(self._do(request, asked, handler))

        return once

    async def _do(self, request: Request, asked: Asked[BodyT, None], handler: Handler[BodyT, None]) -> Answer:
        begun = await self.repeats.begin(request)
        if isinstance(begun, Answered):
            media_type = "application/json" if begun.status < 400 else "application/problem+json"
            return Response(
                begun.body, status_code=begun.status, media_type=media_type, headers=dict(_REPLAYED)
            )
        try:
            answer = await self._answer(begun, asked, handler)
        except asyncio.CancelledError:
            raise
        except GatewayError as error:
            await self._failed(request, error)
            raise
        except Exception:
            await self._failed(request, Internal())
            raise
        status, body = (answer.status, answer.body) if isinstance(answer, Reply) else (200, answer)
        await self.repeats.finish(request, Answered(status, _dumps(body)))
        return answer

    async def _answer(
        self, begun: Begun, asked: Asked[BodyT, None], handler: Callable[..., Awaitable[Answer]]
    ) -> Json | Reply:
        answer = await handler(asked._replace(repeat=begun.message_id))
        if isinstance(answer, Response | HookReply):
            raise TypeError("an answer that can be given again is JSON")
        return answer

    async def _failed(self, request: Request, error: GatewayError) -> None:
        if error.outcome is Outcome.NOT_DONE:
            await self.repeats.release(request)
            return
        told = bytes(problem_response(error).body).decode()
        await self.repeats.finish(request, Answered(error.status, told))


def _checked(key: bytes) -> str:
    if _KEY.fullmatch(key) is None:
        words = "must have 1 to 255 visible ASCII characters"
        raise ValidationFailed([FieldError("Idempotency-Key", words)])
    return key.decode("ascii")


def _digest(path: str, asked: Asked[BodyT, None]) -> str:
    # A discriminator that reads requests knows no models; the models themselves say what they are.
    body = asked.body.model_dump(mode="json", warnings=False)
    request = _dumps([path, dict(asked.ids), body])
    return hashlib.sha256(request.encode("ascii")).hexdigest()
