"""What the gateway writes to the people who have accounts on it, and how it gets to them.

Without a mail server a link stands in the log, for whoever runs the gateway to hand on. Where the gateway is
only on this machine it may also be shown on the page of the one who asked.
"""

import logging
from typing import Final
from urllib.parse import urlsplit

from chamade_mcp.core.behind import Behind
from chamade_mcp.kit.clock import Clock
from chamade_mcp.kit.mail import Mail, MailFailed, Post

log = logging.getLogger(__name__)

WELCOME, PASSWORD, EMAIL = "/welcome", "/new-password", "/new-email"
"""Where the links lead; a token stands behind each."""
SIGN_IN: Final = "/sign-in"
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_PAUSES_S: Final = (5.0, 60.0, 600.0)
_NOT_YOU: Final = "If it was not you, sign in, choose another password and look at who is signed in: {url}"
_IGNORE: Final = "If you did not ask for this, do nothing: without the link nothing happens."


class Letters:
    def __init__(self, post: Post | None, public_url: str, clock: Clock) -> None:
        self._post = post
        self._url = public_url
        self._clock = clock
        # Nobody waits: how long an answer takes must not tell whether there was somebody to write to.
        self._behind = Behind()

    @property
    def sends(self) -> bool:
        """Whether there is a mail server."""
        return self._post is not None

    def link(self, place: str, token: str = "") -> str:
        return f"{self._url}{place}/{token}".rstrip("/")

    def shown(self, link: str) -> str | None:
        """`link` where its own page may show it: no mail is sent, and nobody else can be reading here."""
        local = self._post is None and (urlsplit(self._url).hostname or "") in _LOOPBACK
        return link if local else None

    # --- the letters ---------------------------------------------------------------------------------------

    def invite(self, to: str, link: str, inviter: str) -> None:
        text = f"{inviter} invites you to the Chamade gateway at {self._url}. Within a week, go on here:"
        self._send_link(to, "You are invited to Chamade", text, link)

    def sign_up(self, to: str, link: str) -> None:
        text = f"You asked for an account at {self._url}. Within a day, go on here:"
        self._send_link(to, "Your account on Chamade", text, link)

    def have_one(self, to: str) -> None:
        """To somebody who has an account and asked for one: as long on its way as any other letter."""
        text = f"You asked for an account at {self._url}, and you have one already. Sign in here:"
        self._send_link(to, "You have an account on Chamade", text, self.link(SIGN_IN))

    def prove(self, to: str, link: str) -> None:
        text = f"Confirm that this is the address of your account at {self._url}. Within a day:"
        self._send_link(to, "Confirm your e-mail address", text, link)

    def new_password(self, to: str, link: str) -> None:
        text = f"Choose a new password for your account at {self._url}. Within half an hour:"
        self._send_link(to, "A new password for Chamade", text, link)

    def changed(self, to: str, what: str) -> None:
        """`what` is a sentence that tells what has happened to the account."""
        if self._post is not None:
            text = f"{what}\n\n{_NOT_YOU.format(url=f'{self._url}/dashboard/account')}\n"
            self._behind.begin(self._deliver(Mail(to, "Your account on Chamade was changed", text)))

    def _send_link(self, to: str, subject: str, text: str, link: str) -> None:
        if self._post is None:
            log.info("no mail server is set (CHAMADE_SMTP_URL). %s, for %s: %s", subject, to, link)
        else:
            self._behind.begin(self._deliver(Mail(to, subject, f"{text}\n\n{link}\n\n{_IGNORE}\n")))

    # --- their way -----------------------------------------------------------------------------------------

    async def _deliver(self, mail: Mail) -> None:
        assert self._post is not None
        for pause_s in (*_PAUSES_S, None):
            try:
                await self._post.send(mail)
            except MailFailed as error:
                log.warning("a mail (%s) was not taken: %s", mail.subject, error)
                if not error.again or pause_s is None:
                    return
                await self._clock.sleep(pause_s)
            else:
                return

    async def stop(self) -> None:
        """What is under way gets a moment; what waits for its next try is given up."""
        await self._behind.done(within_s=2)
