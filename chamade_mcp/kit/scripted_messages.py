"""The direct messages of the scripted platform of `kit.testing`, with every facet there is."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from chamade_mcp.kit.connector import Context, Invite, InviteKind
from chamade_mcp.model.access import Scope
from chamade_mcp.model.errors import PlatformRefused
from chamade_mcp.model.ids import ConversationRef, MessageRef
from chamade_mcp.model.messages import Delivery, Outgoing

URL = "https://scripted.test/"


@dataclass(slots=True)
class ScriptedMessages:
    """A `Messages`, and what became of them. `answer` is what the platform says to a new message."""

    context: Callable[[], Context]
    pause: Callable[[], Awaitable[None]]
    """What stands between the gateway and the platform: raises what is to go wrong."""
    answer: Callable[[Outgoing], Awaitable[Delivery]]
    delivered: list[tuple[ConversationRef, Outgoing]] = field(
        default_factory=list[tuple[ConversationRef, Outgoing]]
    )
    """Those that arrived, each key once, as they read now."""
    keys: set[str] = field(default_factory=set[str])
    """Theirs, and those of any that were taken back since: not to look through all of them."""
    typed: list[ConversationRef] = field(default_factory=list[ConversationRef])
    reactions: dict[MessageRef, list[str]] = field(default_factory=dict[MessageRef, list[str]])
    """The agent's, by the message they are on."""
    nudged: dict[str, tuple[ConversationRef, str]] = field(
        default_factory=dict[str, tuple[ConversationRef, str]]
    )
    """Whom, and the preview, by key."""
    nudge_error: Exception | None = None

    async def send(self, to: ConversationRef, message: Outgoing) -> Delivery:
        delivery = await self.answer(message)
        if not self.delivered:
            self.keys.clear()  # who looks has put away what was there, and wants to see it come again
        if message.key not in self.keys:
            self.keys.add(message.key)
            self.delivered.append((to, message))
        return delivery

    async def edit(self, to: ConversationRef, ref: MessageRef, message: Outgoing) -> None:
        await self.pause()
        at, sent = self._find(to, ref)
        self.delivered[at] = to, sent._replace(text=message.text, markdown=message.markdown)

    async def delete(self, to: ConversationRef, ref: MessageRef) -> None:
        await self.pause()
        self.delivered = [(who, sent) for who, sent in self.delivered if (who, ref_of(sent)) != (to, ref)]

    async def react(self, to: ConversationRef, ref: MessageRef, emoji: str, *, on: bool) -> None:
        await self.pause()
        put = [one for one in self.reactions.get(ref, []) if one != emoji]
        self.reactions[ref] = [*put, emoji] if on else put

    async def nudge(self, to: ConversationRef, key: str, preview: str) -> None:
        if self.nudge_error is not None:
            raise self.nudge_error
        self.nudged.setdefault(key, (to, preview))

    async def typing(self, to: ConversationRef) -> None:
        self.typed.append(to)

    async def invite(self, scope: Scope, agent_name: str) -> tuple[str, Invite]:
        token, invite = await self.context().invites.issue(
            scope, InviteKind.CHAT, title=f"Chat with {agent_name}", agent_name=agent_name
        )
        return URL + token, invite

    def _find(self, to: ConversationRef, ref: MessageRef) -> tuple[int, Outgoing]:
        for at, (who, sent) in enumerate(self.delivered):
            if (who, ref_of(sent)) == (to, ref):
                return at, sent
        raise PlatformRefused("There is no such message")


def ref_of(message: Outgoing) -> MessageRef:
    """The platform's id of it."""
    return MessageRef(f"sent-{message.key}")
