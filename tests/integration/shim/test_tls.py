"""The shims over TLS: with a certificate they can trust, and with one they cannot."""

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.shim import running_shim
from tests.support.streamable import Endpoint, open_endpoint


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1 that signs itself, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    path = tmp_path / "authority.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
async def secure(authority: Path) -> AsyncGenerator[Endpoint]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority)
    async with open_endpoint(context) as endpoint:
        yield endpoint


async def test_a_trusted_gateway(twin: str, secure: Endpoint, authority: Path) -> None:
    trust = {"SSL_CERT_FILE": str(authority), "NODE_EXTRA_CA_CERTS": str(authority)}
    async with running_shim(twin, secure.url, "--stateful", **trust) as shim:
        await shim.initialize()
        await secure.listening()
        text = "x" * 1_000_000
        assert (await shim.result(shim.call("echo", text=text)))["content"][0]["text"] == text
        secure.push("hello")
        await secure.stop()
        await secure.start()
        await secure.listening()
        secure.push("again")
        await shim.result(shim.ask("ping"))
        assert await shim.end() == 0
        assert shim.pushed() == ["hello", "again"]
        assert secure.sessions == {}


async def test_a_gateway_that_nobody_vouches_for(twin: str, secure: Endpoint) -> None:
    async with running_shim(twin, secure.url) as shim:
        error = await shim.error(shim.ask("ping"), bound_s=5)
        assert "its certificate is not trusted" in error["message"]
        assert (error["data"]["action"], error["data"]["outcome"]) == ("ask_human", "not_done")
        await shim.said("its certificate is not trusted")
        assert secure.seen == []


async def test_a_gateway_that_speaks_no_tls(twin: str) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        async with running_shim(twin, f"https://127.0.0.1:{port}") as shim:
            asked = shim.call("act")
            await shim.said("does it speak http:// only?")
            # It was not sent, so it may be tried again.
            assert not shim.answers(asked)
