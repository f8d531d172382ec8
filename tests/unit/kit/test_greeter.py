"""What a bot for everybody says at its door."""

from chamade_mcp.kit.greeter import Greeter
from chamade_mcp.kit.testing_bots import Nobody
from chamade_mcp.model.access import Scope
from chamade_mcp.model.ids import AccountId, AgentId, ConversationRef
from chamade_mcp.model.messages import Sender

ANN = Sender("ann", "Ann")
PLACE = ConversationRef("ann")


class Somebody(Nobody):
    async def redeem(self, token: str, sender: Sender, conversation: ConversationRef) -> Scope | None:
        return Scope(AccountId("acc_1"), AgentId("agt_1")) if (token, sender) == ("good", ANN) else None


async def test_a_token_is_welcome_or_spent() -> None:
    greeter = Greeter(Somebody(), "This bot")
    assert (await greeter.redeem("good", ANN, PLACE)).startswith("You are connected")
    assert (await greeter.redeem("old", ANN, PLACE)).startswith("This link has expired or was used")


def test_a_stranger_is_told_once() -> None:
    greeter = Greeter(Nobody(), "This number")
    assert greeter.turn_away(ANN).startswith("This number speaks for agents of a gateway")
    assert greeter.turn_away(ANN) == ""
    for number in range(1000):
        assert greeter.turn_away(Sender(str(number), "")) != ""
    assert greeter.turn_away(ANN) != ""
