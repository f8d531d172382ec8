"""Code with its comments, strings, words and names told apart: four colours are enough."""

from collections.abc import Mapping
from html import escape
from itertools import groupby
from typing import Final

from pygments.lexer import Lexer
from pygments.lexers.configs import IniLexer, TOMLLexer
from pygments.lexers.data import JsonLexer, YamlLexer
from pygments.lexers.python import PythonLexer
from pygments.lexers.shell import BashLexer
from pygments.token import Comment, Keyword, Name, String

_BASH: Final = BashLexer()
_LEXERS: Final[Mapping[str, Lexer]] = {
    "bash": _BASH,
    "ini": IniLexer(),
    "json": JsonLexer(),
    "python": PythonLexer(),
    "sh": _BASH,
    "toml": TOMLLexer(),
    "yaml": YamlLexer(),
}
_CLASSES: Final = ((Comment, "c"), (Name.Tag, "n"), (Name.Variable, "n"), (String, "s"), (Keyword, "k"))


def highlighted(code: str, language: str) -> str:
    """`code` as HTML, escaped. In a language that is not known all of it is alike."""
    lexer = _LEXERS.get(language)
    if lexer is None:
        return escape(code, quote=False)
    told = (
        (next((name for family, name in _CLASSES if kind in family), ""), text)
        for kind, text in lexer.get_tokens(code)
    )
    done: list[str] = []
    for name, run in groupby(told, key=lambda part: part[0]):
        text = escape("".join(part for _, part in run), quote=False)
        done.append(f'<span class="{name}">{text}</span>' if name else text)
    return "".join(done)
