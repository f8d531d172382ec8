"""What a file is called, and what it is."""

import pytest

from chamade_mcp.core.file_types import INLINE, OCTETS, clean_mime, settled

BEGINNINGS = {
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/jpeg": b"\xff\xd8\xff\xe0",
    "image/gif": b"GIF89a",
    "image/webp": b"RIFF\x10\x00\x00\x00WEBPVP8 ",
    "audio/wav": b"RIFF\x10\x00\x00\x00WAVEfmt ",
    "audio/mpeg": b"\xff\xfb\x90\x00",
    "audio/aac": b"\xff\xf1\x50\x80",
    "audio/flac": b"fLaC\x00",
    "audio/ogg": b"OggS\x00\x02",
    "video/ogg": b"OggS\x00\x02",
    "audio/webm": b"\x1a\x45\xdf\xa3",
    "video/webm": b"\x1a\x45\xdf\xa3",
    "audio/mp4": b"\x00\x00\x00\x20ftypM4A ",
    "video/mp4": b"\x00\x00\x00\x20ftypisom",
    "video/quicktime": b"\x00\x00\x00\x14ftypqt  ",
    "text/plain": "Grüße\r\n\t\x1b[1m".encode(),
}
PAGE = b"<html><script>alert(1)</script>"


def test_every_type_that_is_shown_in_place_is_told_by_its_beginning() -> None:
    assert set(BEGINNINGS) == INLINE
    for mime, head in BEGINNINGS.items():
        assert settled(mime, head) == mime
        if mime != "text/plain":
            assert settled(mime, PAGE) == settled(mime, b"") == OCTETS


@pytest.mark.parametrize("mime", ["text/html", "image/svg+xml", "application/pdf", "application/javascript"])
def test_nothing_that_can_run_is_shown_in_place(mime: str) -> None:
    assert mime not in INLINE
    assert settled(mime, PAGE) == mime


def test_one_kind_is_not_another() -> None:
    assert settled("image/png", BEGINNINGS["image/jpeg"]) == OCTETS
    assert settled("audio/mpeg", BEGINNINGS["audio/aac"]) == OCTETS
    assert settled("audio/mpeg", b"ID3\x04") == "audio/mpeg"
    assert settled("text/plain", b"MZ\x90\x00") == OCTETS
    assert settled("text/plain", b"") == "text/plain"


def test_what_nobody_named_is_named_when_it_is_plain() -> None:
    assert settled(OCTETS, BEGINNINGS["image/png"]) == "image/png"
    assert settled(OCTETS, BEGINNINGS["audio/wav"]) == "audio/wav"
    assert settled(OCTETS, b"hello") == OCTETS


@pytest.mark.parametrize(
    ("told", "kept"),
    [("IMAGE/JPG", "image/jpeg"), ("audio/x-wav; rate=8", "audio/wav"), ("audio/mp3", "audio/mpeg")],
)
def test_other_names_of_the_same(told: str, kept: str) -> None:
    assert clean_mime(told) == kept
