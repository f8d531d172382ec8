"""In-process calls of the API: our direct ASGI transport against httpx2's, one run, one application.

    .venv/bin/python tests/load/bench_core_client.py [rounds]

Prints microseconds per call, best of five rounds, and what calling costs beyond the bare application.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from chamade_mcp.tools.transport import InProcess

HEADERS = [(b"x-api-key", b"chmd_example"), (b"accept", b"application/json")]
BODY = b'{"platform":"web","text":"hello"}'


async def endpoint(request: Request) -> JSONResponse:
    if request.method == "POST":
        await request.body()
    return JSONResponse({"plan": "self-hosted", "platforms": {"web": {"status": "ok", "files": True}}})


async def bare(scope: Scope, receive: Receive, send: Send) -> None:
    """The least an application can do: what remains is the cost of the transport."""
    message: Message = await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": message["body"] or b"{}"})


async def best(call: Callable[[], Awaitable[object]], calls: int) -> float:
    rounds: list[float] = []
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(calls):
            await call()
        rounds.append((time.perf_counter() - start) / calls * 1e6)
    return min(rounds)


async def main(calls: int) -> None:
    starlette = Starlette(routes=[Route("/api/account", endpoint, methods=["GET", "POST"])])
    for name, app in (("bare ASGI", bare), ("Starlette", starlette)):
        direct = InProcess(app)
        client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://core")
        for method, body in (("GET", b""), ("POST", BODY)):
            ours = await best(
                lambda d=direct, m=method, b=body: d.request(m, "/api/account", "", HEADERS, b), calls
            )
            theirs = await best(
                lambda c=client, m=method, b=body: c.request(
                    m, "/api/account", headers=HEADERS, content=b or None
                ),
                calls,
            )
            print(
                f"{name:10} {method:4} direct {ours:7.1f} us   httpx2 {theirs:7.1f} us  x{theirs / ours:.1f}"
            )
        await client.aclose()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000))
