"""The fake vendors, each behind a fault proxy of its own."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from tests.rig.faultproxy import FaultProxy, fault_proxy
from tests.servers import live_speech, openai_realtime, scripted, voices
from tests.servers.anthropic import Messages
from tests.servers.chat import Chat
from tests.servers.deepgram import DeepgramNova, NovaSession
from tests.servers.elevenlabs_voice import ElevenLabsVoice
from tests.servers.words import Word

LIVE, EAR, MIND, SPARE, VOICE = "live", "ear", "mind", "spare", "voice"
"""Speech to speech, speech to text, two language models, text to speech: names in the configuration."""

KEYS = {
    LIVE: openai_realtime.KEY,
    EAR: live_speech.KEY,
    MIND: scripted.KEY,
    SPARE: scripted.KEY,
    VOICE: voices.KEY,
}
ANSWERS = {LIVE: "The live one answers.", MIND: "The first one answers.", SPARE: "The spare one answers."}


class _Stenographer:
    """Transcribes any speech as one fixed text, its words spread evenly over the sound."""

    def __init__(self, text: str) -> None:
        self._told = text.split()
        self.heard_s = 0.0
        self.pausing = True
        self.words: list[Word] = []

    def feed(self, pcm: bytes) -> None:
        """Understand one word more for each third of a second."""
        self.heard_s += len(pcm) / 32_000
        self._understand(int(self.heard_s * 3))

    def finish(self) -> None:
        """Understand the rest."""
        self._understand(len(self._told))

    def _understand(self, count: int) -> None:
        for number in range(len(self.words), min(count, len(self._told))):
            self.words.append(Word(self._told[number], number / 3, (number + 1) / 3))


@dataclass
class Vendors:
    """All of them; ``doors`` by name."""

    doors: dict[str, FaultProxy]

    def port(self, name: str) -> int:
        """Return where ``name`` is reached."""
        return self.doors[name].port


@asynccontextmanager
async def vendors(question: str) -> AsyncIterator[Vendors]:
    """Run them all; whatever is said to them, they hear ``question``."""

    class Session(NovaSession):
        def __init__(self, *words: object) -> None:
            super().__init__(*words)  # type: ignore[arg-type]
            self.recogniser = _Stenographer(question)  # type: ignore[assignment]

    class Stenographic(DeepgramNova):
        session = Session

    script = openai_realtime.Script(
        replies=[openai_realtime.Reply(ANSWERS[LIVE], sound_ms=1500)], heard=question
    )
    async with AsyncExitStack() as stack:
        live = await stack.enter_async_context(openai_realtime.realtime_server(script))
        ear = await stack.enter_async_context(Stenographic(live_speech.Script()).running())
        mind, spare = [
            await stack.enter_async_context(
                scripted.scripted(dialect, scripted.Reply(_tokens(ANSWERS[name])))
            )
            for name, dialect in ((MIND, Chat()), (SPARE, Messages()))
        ]
        voice = await stack.enter_async_context(voices.served(ElevenLabsVoice))
        ports = {
            LIVE: live.port,
            EAR: ear.port,
            MIND: mind.plain.port,
            SPARE: spare.plain.port,
            VOICE: voice.plain.port,
        }
        doors = {
            name: await stack.enter_async_context(fault_proxy("127.0.0.1", port))
            for name, port in ports.items()
        }
        yield Vendors(doors)


def _tokens(text: str) -> tuple[str, ...]:
    return tuple(f" {word}" if number else word for number, word in enumerate(text.split()))
