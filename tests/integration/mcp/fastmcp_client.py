"""fastmcp's client as an agent's program: a line in is a tool to call, a line of JSON out is its answer.

usage: fastmcp_client.py URL KEY
"""

import asyncio
import json
import sys

from fastmcp import Client  # pyright: ignore[reportMissingImports, reportUnknownVariableType]


async def main(url: str, key: str) -> None:
    async with Client(url, auth=key, timeout=20) as client:  # pyright: ignore[reportUnknownVariableType]
        while tool := (await asyncio.to_thread(sys.stdin.readline)).strip():
            result = await client.call_tool(tool, {})  # pyright: ignore
            print(json.dumps(result.structured_content), flush=True)  # pyright: ignore


asyncio.run(main(*sys.argv[1:]))
