"""The OpenAPI document as the gateway would serve it, without serving."""

import tempfile
from pathlib import Path

import httpx2

from chamade_mcp.app.settings import Settings
from chamade_mcp.app.wiring import build


async def openapi_document(settings: Settings) -> str:
    """JSON. Builds a gateway in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="chamade-") as folder:
        place = {
            "data_dir": Path(folder),
            "database_url": f"sqlite:///{folder}/chamade.db",
            "secret_key": None,
        }
        async with build(settings.model_copy(update=place)) as gateway:
            transport = httpx2.ASGITransport(app=gateway.app)
            async with httpx2.AsyncClient(transport=transport, base_url=settings.public_url) as client:
                answer = await client.get("/openapi.json")
                answer.raise_for_status()
                return answer.text
