"""What a reader takes for one character: an emoji with its skin and its family, a letter with its accents."""

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

_JOINER: Final = "\u200d"
_FLAG: Final = re.compile("[\U0001f1e6-\U0001f1ff]")
_ADDED: Final = re.compile(
    "[\u200c\u200d\ufe00-\ufe0f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f\U000e0100-\U000e01ef]"
)
_JAMO: Final = re.compile("[\u1100-\u11ff\ua960-\ua97f\ud7b0-\ud7ff]")
"""Parts of a Korean syllable that follow each other."""
_MARKS: Final = ("Mn", "Mc", "Me")


def graphemes(text: str) -> Iterator[str]:
    """Never parts what Unicode keeps together (UAX 29), but may keep together what it would part."""
    cluster = ""
    flags = 0
    for char in text:
        is_flag = _FLAG.match(char) is not None
        if cluster and not (_continues(cluster, char) or (is_flag and flags % 2)):
            yield cluster
            cluster = ""
        flags = flags + 1 if is_flag else 0
        cluster += char
    if cluster:
        yield cluster


def _continues(cluster: str, char: str) -> bool:
    if char.isascii():
        return cluster[-1] == "\r" and char == "\n"
    if cluster[-1] == _JOINER or _ADDED.match(char) or unicodedata.category(char) in _MARKS:
        return True
    # A block of Hangul syllables may be followed by its final consonant as a jamo.
    return _JAMO.match(char) is not None and (
        _JAMO.match(cluster[-1]) is not None or "가" <= cluster[-1] <= "힣"
    )
