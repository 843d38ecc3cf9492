"""Caches spoken phrases on disk: a phrase that was spoken before starts at once and costs nothing."""

import asyncio
import hashlib
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path

import msgspec

from voxd.audio.files import decode_flac, encode_flac
from voxd.audio.sound import is_audible
from voxd.errors import AudioError, StreamError
from voxd.events import Emit
from voxd.events import EventType as E
from voxd.frames import BYTES_PER_SAMPLE, Clip
from voxd.net.transport import Budget
from voxd.providers.pipeline.stages.contract import TextToSpeech
from voxd.store.file_cache import FileCache
from voxd.tasks import TaskScope, cancel_and_wait

_log = logging.getLogger(__name__)

LAYOUT = 1
"""Part of every key: increase it when the format of the files changes."""

READ_S = 0.25
"""Deadline of a read: a slower disk is slower than most TTS providers."""

PIECE_S = 0.2
"""Cached audio is yielded in pieces of this length: resampling a long one would block the event loop."""


def phrase_key(stage: TextToSpeech, text: str, previous: str) -> str:
    """Return the cache key of the audio of ``text`` as ``stage`` speaks it after ``previous``."""
    context = previous if stage.heeds_previous else ""
    # Deterministic: options are mappings, whose order must not change the key.
    identity = [LAYOUT, stage.variant, text, context]
    return hashlib.sha256(msgspec.json.encode(identity, order="deterministic", enc_hook=repr)).hexdigest()


class PhraseCache:
    """FLAC files in ``directory``, at most ``limit_bytes``; the least recently used are deleted.

    Requests for a phrase in progress share it. Only complete phrases are stored. The files contain what was
    said to people: their mode is 0600, and `forget` deletes them.
    """

    def __init__(self, directory: Path, *, limit_bytes: int, emit: Emit) -> None:
        self._files = FileCache(directory, limit_bytes=limit_bytes)
        self._emit = emit
        self._running: dict[str, _Phrase] = {}
        self._tasks = TaskScope("phrase cache")
        self._generation = 0
        self._is_slow = False

    async def synthesize(
        self,
        stage: TextToSpeech,
        text: str,
        budget: Budget,
        previous: str = "",
        *,
        on_request: Callable[[], None] = lambda: None,
    ) -> AsyncGenerator[Clip]:
        """Yield the audio of ``text``: from the cache, else from ``stage`` as it arrives.

        ``on_request`` is called when ``stage`` is asked for it. Raises what ``stage`` raises. Closing the
        last iterator of a phrase cancels it.
        """
        key = phrase_key(stage, text, previous)
        phrase = self._running.get(key)
        if phrase is None:
            self._running[key] = phrase = _Phrase()

            def synthesize() -> AsyncGenerator[Clip]:
                on_request()
                return stage.synthesize(text, budget, previous=previous)

            work = self._speak(key, phrase, stage.name, synthesize)
            phrase.task = self._tasks.start(work, name="phrase")
        else:
            self._emit(E.CACHE_USED, cache="phrases", hit=True)
        phrase.readers += 1
        try:
            async with aclosing(phrase.play()) as clips:
                async for clip in clips:
                    yield clip
        finally:
            phrase.readers -= 1
            # The reply is over, but the vendor would go on, and bill it.
            if phrase.readers == 0 and not phrase.done:
                await self._cancel(key, phrase)

    async def forget(self) -> None:
        """Delete everything; phrases in progress are not stored either."""
        self._generation += 1
        await self._files.clear()

    async def close(self) -> None:
        """Cancel phrases in progress and finish pending writes. Idempotent."""
        for key, phrase in tuple(self._running.items()):
            await self._cancel(key, phrase)
        await self._tasks.join()

    async def _cancel(self, key: str, phrase: "_Phrase") -> None:
        if self._running.get(key) is phrase:
            del self._running[key]
        await cancel_and_wait(phrase.task)

    async def _speak(
        self, key: str, phrase: "_Phrase", name: str, synthesize: Callable[[], AsyncGenerator[Clip]]
    ) -> None:
        generation = self._generation
        try:
            clip = await self._load(key)
            self._emit(E.CACHE_USED, cache="phrases", hit=clip is not None)
            if clip is not None:
                step = round(PIECE_S * clip.rate_hz) * BYTES_PER_SAMPLE
                for at in range(0, len(clip.pcm), step):
                    phrase.put(Clip(clip.pcm[at : at + step], clip.rate_hz))
            else:
                async with aclosing(synthesize()) as clips:
                    async for piece in clips:
                        phrase.put(piece)
            phrase.end()
        except asyncio.CancelledError:
            # A reader that has joined meanwhile would wait for ever.
            phrase.end(StreamError("the phrase was cancelled", provider=name))
            raise
        except Exception as error:
            # A third party's stage may raise anything; the readers raise it to the TTS chain.
            phrase.end(error)
            return
        finally:
            if self._running.get(key) is phrase:
                del self._running[key]
        if clip is None:
            await self._save(key, phrase.clips, generation)

    async def _load(self, key: str) -> Clip | None:
        try:
            async with asyncio.timeout(READ_S):
                data = await self._files.get(key)
                clip = await asyncio.to_thread(decode_flac, data) if data is not None else None
            self._is_slow = False
            return clip
        except TimeoutError:
            # Logged once per slow period, not for every phrase.
            if not self._is_slow:
                _log.warning("the disk is slow: cached phrases are synthesised again instead")
            self._is_slow = True
            return None
        except AudioError as error:
            _log.warning("a cached phrase is damaged and was deleted: %s", error)
            await self._files.remove(key)
            return None

    async def _save(self, key: str, clips: list[Clip], generation: int) -> None:
        whole = Clip(b"".join(clip.pcm for clip in clips), clips[0].rate_hz if clips else 0)
        # A FLAC file has one rate (RFC 9639, section 8.2): audio that changes it is not stored.
        if not is_audible(whole.pcm) or any(clip.rate_hz != whole.rate_hz for clip in clips):
            return
        try:
            data = await asyncio.to_thread(encode_flac, whole)
        except AudioError as error:
            _log.warning("a phrase cannot be cached: %s", error)
            return
        # Checked as late as possible: a phrase deleted by `forget` during the encoding must not come back.
        if generation == self._generation:
            await self._files.put(key, data)


class _Phrase:
    """A phrase in progress; every reader gets all of it from the beginning."""

    def __init__(self) -> None:
        self.clips: list[Clip] = []
        self.readers = 0
        self.done = False
        self.task: asyncio.Task[None] | None = None
        self._error: Exception | None = None
        self._changed = asyncio.Event()

    def put(self, clip: Clip) -> None:
        """Add ``clip``."""
        self.clips.append(clip)
        self._notify()

    def end(self, error: Exception | None = None) -> None:
        """End the phrase; ``error`` is why it is incomplete."""
        self.done, self._error = True, error
        self._notify()

    async def play(self) -> AsyncGenerator[Clip]:
        """Yield the phrase. Raises the error it ended with."""
        at = 0
        while True:
            while at < len(self.clips):
                yield self.clips[at]
                at += 1
            if self.done:
                break
            await self._changed.wait()
        if self._error is not None:
            raise self._error

    def _notify(self) -> None:
        # Waiting readers hold this event; a reader that waits later gets the next one.
        self._changed.set()
        self._changed = asyncio.Event()
