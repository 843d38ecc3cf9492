"""Asks in text and waits for the whole sound of the reply."""

import asyncio
from typing import Any

from voxd.engine.session import EngineSession
from voxd.errors import DeadlineExceeded, StreamError
from voxd.events import EventType as E


async def ask_for_sound(call: EngineSession, text: str, timeout_s: float) -> bytes:
    """Send ``text`` and return the sound of the reply, which is not played.

    Raises `DeadlineExceeded`, `StreamError` when it was broken off or has no sound, `ProviderError`.
    """
    reply = WholeReply()
    call.down.watchers.append(reply)
    call.muted = True
    try:
        async with asyncio.timeout(timeout_s):
            await call.session.send_text(text)
            audio = await reply.wait()
    except TimeoutError as error:
        raise DeadlineExceeded(f"no whole reply within {timeout_s:g} s") from error
    finally:
        call.muted = False
        call.down.watchers.remove(reply)
    if not audio:
        raise StreamError("the reply had no sound", provider=call.config.provider, hint="ask for audio")
    return audio


class WholeReply:
    """Waits for one reply and collects its sound; a `Watcher`."""

    def __init__(self) -> None:
        self._pcm = bytearray()
        self._response_id: str | None = None
        self._begun = False
        self._calls = False
        self._error: StreamError | None = None
        self._done = asyncio.Event()

    def __call__(self, type: str, data: dict[str, Any]) -> None:
        """Note one event."""
        if self._done.is_set():
            return
        if type == E.RESPONSE_STARTED and not self._begun:
            self._begun, self._response_id = True, data.get("response_id")
        elif type == E.AUDIO_OUTPUT_CHUNK and self._is_ours(data):
            self._pcm += data["audio_data"]
        elif type == E.FUNCTION_CALL_INVOKED:
            self._calls = True
        elif type == E.RESPONSE_COMPLETED and self._is_ours(data):
            # Who is told of a call only after this may still say so before the next turn of the loop.
            asyncio.get_running_loop().call_soon(self._complete)
        elif type in (E.CONNECTION_LOST, E.CONNECTION_CLOSED):
            self._fail(f"the connection ended before the reply did: {data.get('reason', 'closed')}")
        elif type == E.RESPONSE_CANCELLED and self._is_ours(data):
            self._fail(f"the reply was given up: {data.get('reason', 'cancelled')}")

    async def wait(self) -> bytes:
        """Return the sound of the reply. Raises `StreamError` when it was broken off."""
        await self._done.wait()
        if self._error is not None:
            raise self._error
        return bytes(self._pcm)

    def _complete(self) -> None:
        if self._calls:
            # A reply that calls tools is followed by the one that tells their results.
            self._begun = self._calls = False
        else:
            self._done.set()

    def _is_ours(self, data: dict[str, Any]) -> bool:
        return self._begun and data.get("response_id") == self._response_id

    def _fail(self, message: str) -> None:
        self._error = StreamError(message)
        self._done.set()
