"""Answers without a network: local speech to text, the device's own skills, local text to speech."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from voxd.config.provider_schema import LOCAL
from voxd.errors import NotUnderstood
from voxd.frames import SAMPLE_RATE_HZ, Clip
from voxd.local.contract import Synthesizer, Transcriber
from voxd.providers.contract import TYPED, ReplyAudio, ReplyEnd, ReplyItem, ReplyText, Request, Transcript
from voxd.skills.engine import SkillEngine
from voxd.tasks import TaskScope


class LocalProvider:
    """The provider that is always available."""

    name = LOCAL

    def __init__(self, transcriber: Transcriber, skills: SkillEngine, synthesizer: Synthesizer) -> None:
        self._transcriber = transcriber
        self._skills = skills
        self._synthesizer = synthesizer
        self._tasks = TaskScope("local provider")
        self._is_prepared = False

    def prepare(self) -> None:
        """Load both engines and the grammar in the background, while the user still speaks."""
        self._transcriber.prepare()
        self._synthesizer.prepare()
        if not self._is_prepared:
            self._is_prepared = True
            self._tasks.start(self._skills.prepare())

    async def converse(self, request: Request) -> AsyncGenerator[ReplyItem]:
        """Answer ``request``; an utterance without words is answered like one that matches no intent.

        With ``known_only`` both raise `NotUnderstood`.
        """
        text = request.text or ""
        if request.audio is not None:
            # Loads the grammar while the user still speaks; the frames wait in the ring.
            await self._skills.prepare()
            pcm = b"".join([frame.pcm async for frame in request.audio])
            transcript = await self._transcriber.transcribe(Clip(pcm, SAMPLE_RATE_HZ))
            text = transcript.text
            yield Transcript(text, True, transcript.engine)
        else:
            yield Transcript(text, True, TYPED)
        reply = await self._skills.answer(text)
        if request.known_only and not reply.intent:
            raise NotUnderstood("no intent of the device matches")
        if reply.text:
            yield ReplyText(reply.text)
            if request.speak:
                async with aclosing(self.speak(reply.text)) as clips:
                    async for clip in clips:
                        yield ReplyAudio(clip)
        yield ReplyEnd(reply.expects_answer, reply.refusal or "", silent=not reply.text)

    def speak(self, text: str) -> AsyncGenerator[Clip]:
        """Speak ``text`` sentence by sentence."""
        return self._synthesizer.synthesize(text)

    async def close(self) -> None:
        """End the processes of the engines."""
        await self._tasks.close()
        await self._transcriber.close()
        await self._synthesizer.close()
