"""What the emulated Slack knows: apps, the workspaces they are installed in, people, channels, files."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from chamade_mcp.kit.clock import Clock

ALL_SCOPES: Final = frozenset(
    {
        "chat:write", "im:history", "im:read", "im:write", "channels:history", "channels:read",
        "groups:history", "groups:read", "mpim:history", "mpim:read", "users:read", "files:read",
        "files:write", "reactions:read", "reactions:write", "app_mentions:read",
    }
)  # fmt: skip
_BURST: Final = 10
"""So many posts in a channel within a second: more than Slack's "short bursts" of one a second."""
TEAM: Final = "Acme"


class Refusal(Exception):
    """``ok: false``, or with `retry_after` the status 429."""

    def __init__(self, error: str, retry_after: int | None = None, **more: object) -> None:
        super().__init__(error)
        self.error = error
        self.retry_after = retry_after
        self.more = more


@dataclass(slots=True)
class Person:
    id: str
    name: str
    team: str

    def to_wire(self) -> dict[str, Any]:
        lower = self.name.lower().replace(" ", ".")
        profile = {"real_name": self.name, "display_name": "", "real_name_normalized": self.name}
        about = {"id": self.id, "team_id": self.team, "name": lower, "real_name": self.name}
        return {**about, "deleted": False, "is_bot": False, "tz": "Europe/Paris", "profile": profile}


@dataclass(slots=True, eq=False)
class App:
    id: str
    name: str
    signing_secret: str
    app_token: str
    request_url: str = ""
    socket_mode: bool = True
    """Until a request URL is given, as who runs an app chooses one of the two."""
    redirect_urls: tuple[str, ...] = ()
    """Where people may come back to from installing it."""
    token_life_s: float | None = None
    """With token rotation: how long a token works."""

    @property
    def client_id(self) -> str:
        return f"1234567890.{self.id}"

    @property
    def client_secret(self) -> str:
        return f"c11e47{self.signing_secret}"


@dataclass(slots=True, eq=False)
class Bot:
    """An app in a workspace."""

    app: App
    team: str
    token: str
    user: str
    bot_id: str
    scopes: frozenset[str] = ALL_SCOPES

    def to_wire(self) -> dict[str, Any]:
        profile = {"real_name": self.app.name, "display_name": "", "bot_id": self.bot_id}
        about = {"id": self.user, "team_id": self.team, "name": self.app.name, "real_name": self.app.name}
        return {**about, "deleted": False, "is_bot": True, "tz": "", "profile": profile}


@dataclass(slots=True, eq=False)
class Channel:
    id: str
    kind: str
    """im, channel, group or mpim."""
    name: str
    team: str
    members: set[str]
    messages: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    """By ts, as they stand now."""
    archived: bool = False
    flood_until: float = 0.0
    posted_at: list[float] = field(default_factory=list[float])

    def to_wire(self, user: str) -> dict[str, Any]:
        about: dict[str, Any] = {
            "id": self.id, "is_im": self.kind == "im", "is_mpim": self.kind == "mpim",
            "is_channel": self.kind == "channel", "is_private": self.kind != "channel",
            "is_archived": self.archived, "is_member": user in self.members, "context_team_id": self.team,
        }  # fmt: skip
        others = sorted(self.members - {user})
        return about | ({"user": others[0]} if self.kind == "im" else {"name": self.name})


@dataclass(slots=True, eq=False)
class StoredFile:
    id: str
    name: str
    mime: str
    owner: str
    team: str
    size: int
    body: bytes | None = None
    """None while it is only announced."""
    title: str = ""
    ticket: str = ""
    shares: dict[str, dict[str, list[dict[str, Any]]]] = field(
        default_factory=dict[str, dict[str, list[dict[str, Any]]]]
    )

    def to_wire(self, base: str) -> dict[str, Any]:
        url = f"{base}/files-pri/{self.team}-{self.id}"
        return {
            "id": self.id, "name": self.name, "title": self.title or self.name, "mimetype": self.mime,
            "filetype": self.name.rpartition(".")[2], "user": self.owner, "size": self.size, "mode": "hosted",
            "is_external": False, "url_private": f"{url}/{self.name}", "shares": self.shares,
            "url_private_download": f"{url}/download/{self.name}",
        }  # fmt: skip


