"""Sending mail over SMTP, by the standard library in a thread: a few a day, each awaited by nobody."""

import asyncio
import re
import smtplib
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid
from typing import Final, Protocol
from urllib.parse import unquote, urlsplit

TIMEOUT_S: Final = 20.0
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_PORTS: Final = {"smtp": 587, "smtps": 465}


# ASCII and nothing that a mail's header would take apart. One's own network has names without a dot.
_LOCAL: Final = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}"
_ADDRESS: Final = re.compile(rf"{_LOCAL}@(?=.{{1,189}}$)[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")


def is_email(text: str) -> bool:
    return _ADDRESS.fullmatch(text) is not None


class MailFailed(Exception):
    """It was not taken. `again`: it may be later. The text is for the log and names no content."""

    def __init__(self, words: str, *, again: bool) -> None:
        super().__init__(words)
        self.again = again


@dataclass(frozen=True, slots=True)
class Mail:
    to: str
    """One address, ASCII without spaces."""
    subject: str
    text: str = field(repr=False)


class Post(Protocol):
    async def send(self, mail: Mail) -> None:
        """Returns once a server has taken it. Raises `MailFailed`."""
        ...


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Where mail is handed in. Encrypted from the start (`smtps`), or before anything is said (`smtp`)."""

    host: str
    port: int
    at_once: bool
    """TLS from the first byte."""
    user: str = ""
    password: str = field(default="", repr=False)

    @property
    def is_here(self) -> bool:
        """On this machine: nobody listens on the way, and such servers have no certificate."""
        return self.host in _LOOPBACK


def parse_server(url: str) -> SmtpServer:
    """``smtp://user:password@host:587`` or ``smtps://...:465``. Raises `ValueError` without secrets."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise ValueError("is not a URL; such as smtp://user:password@mail.example.org:587") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError("must start with smtp:// or smtps:// and name a host")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("must be scheme, user, password, host and port only")
    return SmtpServer(
        parts.hostname,
        port or _PORTS[parts.scheme],
        parts.scheme == "smtps",
        unquote(parts.username or ""),
        unquote(parts.password or ""),
    )


class SmtpPost:
    """`sender` is the address that mails come from."""

    def __init__(self, server: SmtpServer, sender: str) -> None:
        self._server = server
        self._sender = sender

    async def send(self, mail: Mail) -> None:
        message = EmailMessage(policy=SMTP)
        message["From"] = f"Chamade <{self._sender}>"
        message["To"] = mail.to
        message["Subject"] = mail.subject
        message["Date"] = formatdate()
        message["Message-ID"] = make_msgid(domain=self._sender.rpartition("@")[2])
        # Answering machines must not answer (RFC 3834).
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(mail.text)
        try:
            await asyncio.to_thread(self._hand_in, message)
        except smtplib.SMTPResponseException as error:
            raise MailFailed(f"{error.smtp_code}", again=error.smtp_code < 500) from None
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            raise MailFailed(f"recipient refused, {codes}", again=all(code < 500 for code in codes)) from None
        except (smtplib.SMTPException, OSError) as error:
            raise MailFailed(type(error).__name__, again=not isinstance(error, ssl.SSLError)) from None

    def _hand_in(self, message: EmailMessage) -> None:
        server, context = self._server, ssl.create_default_context()
        if server.at_once:
            client: smtplib.SMTP = smtplib.SMTP_SSL(
                server.host, server.port, timeout=TIMEOUT_S, context=context
            )
        else:
            client = smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_S)
        with client:
            if not server.at_once and not server.is_here:
                client.starttls(context=context)
            if server.user:
                client.login(server.user, server.password)
            client.send_message(message)
