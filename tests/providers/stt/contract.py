"""What every speech-to-text must do, whoever wrote it: subclass `SttContract` and give its fixtures.

The fakes of tests/servers really recognise the sound of tests/servers/words.py; one that cannot may answer
`SAID` to any sound that is not silent, and "" to silence.
"""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

import pytest

from tests.servers.words import frames, played, spoken
from voxd.errors import (
    AuthenticationError,
    ConnectionFailed,
    DeviceError,
    ProviderError,
    StreamError,
    VoxdError,
)
from voxd.frames import Frame
from voxd.providers.net.wire import Budget
from voxd.providers.stages import Heard, Kind, Listening, SpeechToText

WAIT_S = 5.0
"""Nothing in the contract takes this long; a test that waits for more fails here instead of hanging."""

SAID = "kitchen light off"
SILENCE = bytes(2 * 16_000)
"""A second in which nobody speaks."""

Make = Callable[[], SpeechToText]


async def heard_of(stt: SpeechToText, pcm: bytes, told: Listening | None = None) -> list[Heard]:
    """Return everything that was heard of ``pcm``."""
    async with asyncio.timeout(WAIT_S), aclosing(stt.transcribe(played(pcm), told or Listening())) as heard:
        return [each async for each in heard]


class Speaker:
    """Somebody who speaks for as long as a test wants; an iterator of frames."""

    def __init__(self, pcm: bytes) -> None:
        self._frames = frames(pcm)
        self._finished = asyncio.Event()

    def finish(self) -> None:
        self._finished.set()

    async def sound(self) -> AsyncIterator[Frame]:
        for frame in self._frames:
            yield frame
        await self._finished.wait()


