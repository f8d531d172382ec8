"""Sealed columns and derived keys."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chamade_mcp.store.secrets import SealBroken, SecretBox, token_hash

BOX = SecretBox("the gateway's key")
WORDS = st.text(st.characters(exclude_categories=["Cs"]))


@given(WORDS, WORDS)
def test_what_is_sealed_can_be_opened(purpose: str, text: str) -> None:
    sealed = BOX.seal(purpose, text)
    assert BOX.open(purpose, sealed) == text
    assert SecretBox("the gateway's key").open(purpose, sealed) == text


def test_the_same_text_is_never_sealed_alike() -> None:
    assert len({BOX.seal("p", "text") for _ in range(100)}) == 100
    assert b"text" not in BOX.seal("p", "text")


def test_only_the_same_key_and_purpose_open_it() -> None:
    sealed = BOX.seal("calls.meeting_url", "https://example.org")
    for box, purpose in ((BOX, "calls.caller"), (BOX, ""), (SecretBox("another"), "calls.meeting_url")):
        with pytest.raises(SealBroken):
            box.open(purpose, sealed)


@given(st.data())
def test_a_changed_seal_is_broken(data: st.DataObject) -> None:
    sealed = bytearray(BOX.seal("p", "a meeting's URL"))
    position = data.draw(st.integers(0, len(sealed) - 1))
    sealed[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SealBroken):
        BOX.open("p", bytes(sealed))


@given(st.binary(max_size=40))
def test_what_was_never_sealed_is_broken(junk: bytes) -> None:
    with pytest.raises(SealBroken):
        BOX.open("p", junk)


def test_derived_keys() -> None:
    assert len(BOX.derive("web")) == 32
    assert BOX.derive("web") == SecretBox("the gateway's key").derive("web")
    assert len({BOX.derive("web"), BOX.derive("api"), SecretBox("other").derive("web")}) == 3
    assert "the gateway's key" not in repr(BOX)


def test_a_token_is_kept_as_its_hash() -> None:
    assert token_hash("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert len(token_hash("half a character \ud800")) == 64
