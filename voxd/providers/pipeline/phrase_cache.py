"""Phrases that were spoken before, kept on disk: said again at once, and for nothing."""

import asyncio
import hashlib
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import msgspec

from voxd.audio.files import decode_flac, encode_flac
from voxd.errors import AudioError, StreamError
from voxd.events import Emit
from voxd.events import EventType as E
from voxd.frames import BYTES_PER_SAMPLE, Clip
from voxd.net.transport import Budget
from voxd.providers.pipeline.stages.contract import TextToSpeech
from voxd.store.file_cache import FileCache

_log = logging.getLogger(__name__)

LAYOUT = 1
"""Part of every key: raised when what is kept changes its form."""

READ_S = 0.25
"""A card that is slower than this is slower than most voices."""

PIECE_S = 0.2
"""What is kept is given out in pieces, or converting it would hold up the event loop."""


def key_of(stage: TextToSpeech, text: str, previous: str) -> str:
    """Return a name for the sound of ``text`` as ``stage`` speaks it after ``previous``."""
    before = previous if stage.heeds_previous else ""
    told = [LAYOUT, stage.variant, text, before]
    return hashlib.sha256(msgspec.json.encode(told, order="deterministic", enc_hook=repr)).hexdigest()


class PhraseCache:
    """Speaks from ``directory`` what was spoken before by the same voice in the same way.

    The least used files are deleted beyond ``limit_bytes``. Who asks for what is being spoken already gets
    it too, and nothing is asked twice. Only whole sounds are kept. Files hold what people were told: mode
    0600, and `forget` deletes them.
    """

    def __init__(self, directory: Path, *, limit_bytes: int, emit: Emit) -> None:
        self._shelf = FileCache(directory, limit_bytes=limit_bytes)
        self._emit = emit
        self._spoken: dict[str, _Phrase] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._forgotten = 0
        self._is_slow = False

    async def cached(
        self, stage: TextToSpeech, text: str, budget: Budget, previous: str = ""
    ) -> AsyncGenerator[Clip]:
        """Yield the sound of ``text``, from the cache if it is there, else as it comes from ``stage``.

        Raises what ``stage`` raises. Closing the last iterator of a phrase gives it up.
        """
        key = key_of(stage, text, previous)
        phrase = self._spoken.get(key)
        if phrase is None:
            self._spoken[key] = phrase = _Phrase()
            phrase.task = asyncio.create_task(
                self._speak(key, phrase, stage, text, budget, previous), name="phrase"
            )
            self._tasks.add(phrase.task)
            phrase.task.add_done_callback(self._tasks.discard)
        else:
            self._emit(E.CACHE_USED, cache="phrases", hit=True)
        phrase.listeners += 1
        try:
            async with aclosing(phrase.heard()) as clips:
                async for clip in clips:
                    yield clip
        finally:
            phrase.listeners -= 1
            if phrase.listeners == 0 and not phrase.done:
                await self._give_up(key, phrase)

    async def forget(self) -> None:
        """Delete everything; what is being spoken now will not be kept either."""
        self._forgotten += 1
        await self._shelf.clear()

    async def close(self) -> None:
        """Give up what is being spoken, and finish what is being written. Idempotent."""
        for key, phrase in tuple(self._spoken.items()):
            await self._give_up(key, phrase)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _give_up(self, key: str, phrase: "_Phrase") -> None:
        if self._spoken.get(key) is phrase:
            del self._spoken[key]
        if phrase.task is not None:
            phrase.task.cancel()
            await asyncio.gather(phrase.task, return_exceptions=True)

    async def _speak(
        self, key: str, phrase: "_Phrase", stage: TextToSpeech, text: str, budget: Budget, previous: str
    ) -> None:
        forgotten = self._forgotten
        try:
            clip = await self._kept(key)
            self._emit(E.CACHE_USED, cache="phrases", hit=clip is not None)
            if clip is not None:
                for piece in _pieces(clip):
                    phrase.put(piece)
            else:
                async with aclosing(stage.synthesize(text, budget, previous=previous)) as clips:
                    async for piece in clips:
                        phrase.put(piece)
            phrase.end()
        except asyncio.CancelledError:
            phrase.end(StreamError("the phrase was given up", provider=stage.name))
            raise
        except Exception as error:
            phrase.end(error)
            return
        finally:
            if self._spoken.get(key) is phrase:
                del self._spoken[key]
        if clip is None:
            await self._keep(key, phrase.clips, forgotten)

    async def _kept(self, key: str) -> Clip | None:
        try:
            async with asyncio.timeout(READ_S):
                data = await self._shelf.get(key)
                clip = await asyncio.to_thread(decode_flac, data) if data is not None else None
            self._is_slow = False
            return clip
        except TimeoutError:
            if not self._is_slow:
                _log.warning("the disk is slow: what it may keep is spoken anew, and not waited for")
            self._is_slow = True
            return None
        except AudioError as error:
            _log.warning("a kept phrase is damaged and deleted: %s", error)
            await self._shelf.remove(key)
            return None

    async def _keep(self, key: str, clips: list[Clip], forgotten: int) -> None:
        whole = Clip(b"".join(clip.pcm for clip in clips), clips[0].rate_hz if clips else 0)
        if not whole.pcm or any(clip.rate_hz != whole.rate_hz for clip in clips):
            return
        try:
            data = await asyncio.to_thread(encode_flac, whole)
        except AudioError as error:
            _log.warning("a phrase cannot be kept: %s", error)
            return
        # As late as can be: what was forgotten meanwhile must not come back.
        if forgotten == self._forgotten:
            await self._shelf.put(key, data)


class _Phrase:
    """One phrase while it is spoken: every listener hears all of it, from its beginning."""

    def __init__(self) -> None:
        self.clips: list[Clip] = []
        self.listeners = 0
        self.done = False
        self.task: asyncio.Task[None] | None = None
        self._error: Exception | None = None
        self._news = asyncio.Event()

    def put(self, clip: Clip) -> None:
        """Give ``clip`` to everybody."""
        self.clips.append(clip)
        self._tell()

    def end(self, error: Exception | None = None) -> None:
        """That was all; ``error`` is why it is not the whole phrase."""
        self.done, self._error = True, error
        self._tell()

    async def heard(self) -> AsyncGenerator[Clip]:
        """Yield the phrase. Raises the error it ended with."""
        at = 0
        while True:
            while at < len(self.clips):
                yield self.clips[at]
                at += 1
            if self.done:
                break
            await self._news.wait()
        if self._error is not None:
            raise self._error

    def _tell(self) -> None:
        # Whoever waits has this one; the next wait is for the next news.
        self._news.set()
        self._news = asyncio.Event()


def _pieces(clip: Clip) -> list[Clip]:
    step = round(PIECE_S * clip.rate_hz) * BYTES_PER_SAMPLE
    return [Clip(clip.pcm[at : at + step], clip.rate_hz) for at in range(0, len(clip.pcm), step)]
