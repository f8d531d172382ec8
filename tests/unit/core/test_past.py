"""What a page is shown of a conversation again."""

from chamade_mcp.kit.connector import PastReaction
from chamade_mcp.kit.testing import SCRIPTED
from chamade_mcp.model.facts import DeliveryChanged, MessageDeleted, MessageEdited, Reacting, ReactionChanged
from chamade_mcp.model.ids import ConversationRef, MessageRef
from chamade_mcp.model.messages import DeliveryState, Sender
from tests.support.house import House

ALICE, HERS = ConversationRef("alice"), MessageRef("m1")


async def test_messages_are_shown_as_they_are_now(house: House) -> None:
    owner = await house.owner()
    await house.platform.write(owner.scope, "hello", ref=HERS)
    await house.platform.write(owner.scope, "secret", ref=MessageRef("m2"))
    hers = (await house.inbox.detail(owner, SCRIPTED))["conversations"][0]["messages"][0]["id"]
    await house.inbox.send(owner, SCRIPTED, "answer", reply_to=hers)
    sent = f"sent-{house.platform.delivered[0][1].key}"
    await house.inbox.changes.react(owner, hers, "👍", on=True)
    alice = Sender("alice", "Alice")
    for fact in (
        MessageEdited(ALICE, HERS, "hello there"),
        MessageDeleted(ALICE, MessageRef("m2")),
        ReactionChanged(ALICE, MessageRef(sent), alice, Reacting.ADDED, ("❤️",)),
        DeliveryChanged(ALICE, sent, DeliveryState.READ),
    ):
        await house.platform.tell(owner.scope, fact)
    await house.platform.write(owner.scope, "thanks", ref=MessageRef("m3"), reply_to=MessageRef(sent))

    past = await house.context(SCRIPTED).history.recent(owner.scope, ALICE, 10)
    first, second, answer, thanks = past
    assert (first.key, first.text, first.edited_at, first.state) == (
        "m1",
        "hello there",
        house.clock.now(),
        None,
    )
    assert first.reactions == (PastReaction("👍", "", ""),)
    assert (second.key, second.text, second.deleted) == ("m2", "", True)
    assert (answer.key, answer.reply_to, answer.state) == (sent, "m1", DeliveryState.READ)
    assert answer.reactions == (PastReaction("❤️", "alice", "Alice"),)
    assert (thanks.reply_to, thanks.deleted) == (sent, False)