class SttContract:
    """Give the fixtures; a vendor transcribes only while `make`'s fake runs."""

    @pytest.fixture
    def make(self) -> Make:
        """Returns new stages; their vendor understands words, and is reached with a key that is right."""
        raise NotImplementedError

    @pytest.fixture
    def make_refused(self) -> Make:
        """Returns new stages whose key the vendor does not accept."""
        raise NotImplementedError

    @pytest.fixture
    def make_garbled(self) -> Make:
        """Returns new stages whose vendor takes the sound and answers with garbage."""
        raise NotImplementedError

    @pytest.fixture
    def make_silent(self) -> Make:
        """Returns new stages whose vendor takes everything and never answers."""
        raise NotImplementedError

    @pytest.fixture
    def make_unreachable(self) -> Make:
        """Returns new stages whose endpoint nobody listens at."""
        raise NotImplementedError

    @pytest.fixture
    def secret(self) -> str:
        """The key of `make`, "" where the vendor has none."""
        raise NotImplementedError

    async def nobody_served(self) -> None:
        """Wait until the fake of `make` serves nobody any more."""
        raise NotImplementedError

    def others_tasks(self) -> set[str]:
        """The names of tasks that are not the stage's: those of a fake server, of the line."""
        return set()

    @pytest.fixture
    async def stt(self, make: Make) -> AsyncIterator[SpeechToText]:
        stt = make()
        yield stt
        await stt.close()

    def test_it_says_what_it_is(self, make: Make) -> None:
        stt = make()
        assert stt.stage is Kind.STT
        assert stt.name

    async def test_the_final_text_comes_once_and_last(self, stt: SpeechToText) -> None:
        heard = await heard_of(stt, spoken(SAID))
        assert [each.final for each in heard] == [False] * (len(heard) - 1) + [True]
        assert heard[-1].text.lower().strip(" .") == SAID

    async def test_it_tells_what_the_vendor_will_bill(self, stt: SpeechToText) -> None:
        used = (await heard_of(stt, spoken(SAID)))[-1].usage
        assert used.transcribed_seconds > 0 or used.input_audio_tokens > 0 or used.input_text_tokens > 0

    async def test_no_sound_at_all_is_no_text(self, stt: SpeechToText) -> None:
        assert [(each.text, each.final) for each in await heard_of(stt, b"")] == [("", True)]

    async def test_silence_is_no_text(self, stt: SpeechToText) -> None:
        heard = await heard_of(stt, SILENCE)
        assert (heard[-1].text, heard[-1].final) == ("", True)

    async def test_a_single_frame_is_enough(self, stt: SpeechToText) -> None:
        heard = await heard_of(stt, bytes(640))
        assert (heard[-1].text, heard[-1].final) == ("", True)

    async def test_one_utterance_after_another_is_understood(self, stt: SpeechToText) -> None:
        for _ in range(3):
            assert (await heard_of(stt, spoken(SAID)))[-1].text.lower().strip(" .") == SAID

    async def test_two_utterances_at_the_same_time_are_not_mixed(self, stt: SpeechToText) -> None:
        both = await asyncio.gather(heard_of(stt, spoken(SAID)), heard_of(stt, spoken(SAID)))
        assert [heard[-1].text.lower().strip(" .") for heard in both] == [SAID, SAID]

    async def test_a_language_and_hints_are_taken(self, stt: SpeechToText) -> None:
        told = Listening(language="en-US", hints=("kitchen", "Ada Lovelace"))
        assert (await heard_of(stt, spoken(SAID), told))[-1].text.lower().strip(" .") == SAID

    async def test_nothing_runs_after_the_end(self, make: Make) -> None:
        before = asyncio.all_tasks()
        stt = make()
        await heard_of(stt, spoken(SAID))
        await stt.close()
        await self.nobody_served()
        left = asyncio.all_tasks() - before
        assert {task.get_name() for task in left} <= self.others_tasks()

    async def test_an_utterance_can_be_given_up_while_the_user_speaks(self, make: Make) -> None:
        before = asyncio.all_tasks()
        stt = make()
        speaker = Speaker(spoken(SAID))
        heard = stt.transcribe(speaker.sound(), Listening())
        waiting = asyncio.ensure_future(anext(heard, None))
        await asyncio.wait({waiting}, timeout=0.1)
        if not waiting.done():
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        async with asyncio.timeout(WAIT_S):
            await heard.aclose()
            await stt.close()
            await self.nobody_served()
        left = asyncio.all_tasks() - before
        assert {task.get_name() for task in left} <= self.others_tasks()
        gc.collect()

    async def test_one_that_was_never_used_can_be_closed_twice(self, make: Make) -> None:
        stt = make()
        await stt.close()
        await stt.close()

    async def test_it_begins_early_without_complaint(self, stt: SpeechToText) -> None:
        stt.prepare()
        stt.prepare()
        assert (await heard_of(stt, spoken(SAID)))[-1].final

    async def test_a_wrong_key_is_told_as_such(self, make_refused: Make) -> None:
        stt = make_refused()
        with pytest.raises(AuthenticationError) as raised:
            await heard_of(stt, spoken(SAID))
        assert not raised.value.retryable
        assert raised.value.provider == stt.name
        await stt.close()

    async def test_garbage_is_told_as_such(self, make_garbled: Make) -> None:
        stt = make_garbled()
        with pytest.raises(StreamError) as raised:
            await heard_of(stt, spoken(SAID))
        assert raised.value.provider == stt.name
        await stt.close()

    async def test_nobody_there_is_told_as_such(self, make_unreachable: Make) -> None:
        stt = make_unreachable()
        with pytest.raises(ConnectionFailed) as raised:
            await heard_of(stt, spoken(SAID), Listening(budget=Budget(retries=0)))
        assert raised.value.provider == stt.name
        await stt.close()

    async def test_a_vendor_who_says_nothing_is_not_waited_for(self, make_silent: Make) -> None:
        stt = make_silent()
        until_s = asyncio.get_running_loop().time() + 0.3
        with pytest.raises(VoxdError) as raised:
            await heard_of(stt, spoken(SAID), Listening(budget=Budget(until_s=until_s, retries=0)))
        assert raised.value.code == "timeout"
        assert raised.value.retryable
        await stt.close()

    async def test_a_microphone_that_fails_is_told_as_it_is(self, stt: SpeechToText) -> None:
        async def broken() -> AsyncIterator[Frame]:
            yield Frame(0, bytes(6400))
            raise DeviceError("unplugged")

        async with asyncio.timeout(WAIT_S), aclosing(stt.transcribe(broken(), Listening())) as heard:
            with pytest.raises(DeviceError):
                await anext(each async for each in heard if each.final)

    async def test_whether_the_vendor_can_be_asked_is_told(self, stt: SpeechToText) -> None:
        await stt.check(Budget())

    async def test_a_check_with_a_wrong_key_fails(self, make_refused: Make) -> None:
        stt = make_refused()
        with pytest.raises(AuthenticationError):
            await stt.check(Budget(retries=0))
        await stt.close()

    async def test_a_check_of_nobody_fails(self, make_unreachable: Make) -> None:
        stt = make_unreachable()
        with pytest.raises(ProviderError):
            await stt.check(Budget(retries=0))
        await stt.close()

    async def test_neither_words_nor_keys_are_logged(
        self, make: Make, make_garbled: Make, secret: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        good, bad = make(), make_garbled()
        await heard_of(good, spoken(SAID))
        with pytest.raises(ProviderError) as raised:
            await heard_of(bad, spoken(SAID))
        await good.close()
        await bad.close()
        # The fakes log what they do too; what matters is what we say.
        ours = "\n".join(each.getMessage() for each in caplog.records if each.name.startswith("voxd"))
        told = f"{ours}\n{raised.value}\n{good!r}"
        assert not any(word in told for word in SAID.split())
        assert not secret or secret not in told