class World:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.base = ""
        """Where it is served; known with the first request."""
        self.bots: dict[str, Bot] = {}
        """By token."""
        self.apps: dict[str, App] = {}
        """By client id."""
        self.teams: dict[str, str] = {}
        """Names of workspaces by id."""
        self.spent: set[str] = set()
        """Tokens that were revoked."""
        self.ends: dict[str, float] = {}
        """When tokens that rotate no longer work."""
        self.refreshers: dict[str, Bot] = {}
        """Whose each refresh token is; each works once."""
        self.people: dict[str, Person] = {}
        self.channels: dict[str, Channel] = {}
        self.files: dict[str, StoredFile] = {}
        self.numbers = itertools.count(1000)

    def new_id(self, letter: str) -> str:
        return f"{letter}0{next(self.numbers):06d}E"

    def new_ts(self) -> str:
        return f"{int(self.clock.now().timestamp())}.{next(self.numbers):06d}"

    def authorised(self, token: str) -> Bot:
        if not token:
            raise Refusal("not_authed")
        if token in self.spent:
            raise Refusal("token_revoked")
        if token not in self.bots:
            raise Refusal("invalid_auth")
        if self.has_ended(token):
            raise Refusal("token_expired")
        return self.bots[token]

    def has_ended(self, token: str) -> bool:
        return self.ends.get(token, math.inf) <= self.clock.monotonic()

    def rotate(self, bot: Bot, life_s: float) -> dict[str, Any]:
        """Another token beside the one before, which works until its own end if it has one."""
        if bot.token not in self.ends:
            self.bots.pop(bot.token, None)
        bot.token, refresher = f"xoxe.xoxb-1-{next(self.numbers)}", f"xoxe-1-{next(self.numbers)}"
        self.bots[bot.token] = self.refreshers[refresher] = bot
        self.ends[bot.token] = self.clock.monotonic() + life_s
        return {"access_token": bot.token, "refresh_token": refresher, "expires_in": int(life_s)}

    def team_of(self, name: str) -> str:
        team = "T0" + "".join(f"{ord(letter):02X}" for letter in name[:4])
        self.teams[team] = name
        return team

    def new_app(self, name: str) -> App:
        number = next(self.numbers)
        app = App(self.new_id("A"), name, f"5ec4e7{number}", f"xapp-1-A{number}-1-abc")
        self.apps[app.client_id] = app
        return app

    def install(self, app: App, team: str, scopes: frozenset[str] = ALL_SCOPES) -> Bot:
        """Again is the same bot, with the same token, and what it may do added to."""
        for bot in self.bots.values():
            if (bot.app, bot.team) == (app, team):
                bot.scopes |= scopes
                return bot
        token = f"xoxb-{next(self.numbers)}-{app.id}"
        bot = Bot(app, team, token, self.new_id("U"), self.new_id("B"), scopes)
        self.bots[token] = bot
        return bot

    def revoke(self, bot: Bot) -> None:
        for token in [token for token, whose in self.bots.items() if whose is bot]:
            del self.bots[token]
            self.spent.add(token)

    def direct(self, bot: Bot, user: str) -> Channel:
        """Between the app and somebody."""
        members = {bot.user, user}
        for channel in self.channels.values():
            if channel.kind == "im" and channel.members == members:
                return channel
        return self.new_channel("im", "", bot.team, members)

    def new_channel(self, kind: str, name: str, team: str, members: set[str]) -> Channel:
        channel = Channel(self.new_id("D" if kind == "im" else "C"), kind, name, team, members)
        self.channels[channel.id] = channel
        return channel

    def open_channel(self, bot: Bot, ref: object) -> Channel:
        """One that the app can write in."""
        channel = self.channels.get(str(ref))
        if channel is None and str(ref) in self.people:
            channel = self.direct(bot, str(ref))  # Slack takes a person's id for their direct channel
        if channel is None or channel.team != bot.team:
            raise Refusal("channel_not_found")
        if bot.user not in channel.members:
            raise Refusal("not_in_channel" if channel.kind == "channel" else "channel_not_found")
        if channel.archived:
            raise Refusal("is_archived")
        return channel

    def count(self, channel: Channel) -> None:
        """Slack's patience with posts: about one a second in a channel, and what a test says of it."""
        now = self.clock.monotonic()
        channel.posted_at = [at for at in channel.posted_at if at > now - 1.0]
        wait = max(channel.flood_until - now, 1.0 if len(channel.posted_at) >= _BURST else 0.0)
        if wait > 0:
            raise Refusal("ratelimited", retry_after=int(wait) + 1)
        channel.posted_at.append(now)

    def stand(self, channel: Channel, message: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
        """A new message, as it stands in the channel."""
        told = {"type": "message", **message, "ts": self.new_ts(), "team": channel.team, **more}
        channel.messages[told["ts"]] = told
        return told
