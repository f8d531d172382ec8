from pathlib import Path

import pytest

from chamade_mcp.app.first_start import OWNER_EMAIL, Welcome, claude_command, make_owner, tell
from chamade_mcp.app.local import open_accounts
from chamade_mcp.app.settings import Settings

KEY = "chmd_Ab3dEfGh4j_" + "k" * 32


async def test_the_first_start_makes_an_owner_who_can_get_in(tmp_path: Path) -> None:
    async with open_accounts(Settings(data_dir=tmp_path)) as accounts:
        welcome = await make_owner(accounts)
        assert welcome is not None
        assert welcome.email == OWNER_EMAIL
        owner = await accounts.authenticate(welcome.key)
        assert owner.email_verified
        session = await accounts.sign_in(welcome.email, welcome.password)
        assert (await accounts.authenticate_session(session)).account == owner.account
        assert await make_owner(accounts) is None


def test_what_is_to_be_copied_stands_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    settings = Settings(public_url="https://a-rather-long-name.of-a-host.voice.example.org")
    tell(settings, Welcome(OWNER_EMAIL, "pass-word", KEY))
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == claude_command(settings.public_url, KEY)
    text = "\n".join(lines)
    for told in (settings.public_url, OWNER_EMAIL, "pass-word", KEY):
        assert any(told in line for line in lines[:-1]), text


def test_later_starts_tell_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    tell(Settings(), None)
    out = capsys.readouterr().out
    assert "http://127.0.0.1:8000" in out
    assert "key create --data-dir" in out
    assert "chmd_" not in out
    assert OWNER_EMAIL not in out


def test_the_header_comes_last_as_it_takes_every_word_after_it() -> None:
    assert claude_command("https://x", "chmd_k") == (
        'claude mcp add --transport http chamade https://x/mcp/ --header "Authorization: Bearer chmd_k"'
    )
