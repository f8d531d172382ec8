"""Call WebSockets as an independent client opens and reads them."""

import asyncio
import json
from typing import Any

import httpx2
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from chamade_mcp.model.ids import RoomRef
from tests.integration.api.conftest import House
from tests.support.waiting import BOUND_S, until


async def new_call(house: House, api: httpx2.AsyncClient, platform: str = "scripted") -> tuple[str, RoomRef]:
    """Call id and room of a call whose leg is in."""
    made = (await api.post("/api/call", json={"platform": platform})).json()
    legs = (house.ears if platform == "ears" else house.scripted).legs
    await until(lambda: made["room_id"] in legs)
    return made["call_id"], RoomRef(made["room_id"])


def socket(ws_url: str, call: str, query: str, **options: Any) -> connect:
    return connect(f"{ws_url}/api/call/{call}/stream{query}", compression=None, proxy=None, **options)


async def message(ws: ClientConnection) -> dict[str, Any]:
    """The next text frame; audio between is skipped."""
    async with asyncio.timeout(BOUND_S):
        while True:
            frame = await ws.recv()
            if isinstance(frame, str):
                return json.loads(frame)


async def closed(ws: ClientConnection) -> int:
    """The code the socket is closed with; what comes before is skipped."""
    async with asyncio.timeout(BOUND_S):
        try:
            while True:
                await ws.recv()
        except ConnectionClosed as over:
            return over.rcvd.code if over.rcvd is not None else 1006
