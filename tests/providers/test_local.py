"""The local provider with scripted engines and the real skills."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import cast

import pytest

from tests.fakes import settle
from voxd.errors import LocalEngineError, NotUnderstood
from voxd.frames import SAMPLE_RATE_HZ, Clip, Frame
from voxd.local.contract import LocalTranscript
from voxd.providers.contract import ReplyAudio, ReplyEnd, ReplyItem, ReplyText, Request, Transcript
from voxd.providers.local import LocalProvider
from voxd.skills.contract import Question, Refusal, SkillReply
from voxd.skills.engine import SkillEngine

CLIP = Clip(bytes(320), SAMPLE_RATE_HZ)


class ScriptedTranscriber:
    """Returns one sentence for any speech."""

    name = "scripted"

    def __init__(self) -> None:
        self.prepared = self.closed = 0
        self.clips: list[Clip] = []
        self.error: LocalEngineError | None = None

    def prepare(self) -> None:
        self.prepared += 1

    async def transcribe(self, clip: Clip) -> LocalTranscript:
        self.clips.append(clip)
        if self.error:
            raise self.error
        return LocalTranscript("what time is it" if clip.pcm else "", self.name)

    async def close(self) -> None:
        self.closed += 1


class ScriptedSynthesizer:
    """Returns two clips for each text and counts the syntheses that are open."""

    name = "scripted"

    def __init__(self) -> None:
        self.prepared = self.closed = self.working = 0
        self.texts: list[str] = []

    def prepare(self) -> None:
        self.prepared += 1

    async def synthesize(self, text: str) -> AsyncGenerator[Clip]:
        self.texts.append(text)
        self.working += 1
        try:
            yield CLIP
            yield CLIP
        finally:
            self.working -= 1

    async def close(self) -> None:
        self.closed += 1


class ScriptedSkills:
    """Returns the same reply to every sentence."""

    def __init__(self) -> None:
        self.reply = SkillReply("It is noon.", "time")
        self.asked: list[str] = []
        self.ready = asyncio.Event()
        self.ready.set()

    async def prepare(self) -> None:
        await self.ready.wait()

    async def answer(self, text: str) -> SkillReply:
        self.asked.append(text)
        return self.reply


class Parts:
    """A provider with its scripted engines and skills."""

    def __init__(self) -> None:
        self.transcriber, self.skills, self.synthesizer = (
            ScriptedTranscriber(),
            ScriptedSkills(),
            ScriptedSynthesizer(),
        )
        self.provider = LocalProvider(self.transcriber, cast(SkillEngine, self.skills), self.synthesizer)


@pytest.fixture
async def parts() -> AsyncIterator[Parts]:
    made = Parts()
    yield made
    await made.provider.close()


async def spoken(*pieces: bytes) -> AsyncIterator[Frame]:
    start = 0
    for pcm in pieces:
        yield Frame(start, pcm)
        start += len(pcm) // 2


async def replies(parts: Parts, request: Request) -> list[ReplyItem]:
    return [item async for item in parts.provider.converse(request)]


async def test_an_utterance_is_transcribed_whole_answered_and_spoken(parts: Parts) -> None:
    request = Request("t1", "default", audio=spoken(b"\1\0", b"\2\0"))
    assert await replies(parts, request) == [
        Transcript("what time is it", True, "scripted"),
        ReplyText("It is noon."),
        ReplyAudio(CLIP),
        ReplyAudio(CLIP),
        ReplyEnd(),
    ]
    assert parts.transcriber.clips == [Clip(b"\1\0\2\0", SAMPLE_RATE_HZ)]
    assert parts.skills.asked == ["what time is it"]


async def test_a_typed_question_uses_neither_engine(parts: Parts) -> None:
    request = Request("t1", "default", text="what day is it", speak=False)
    assert await replies(parts, request) == [
        Transcript("what day is it", True, "text"),
        ReplyText("It is noon."),
        ReplyEnd(),
    ]
    assert (parts.transcriber.clips, parts.synthesizer.texts) == ([], [])


async def test_a_skill_with_nothing_to_say_is_silent(parts: Parts) -> None:
    parts.skills.reply = SkillReply("", "stop")
    assert await replies(parts, Request("t1", "default", text="stop")) == [
        Transcript("stop", True, "text"),
        ReplyEnd(silent=True),
    ]


async def test_a_reply_can_expect_an_answer(parts: Parts) -> None:
    parts.skills.reply = SkillReply("For how long?", "timer_ask", question=Question("timer_set", "duration"))
    assert (await replies(parts, Request("t1", "default", text="set a timer")))[-1] == ReplyEnd(True)


async def test_a_refusal_says_why(parts: Parts) -> None:
    parts.skills.reply = SkillReply("Ask a model.", refusal=Refusal.NEEDS_MODEL)
    said = await replies(parts, Request("t1", "default", text="who wrote hamlet", speak=False))
    assert said[-1] == ReplyEnd(refusal="needs_model")


async def test_an_error_of_the_transcriber_does_not_become_an_empty_transcript(parts: Parts) -> None:
    parts.transcriber.error = LocalEngineError("broken")
    with pytest.raises(LocalEngineError):
        await replies(parts, Request("t1", "default", audio=spoken(b"\1\0")))
    assert parts.skills.asked == []


async def test_closing_a_reply_closes_the_synthesis_at_once(parts: Parts) -> None:
    async with aclosing(parts.provider.converse(Request("t1", "default", text="time"))) as items:
        async for item in items:
            if isinstance(item, ReplyAudio):
                break
    assert parts.synthesizer.working == 0


async def test_preparing_loads_both_engines_and_the_grammar_once(parts: Parts) -> None:
    parts.provider.prepare()
    parts.provider.prepare()
    await settle()
    assert (parts.transcriber.prepared, parts.synthesizer.prepared) == (2, 2)


async def test_closing_does_not_wait_for_a_grammar_that_still_loads(parts: Parts) -> None:
    parts.skills.ready.clear()
    parts.provider.prepare()
    await settle()
    await parts.provider.close()
    assert (parts.transcriber.closed, parts.synthesizer.closed) == (1, 1)


@pytest.mark.parametrize("spoken_words", [True, False])
async def test_with_known_only_an_unknown_request_is_an_error(parts: Parts, spoken_words: bool) -> None:
    parts.skills.reply = SkillReply("Ask a model.", refusal=Refusal.NEEDS_MODEL)
    audio = spoken(b"\1\0" if spoken_words else b"")
    items = parts.provider.converse(Request("t1", "default", audio=audio, known_only=True))
    assert isinstance(await anext(items), Transcript)
    with pytest.raises(NotUnderstood):
        await anext(items)
    assert parts.synthesizer.texts == []
    parts.skills.reply = SkillReply("It is noon.", "time")
    known = Request("t2", "default", text="what time is it", known_only=True)
    assert ReplyText("It is noon.") in await replies(parts, known)
