"""What a manifest says of a platform's text, without the libraries that write it."""

from enum import StrEnum


class Format(StrEnum):
    """The field `format` of a manifest."""

    MARKDOWN = "markdown"
    """As the agent wrote it: the reader's page renders it, and escapes it there."""
    PLAIN = "plain"
    TELEGRAM_HTML = "telegram_html"
    SLACK = "mrkdwn"
    WHATSAPP = "whatsapp_text"
    DISCORD = "discord_markdown"
    TEAMS = "teams_markdown"
    NEXTCLOUD_TALK = "talk_markdown"


class Unit(StrEnum):
    """The field `text_unit` of a manifest."""

    CHARACTERS = "characters"
    """Code points."""
    UTF16 = "utf16"
    """Code units: an emoji has two or more."""
    BYTES = "bytes"
    """Of UTF-8."""
