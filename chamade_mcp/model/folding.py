"""Names as people search for them: without case, accents, or the width of letters."""

import unicodedata


def fold(text: str) -> str:
    """The same of `ZOË`, `Zoe` and the full-width letters of either; in one line, words one space apart."""
    if text.isascii():
        return " ".join(text.lower().split())
    apart = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(letter for letter in apart if not unicodedata.combining(letter))
    return " ".join(bare.casefold().split())
