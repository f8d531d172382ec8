"""Where the gateway's mail arrives: in memory, or at a small SMTP server on a free port of this machine."""

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy

from chamade_mcp.kit.mail import Mail, MailFailed
from tests.support.waiting import until


@dataclass(slots=True)
class Letterbox:
    """A `Post`. What is in `refusals` is raised first, one for each mail."""

    mails: list[Mail] = field(default_factory=list[Mail])
    refusals: list[MailFailed] = field(default_factory=list[MailFailed])

    async def send(self, mail: Mail) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        self.mails.append(mail)

    async def link_to(self, address: str, place: str) -> str:
        """The newest link that begins with `place`, once it is there."""
        await until(lambda: self._link(address, place) is not None)
        found = self._link(address, place)
        assert found is not None
        return found

    async def token_to(self, address: str, place: str) -> str:
        return (await self.link_to(address, place)).rpartition("/")[2]

    def subjects(self, address: str) -> list[str]:
        return [mail.subject for mail in self.mails if mail.to == address]

    def _link(self, address: str, place: str) -> str | None:
        for mail in reversed(self.mails):
            found = re.search(rf"^https?://[^/\s]+{place}(/\S+)?$", mail.text, re.M)
            if mail.to == address and found:
                return found[0]
        return None


@dataclass(slots=True)
class Sink:
    box: Letterbox
    url: str
    """For CHAMADE_SMTP_URL."""
    senders: list[str] = field(default_factory=list[str])
    logins: list[str] = field(default_factory=list[str])
    refusal: str = ""
    """What the next recipients are answered instead of 250."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def say(line: str) -> None:
            writer.write(line.encode() + b"\r\n")

        say("220 sink")
        to = ""
        while line := (await reader.readline()).decode().strip():
            verb, _, rest = line.partition(" ")
            match verb.upper():
                case "EHLO" | "HELO":
                    say("250-sink")
                    say("250 AUTH PLAIN")
                case "AUTH":
                    self.logins.append(rest)
                    say("235 in")
                case "MAIL":
                    self.senders.append(rest)
                    say("250 ok")
                case "RCPT":
                    to = rest.partition("<")[2].partition(">")[0]
                    say(self.refusal or "250 ok")
                case "DATA":
                    say("354 go on")
                    raw = await reader.readuntil(b"\r\n.\r\n")
                    self._take(to, raw[:-3].replace(b"\r\n..", b"\r\n."))
                    say("250 taken")
                case "QUIT":
                    say("221 bye")
                    break
                case _:
                    say("250 ok")
        writer.close()

    def _take(self, to: str, raw: bytes) -> None:
        message = message_from_bytes(raw, policy=policy.default)
        self.box.mails.append(Mail(to, str(message["subject"]), message.get_content().replace("\r\n", "\n")))


@asynccontextmanager
async def smtp_sink(host: str = "127.0.0.1") -> AsyncGenerator[Sink]:
    sink = Sink(Letterbox(), "")
    server = await asyncio.start_server(sink.serve, host, 0)
    sink.url = f"smtp://{host}:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield sink
