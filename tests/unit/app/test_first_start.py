import re
from pathlib import Path

import pytest

from chamade_mcp.app.first_start import OWNER_EMAIL, claude_command, make_owner, tell
from chamade_mcp.app.local import open_accounts
from chamade_mcp.app.settings import Settings
from chamade_mcp.core.sign_ins import NO_DEVICE

KEY = "chmd_Ab3dEfGh4j_" + "k" * 32
CLAIM = "https://a-rather-long-name.of-a-host.voice.example.org/welcome/" + "t" * 43


async def test_the_first_start_makes_an_account_that_a_person_makes_theirs(tmp_path: Path) -> None:
    async with open_accounts(Settings(data_dir=tmp_path)) as local:
        accounts, joining = local.accounts, local.members.joining
        key = await make_owner(accounts)
        assert key is not None
        owner = await accounts.authenticate(key)
        assert owner.email_verified
        before, link = await joining.claim_link(), await joining.claim_link()
        assert before is not None
        assert link is not None
        assert await joining.look(before.rpartition("/")[2]) is None
        session = await joining.join(
            link.rpartition("/")[2], "Ann@example.org", "Ann", "a few good words", NO_DEVICE
        )
        assert (await accounts.authenticate_session(session)).account == owner.account
        profile = await accounts.profile(owner)
        assert (profile["email"], profile["name"]) == ("ann@example.org", "Ann")
        await accounts.sign_in("ann@example.org", "a few good words")
        assert (await accounts.authenticate(key)).account == owner.account
        assert await make_owner(accounts) is None
        assert await joining.claim_link() is None
        assert not await joining.unclaimed()


async def test_the_owner_of_what_lasts_a_moment_has_a_password_at_once(tmp_path: Path) -> None:
    async with open_accounts(Settings(data_dir=tmp_path)) as local:
        assert await make_owner(local.accounts, "long enough words") is not None
        await local.accounts.sign_in(OWNER_EMAIL, "long enough words")
        assert await local.members.joining.claim_link() is None


def test_what_is_to_be_copied_stands_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    settings = Settings(public_url="https://a-rather-long-name.of-a-host.voice.example.org")
    tell(settings, KEY, CLAIM)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == claude_command(settings.public_url, KEY)
    assert CLAIM in lines
    text = "\n".join(lines)
    for told in (settings.public_url, KEY):
        assert any(told in line for line in lines[:-1]), text


def test_later_starts_tell_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    tell(Settings(), None, None)
    out = capsys.readouterr().out
    assert "http://127.0.0.1:8000" in out
    assert "key create --data-dir" in out
    assert "chmd_" not in out
    assert "/welcome/" not in out


def test_the_link_is_told_until_somebody_has_followed_it(capsys: pytest.CaptureFixture[str]) -> None:
    tell(Settings(), None, CLAIM)
    assert CLAIM in capsys.readouterr().out.splitlines()


def test_the_header_comes_last_as_it_takes_every_word_after_it() -> None:
    assert re.fullmatch(
        r'claude mcp add --transport http chamade https://x/mcp/ --header "Authorization: Bearer chmd_k"',
        claude_command("https://x", "chmd_k"),
    )
