"""Emoji by the names that Slack has for them, and back.

Most are called as Unicode calls them (``rocket`` is U+1F680 ROCKET); those in common use that are not stand
here.
"""

import unicodedata
from typing import Final

_NAMES: Final = {
    "👍": "+1",
    "👎": "-1",
    "❤": "heart",
    "🎉": "tada",
    "😀": "grinning",
    "😂": "joy",
    "😄": "smile",
    "😃": "smiley",
    "😆": "laughing",
    "😁": "grin",
    "😅": "sweat_smile",
    "😊": "blush",
    "🙂": "slightly_smiling_face",
    "😉": "wink",
    "😍": "heart_eyes",
    "😘": "kissing_heart",
    "😎": "sunglasses",
    "😢": "cry",
    "😭": "sob",
    "😱": "scream",
    "😡": "rage",
    "😕": "confused",
    "😬": "grimacing",
    "😴": "sleeping",
    "🤣": "rolling_on_the_floor_laughing",
    "🤩": "star-struck",
    "🤯": "exploding_head",
    "🥳": "partying_face",
    "🤔": "thinking_face",
    "🙄": "face_with_rolling_eyes",
    "😮": "open_mouth",
    "🫡": "saluting_face",
    "👏": "clap",
    "🙌": "raised_hands",
    "🙏": "pray",
    "💪": "muscle",
    "👋": "wave",
    "👌": "ok_hand",
    "👀": "eyes",
    "✋": "hand",
    "✌": "v",
    "🤞": "crossed_fingers",
    "🤝": "handshake",
    "👇": "point_down",
    "👆": "point_up_2",
    "👈": "point_left",
    "👉": "point_right",
    "💯": "100",
    "🔥": "fire",
    "✅": "white_check_mark",
    "☑": "ballot_box_with_check",
    "✔": "heavy_check_mark",
    "❌": "x",
    "❓": "question",
    "❗": "exclamation",
    "⚠": "warning",
    "⛔": "no_entry",
    "🚫": "no_entry_sign",
    "➕": "heavy_plus_sign",
    "⭐": "star",
    "🌟": "star2",
    "✨": "sparkles",
    "⚡": "zap",
    "💥": "boom",
    "💔": "broken_heart",
    "💩": "hankey",
    "🎁": "gift",
    "🎂": "birthday",
    "🍕": "pizza",
    "🍺": "beer",
    "🍻": "beers",
    "☕": "coffee",
    "☀": "sunny",
    "🌈": "rainbow",
    "🐛": "bug",
    "🔒": "lock",
    "🔑": "key",
    "🔗": "link",
    "💬": "speech_balloon",
    "📌": "pushpin",
    "📎": "paperclip",
    "📅": "date",
    "📈": "chart_with_upwards_trend",
    "📉": "chart_with_downwards_trend",
    "💡": "bulb",
    "🆗": "ok",
    "🆒": "cool",
    "🆕": "new",
    "🔄": "arrows_counterclockwise",
    "⏳": "hourglass_flowing_sand",
    "⌛": "hourglass",
    "⏰": "alarm_clock",
    "🔴": "red_circle",
    "🟢": "large_green_circle",
    "🟡": "large_yellow_circle",
    "🔵": "large_blue_circle",
    "🤖": "robot_face",
    "💀": "skull",
    "👻": "ghost",
    "🍿": "popcorn",
    "✏": "pencil2",
    "📝": "memo",
}
_CHARACTERS: Final = {name: emoji for emoji, name in _NAMES.items()} | {
    "thumbsup": "👍",
    "thumbsdown": "👎",
    "poop": "💩",
    "satisfied": "😆",
    "collision": "💥",
}
_VARIATION: Final = "\ufe0f"
_TONES: Final = {chr(0x1F3FA + tone): f"skin-tone-{tone + 1}" for tone in range(1, 6)}
_TONE_CHARACTERS: Final = {name: tone for tone, name in _TONES.items()}


def name_of(emoji: str) -> str:
    """As Slack calls it: ``thumbsup`` and ``:thumbsup:`` are names already. Slack refuses what it does not
    know."""
    bare = emoji.replace(_VARIATION, "")
    if bare.isascii():
        return bare.strip(":").lower()
    tone = _TONES.get(bare[-1:], "")
    bare = bare[:-1] if tone and len(bare) > 1 else bare
    name = _NAMES.get(bare) or unicodedata.name(bare[0], bare).lower().replace(" ", "_")
    return f"{name}::{tone}" if tone else name


def emoji_of(name: str) -> str:
    """The character, or ``:name:`` for one of the workspace's own."""
    base, _, tone = name.partition("::")
    found = _CHARACTERS.get(base) or _by_unicode(base)
    return f":{name}:" if not found else found + _TONE_CHARACTERS.get(tone, "")


def _by_unicode(name: str) -> str:
    try:
        found = unicodedata.lookup(name.replace("_", " ").upper())
    except (KeyError, ValueError):
        return ""
    # Unicode names everything: a comma, too, which is no emoji.
    return found if unicodedata.category(found) == "So" else ""
