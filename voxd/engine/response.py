"""Sends a text and collects the whole audio of the reply."""

import asyncio
from typing import Any

from voxd.engine.session import EngineSession
from voxd.errors import DeadlineExceeded, StreamError
from voxd.events import EventType as E
from voxd.providers.contract import ReplyAudio
from voxd.providers.events import event_of
from voxd.providers.realtime.reply_stream import ReplyStream


async def ask_for_sound(call: EngineSession, text: str, timeout_s: float) -> bytes:
    """Send ``text`` and return the audio of the reply, which is not played.

    Raises `DeadlineExceeded`, `StreamError` when it was broken off or has no audio, `ProviderError`.
    """
    reply = ReplyStream(call.config.provider, sound=True, detects_ends=False)

    def watch(type: str, data: dict[str, Any]) -> None:
        # An error event concerns the session, or the microphone; the reply may still come.
        if type != E.ERROR_GENERAL:
            reply.take(event_of(type, data))

    call.down.watchers.append(watch)
    call.muted = True
    try:
        async with asyncio.timeout(timeout_s):
            reply.ask()
            await call.session.send_text(text)
            audio = await _collect(reply)
    except TimeoutError as error:
        raise DeadlineExceeded(f"no whole reply within {timeout_s:g} s") from error
    finally:
        call.muted = False
        call.down.watchers.remove(watch)
    if not audio:
        raise StreamError("the reply had no sound", provider=call.config.provider, hint="ask for audio")
    return audio


async def _collect(reply: ReplyStream) -> bytes:
    pcm = bytearray()
    while True:
        while (item := reply.pop()) is not None:
            if isinstance(item, ReplyAudio):
                pcm += item.clip.pcm
        if reply.error is not None:
            raise StreamError(str(reply.error)) from reply.error
        if reply.complete:
            # A third party may report a tool call after the completion, before the loop's next turn.
            await asyncio.sleep(0)
            if reply.complete:
                return bytes(pcm)
        await reply.changed()
