"""Run with an interpreter that has aiogram: drives the emulated Bot API as bots in the wild do.

Arguments: base URL, token, the number of a chat in which somebody has written. Says what it saw as JSON.
"""

# pyright: basic, reportMissingImports=false
import asyncio
import json
import sys
from typing import Any

from aiogram import Bot, Dispatcher
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import (
    TelegramBadRequest,
    TelegramForbiddenError,
    TelegramRetryAfter,
    TelegramUnauthorizedError,
)
from aiogram.types import BufferedInputFile, ReactionTypeEmoji, ReplyParameters


def bot_of(base: str, token: str) -> Any:
    return Bot(token, session=AiohttpSession(api=TelegramAPIServer.from_base(base)))


async def refusal(call: Any) -> str:
    try:
        await call
    except (TelegramBadRequest, TelegramForbiddenError, TelegramUnauthorizedError) as error:
        return f"{type(error).__name__}: {error.message}"
    return "nothing"


async def drive(base: str, token: str, chat: int) -> dict[str, Any]:
    told: dict[str, Any] = {}
    bot = bot_of(base, token)
    me = await bot.me()
    told["me"] = [me.id, me.username, me.is_bot]

    heard: list[Any] = []
    dispatcher = Dispatcher()

    @dispatcher.message()
    async def on_message(message: Any) -> None:
        heard.append([message.text, message.from_user.first_name, message.chat.type])
        await message.answer("<b>got</b> it &amp; thanks", parse_mode="HTML")
        await dispatcher.stop_polling()

    await asyncio.wait_for(dispatcher.start_polling(bot, handle_signals=False, close_bot_session=False), 20)
    told["heard"] = heard

    said = await bot.send_message(chat, "plain", reply_parameters=ReplyParameters(message_id=1))
    told["said"] = [said.text, said.reply_to_message.text]
    told["edited"] = (await bot.edit_message_text("changed", chat_id=chat, message_id=said.message_id)).text
    told["reacted"] = await bot.set_message_reaction(chat, 1, [ReactionTypeEmoji(emoji="👍")])
    sent = await bot.send_document(chat, BufferedInputFile(b"body of it", "a.txt"), caption="see")
    told["document"] = [sent.document.file_name, sent.caption]
    file = await bot.get_file(sent.document.file_id)
    told["downloaded"] = (await bot.download_file(file.file_path)).read().decode()
    told["deleted"] = await bot.delete_message(chat, sent.message_id)
    told["typing"] = await bot.send_chat_action(chat, "typing")
    told["refusals"] = [
        await refusal(bot.send_message(999_999, "x")),
        await refusal(bot.send_message(chat, "<b>x", parse_mode="HTML")),
        await refusal(bot.send_message(chat, "x" * 4097)),
        await refusal(bot.edit_message_text("changed", chat_id=chat, message_id=said.message_id)),
        await refusal(bot.send_chat_action(chat, "dance")),
        await refusal(bot.delete_message(chat, 987)),
        await refusal(bot_of(base, "1:wrong").me()),
    ]
    told["webhook"] = [await bot.set_webhook("https://example.org/hook", secret_token="s3")]
    told["webhook"] += [(await bot.get_webhook_info()).url, await bot.delete_webhook()]
    return told


async def flood(base: str, token: str, chat: int) -> dict[str, Any]:
    bot = bot_of(base, token)
    try:
        await bot.send_message(chat, "fast")
    except TelegramRetryAfter as error:
        return {"retry_after": error.retry_after}
    return {}


async def main() -> None:
    what, base, token, chat = sys.argv[1:]
    doing = {"drive": drive, "flood": flood}[what]
    print(json.dumps(await doing(base, token, int(chat))))


asyncio.run(main())
