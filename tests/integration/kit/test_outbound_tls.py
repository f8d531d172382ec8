"""The connection goes to an address, the certificate has to be the name's: over real TLS on loopback."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from chamade_mcp.kit.outbound import Failed, Outbound

PUBLIC = "93.184.215.14"
_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


def write_certificate(folder: Path, name: str) -> Path:
    """A certificate for `name` that signs itself, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(minutes=5))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    path = folder / "server.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    return path


class Detour(httpx2.AsyncBaseTransport):
    """Real connections, but all of them to one port on loopback."""

    def __init__(self, port: int, trusted: Path) -> None:
        self._port = port
        self._inner = httpx2.AsyncHTTPTransport(verify=ssl.create_default_context(cafile=trusted))

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        assert request.url.host == PUBLIC
        request.url = request.url.copy_with(host="127.0.0.1", port=self._port)
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


@asynccontextmanager
async def tls_server(certificate: Path, heads: list[bytes]) -> AsyncGenerator[int]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(_ANSWER)
        await writer.drain()
        writer.close()

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def resolve(host: str, port: int) -> Sequence[str]:
    return (PUBLIC,)


@pytest.mark.parametrize(("name", "trusted"), [("client.example", True), ("other.example", False)])
async def test_the_certificate_is_the_names(tmp_path: Path, name: str, trusted: bool) -> None:
    certificate = write_certificate(tmp_path, name)
    heads: list[bytes] = []
    async with tls_server(certificate, heads) as port:
        outbound = Outbound(resolve=resolve, transport=Detour(port, certificate))
        asked = outbound.get(
            "https://client.example/metadata.json", accept="application/json", max_bytes=100, timeout_s=5
        )
        if trusted:
            assert (await asked).body == b"{}"
            assert b"\r\nhost: client.example\r\n" in heads[0].lower()
        else:
            with pytest.raises(Failed):
                await asked
            assert heads == []
