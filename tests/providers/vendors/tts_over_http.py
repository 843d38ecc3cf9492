"""The contract of the voices that are reached by HTTP: one fake, and the faults that any of them may play."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, ClassVar

import pytest

from tests.audio.formats.made import ADTS, MP4, NOISE, RATE_HZ, TONE_PCM, WEBM, alike, coded
from tests.providers.vendors.tts_contract import (
    TEXT,
    Make,
    TtsContract,
    clips_of,
    heard_until_it_breaks,
    pcm_of,
)
from tests.rig.transports import RecordedTransport, open_transport
from tests.servers.plain_http import reply
from tests.servers.voices import KEY, Voice, broken, garbled, served, stalled, streamed, wav_of
from voxd.errors import ConnectionFailed, RateLimited, StreamError
from voxd.frames import Clip
from voxd.net.transport import Budget
from voxd.providers.pipeline.stages import tts_pace as pace
from voxd.providers.pipeline.stages.contract import StageConfig, TextToSpeech

Build = Callable[..., TextToSpeech]


async def never(writer: asyncio.StreamWriter) -> None:
    """Answer nothing, and keep the connection."""


class OverHttp(TtsContract):
    """Say which vendor, which stage, and what else is configured."""

    vendor: ClassVar[type[Voice]]
    kind: ClassVar[type[TextToSpeech]]
    key: ClassVar[str] = KEY
    wrong_key: ClassVar[str] = "sk-voice-wrong-0123456789"
    options: ClassVar[dict[str, Any]] = {}

    @pytest.fixture
    async def server(self) -> AsyncIterator[Any]:
        async with served(self.vendor) as server:
            yield server
            assert server.violations == []

    @pytest.fixture
    async def transport(self, server: Voice) -> AsyncIterator[RecordedTransport]:
        async with open_transport(server.url, self.key, name="den", stage="tts") as transport:
            yield transport

    @pytest.fixture
    def build(self, transport: RecordedTransport) -> Build:
        """Returns new stages of a configuration of which the test says a part."""
        return lambda **config: self.kind(self.config(**config), transport)

    def config(self, **config: Any) -> StageConfig:
        # The kind, which decides the default model and voice, has the name of its vendor's folder.
        kind = self.kind.__module__.split(".")[-2]
        options = {**self.options, **config.pop("options", {})}
        return StageConfig("den", kind, options=options, **config)

    def faulty(self, server: Voice, build: Build, fault: Any) -> Make:
        def make() -> TextToSpeech:
            server.faults.append(fault)
            return build()

        return make

    @pytest.fixture
    def make(self, build: Build) -> Make:
        return build

    @pytest.fixture
    async def make_refused(self, server: Voice) -> AsyncIterator[Make]:
        async with open_transport(server.url, self.wrong_key, name="den", stage="tts") as transport:
            yield lambda: self.kind(self.config(), transport)

    @pytest.fixture
    def make_garbled(self, build: Build, server: Voice) -> Make:
        return self.faulty(server, build, garbled())

    @pytest.fixture
    def make_broken(self, build: Build, server: Voice) -> Make:
        return self.faulty(server, build, broken(self.sound(build(), TEXT)[:401]))

    @pytest.fixture
    def make_mute(self, build: Build, server: Voice) -> Make:
        return self.faulty(server, build, reply(b"", content_type="audio/pcm"))

    @pytest.fixture
    def make_silent(self, build: Build, server: Voice) -> Make:
        return self.faulty(server, build, never)

    @pytest.fixture
    async def make_unreachable(self, unused_tcp_port: int) -> AsyncIterator[Make]:
        url = f"http://127.0.0.1:{unused_tcp_port}"
        async with open_transport(url, self.key, name="den", stage="tts") as nobody:
            yield lambda: self.kind(self.config(), nobody)

    @pytest.fixture
    def secret(self) -> str:
        return self.key

    async def nobody_served(self) -> None:
        """A connection that is kept for the next clause serves no other request."""

    async def test_a_page_in_the_vendors_place_is_not_played(self, build: Build, server: Voice) -> None:
        server.faults.append(reply(b"<html>log in</html>", content_type="text/html"))
        with pytest.raises(ConnectionFailed) as raised:
            await clips_of(build())
        assert raised.value.code == "captive_portal"


class Streamed(OverHttp):
    """For vendors whose sound comes as it is made."""

    async def test_half_a_sample_at_the_end_costs_no_sound(self, build: Build, server: Voice) -> None:
        server.faults.append(reply(bytes(101), content_type="audio/pcm"))
        assert pcm_of(await clips_of(build())) == bytes(100)

    @pytest.mark.parametrize("form", ["MP3", "OGG OPUS", "FLAC", "WAV"])
    async def test_a_file_in_place_of_samples_is_decoded(
        self, build: Build, server: Voice, form: str
    ) -> None:
        server.faults.append(reply(coded(form), content_type="audio/pcm"))
        clips = await clips_of(build())
        assert {clip.rate_hz for clip in clips} == {RATE_HZ}
        assert alike(pcm_of(clips), TONE_PCM)

    @pytest.mark.parametrize(
        "body", [ADTS, MP4, WEBM, NOISE, b'{"ok": true}'], ids=lambda body: str(body)[:20]
    )
    async def test_what_cannot_be_decoded_is_never_played(
        self, build: Build, server: Voice, body: bytes
    ) -> None:
        server.faults.append(reply(body, content_type="audio/pcm"))
        heard: list[Clip] = []
        with pytest.raises(StreamError) as raised:
            await heard_until_it_breaks(build(), heard)
        assert (raised.value.code, heard) == ("not_pcm", [])

    async def test_samples_labelled_as_mp3_are_played(self, build: Build, server: Voice) -> None:
        server.faults.append(reply(TONE_PCM, content_type="audio/mpeg"))
        assert pcm_of(await clips_of(build())) == TONE_PCM

    async def test_what_breaks_off_before_any_sound_is_asked_for_again(
        self, build: Build, server: Voice, transport: RecordedTransport
    ) -> None:
        server.faults.append(broken(b"\x01"))
        tts = build()
        budget = Budget(retries=1)
        heard = b"".join([clip.pcm async for clip in tts.synthesize(TEXT, budget)])
        assert heard == self.sound(tts, TEXT)
        assert budget.retries == 0
        (note,) = transport.data("provider.note")
        assert (note["kind"], note["details"]) == ("speech_again", {"code": "truncated", "used_bytes": 0})

    async def test_a_vendor_that_requests_a_long_wait_gets_no_retry(
        self, build: Build, server: Voice
    ) -> None:
        server.faults.extend([reply(b"", status=429, headers={"Retry-After": "600"})] * 3)
        budget = Budget(retries=2)
        with pytest.raises(RateLimited) as raised:
            await anext(build().synthesize(TEXT, budget))
        assert (raised.value.retry_after_s, budget.retries) == (600, 2)
        assert len(server.spoken) == 1

    async def test_a_vendor_that_stops_in_the_middle_is_not_waited_for(
        self, build: Build, server: Voice, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pace, "GRACE_S", 0.05)
        server.faults.append(stalled(bytes(320)))
        with pytest.raises(StreamError) as raised:
            await clips_of(build())
        assert raised.value.code == "too_slow"

    async def test_an_unexpected_wav_header_is_not_played(self, build: Build, server: Voice) -> None:
        tts = build()
        server.faults.append(streamed(wav_of(bytes(300), 11_025), content_type="audio/wav"))
        clips = await clips_of(tts)
        assert b"".join(clip.pcm for clip in clips) == bytes(300)
        assert {clip.rate_hz for clip in clips} == {11_025}
