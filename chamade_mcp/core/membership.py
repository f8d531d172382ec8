"""All by which people have accounts here, as one object."""

from dataclasses import dataclass

from chamade_mcp.core.accounts import Accounts
from chamade_mcp.core.addresses import Addresses
from chamade_mcp.core.first_steps import FirstSteps
from chamade_mcp.core.joining import Joining
from chamade_mcp.core.letters import Letters
from chamade_mcp.core.passkeys import Passkeys
from chamade_mcp.kit.clock import Clock
from chamade_mcp.kit.mail import Post
from chamade_mcp.store.database import Database


@dataclass(frozen=True, slots=True)
class Membership:
    letters: Letters
    joining: Joining
    addresses: Addresses
    passkeys: Passkeys
    first_steps: FirstSteps

    async def stop(self) -> None:
        await self.joining.stop()
        await self.addresses.stop()
        await self.letters.stop()


def membership(
    database: Database,
    clock: Clock,
    accounts: Accounts,
    *,
    public_url: str,
    key: bytes,
    post: Post | None = None,
    sign_up_open: bool = False,
) -> Membership:
    """Without a `post` no mail is sent; `key` marks what is asked of passkeys."""
    letters = Letters(post, public_url, clock)
    return Membership(
        letters,
        Joining(database, clock, accounts, letters, is_open=sign_up_open),
        Addresses(database, clock, accounts, letters),
        Passkeys(database, clock, accounts, letters, public_url=public_url, key=key),
        FirstSteps(database, clock),
    )
