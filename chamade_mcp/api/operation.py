"""One REST operation as data: routes, permission checks, validation and the OpenAPI document come from it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, NamedTuple, TypeAlias, TypeVar

from pydantic import BaseModel
from starlette.responses import Response
from starlette.types import Receive, Scope

from chamade_mcp.kit.connection import HookReply
from chamade_mcp.model.access import Permission, Principal

BodyT = TypeVar("BodyT", bound=BaseModel | None)
QueryT = TypeVar("QueryT", bound=BaseModel | None)

Method: TypeAlias = Literal["GET", "POST", "PATCH", "DELETE"]
Json: TypeAlias = Mapping[str, object]


class Asked(NamedTuple, Generic[BodyT, QueryT]):
    """A request that may be answered: authenticated, permitted and validated."""

    ids: Mapping[str, str]
    """The path parameters by name."""
    body: BodyT
    query: QueryT
    scope: Scope
    receive: Receive
    headers: Mapping[bytes, bytes]
    """Names in lower case; of a repeated header the last."""
    caller: Principal | None
    """None on a public operation only."""
    repeat: str | None = None
    """The id that what is made must bear, where a request may come again."""

    @property
    def principal(self) -> Principal:
        assert self.caller is not None, "a public operation asks for its caller"
        return self.caller


class Reply(NamedTuple):
    """A JSON answer whose status is not the operation's usual one."""

    status: int
    body: Json


Answer: TypeAlias = Json | Reply | HookReply | Response
"""A mapping is the JSON body under the operation's status; the last two are sent as they are."""

Handler: TypeAlias = Callable[[Asked[BodyT, QueryT]], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Operation(Generic[BodyT, QueryT]):
    method: Method
    path: str
    """Without a trailing slash; the form with one is served alike."""
    summary: str
    handler: Handler[BodyT, QueryT]
    permission: Permission | None = None
    """What a key needs beyond being valid."""
    every_agent: bool = False
    """Concerns all agents of the account: a key or a token may do it only where there is one."""
    public: bool = False
    """No credential is looked at."""
    body: type[BodyT] | None = None
    body_optional: bool = False
    """An empty body counts as ``{}``."""
    large_body: bool = False
    """The body may carry files in base64."""
    repeatable: bool = False
    """Takes an `Idempotency-Key`: the handler is wrapped in `Once`."""
    query: type[QueryT] | None = None
    reply: type[BaseModel] | None = None
    """Documents the JSON answer; answers are not checked against it at run time."""
    media: Mapping[str, object] | None = None
    """OpenAPI content of an answer that is not JSON."""
    form: Mapping[str, object] | None = None
    """OpenAPI schema of a multipart body that the handler reads by itself."""
    alternative: type[BaseModel] | None = None
    """What may come as JSON instead of the form; the handler reads that too."""
    status: int = 200
    also: Mapping[int, str] = field(default_factory=dict[int, str])
    """Further successful statuses and what they mean; same body model."""
    errors: Mapping[int, tuple[str, ...]] = field(default_factory=dict[int, tuple[str, ...]])
    """The operation's own error codes by status, beside those that follow from the members above."""
    notes: str = ""

    @property
    def name(self) -> str:
        """The `operationId`: stable as long as method and path are."""
        words = [part.strip("{}") for part in self.path.split("/") if part and part != "api"]
        return "_".join([self.method.lower(), *words]).replace("-", "_").replace(".", "_")


AnyOperation: TypeAlias = Operation[Any, Any]


@dataclass(frozen=True, slots=True)
class Group:
    """Operations that belong together on the reference page."""

    title: str
    intro: str
    operations: tuple[AnyOperation, ...]
