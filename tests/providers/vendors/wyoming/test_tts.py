from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests.providers.vendors.tts_contract import TEXT, Make, TtsContract, clips_of, pcm_of
from tests.rig.transports import RecordedTransport, open_transport
from tests.servers.voices import sound_of
from tests.servers.wyoming_tts import RATE_HZ, event, form, hang_up, inline, raw, silent, wyoming_tts
from tests.servers.wyoming_tts import WyomingTts as Server
from voxd.errors import ProviderError, StreamError
from voxd.net.transport import Budget
from voxd.providers.pipeline.stages.contract import StageConfig, TextToSpeech
from voxd.providers.vendors.wyoming import tts as wyoming
from voxd.providers.vendors.wyoming.tts import WyomingTts

START, STOP = event("audio-start", form()), event("audio-stop", {"timestamp": 0})

Build = Callable[..., WyomingTts]


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with wyoming_tts() as server:
        yield server


@pytest.fixture
async def transport(server: Server) -> AsyncIterator[RecordedTransport]:
    async with open_transport(server.url, "", name="den", stage="tts") as transport:
        yield transport


@pytest.fixture
def build(transport: RecordedTransport) -> Build:
    return lambda **config: WyomingTts(StageConfig("den", "wyoming", **config), transport)


class TestWyomingTts(TtsContract):
    @pytest.fixture
    def make(self, build: Build) -> Make:
        return build

    @pytest.fixture
    def make_refused(self) -> None:
        """There are no keys in this network."""

    def faulty(self, server: Server, build: Build, fault: Any) -> Make:
        def make() -> TextToSpeech:
            server.faults.append(fault)
            return build()

        return make

    @pytest.fixture
    def make_garbled(self, server: Server, build: Build) -> Make:
        return self.faulty(server, build, raw(b"no event\n"))

    @pytest.fixture
    def make_broken(self, server: Server, build: Build) -> Make:
        return self.faulty(server, build, hang_up(401))

    @pytest.fixture
    def make_mute(self, server: Server, build: Build) -> Make:
        return self.faulty(server, build, raw(START + STOP))

    @pytest.fixture
    def make_silent(self, server: Server, build: Build) -> Make:
        return self.faulty(server, build, silent)

    @pytest.fixture
    async def make_unreachable(self, unused_tcp_port: int) -> AsyncIterator[Make]:
        async with open_transport(
            f"tcp://127.0.0.1:{unused_tcp_port}", "", name="den", stage="tts"
        ) as nobody:
            yield lambda: WyomingTts(StageConfig("den", "wyoming"), nobody)

    @pytest.fixture
    def secret(self) -> str:
        return ""

    def sound(self, tts: TextToSpeech, text: str) -> bytes:
        return sound_of(text, RATE_HZ, tts.voice)

    @pytest.fixture(autouse=True)
    def _served(self, server: Server) -> None:
        self.server = server

    async def nobody_served(self) -> None:
        await self.server.idle()


@pytest.mark.parametrize(
    ("config", "asked"),
    [
        ({}, None),
        ({"language": "de"}, {"language": "de"}),
        ({"voice": "amy", "language": "de"}, {"name": "amy"}),
        ({"voice": "amy", "options": {"speaker": "2"}}, {"name": "amy", "speaker": "2"}),
    ],
)
async def test_it_sends_the_configured_voice(
    build: Build, server: Server, config: dict[str, Any], asked: dict[str, str] | None
) -> None:
    clips = await clips_of(build(**config))
    assert server.asked == [{"text": TEXT} | ({"voice": asked} if asked else {})]
    assert {clip.rate_hz for clip in clips} == {RATE_HZ}


async def test_an_older_server_is_understood(build: Build, server: Server) -> None:
    server.write = inline
    assert pcm_of(await clips_of(build())) == sound_of(TEXT, RATE_HZ)
    await build().check(Budget())


async def test_sound_without_a_beginning_is_understood(build: Build, server: Server) -> None:
    server.faults.append(
        raw(event("audio-chunk", form(8000), bytes(321)) + event("audio-chunk", form(8000), b"\0") + STOP)
    )
    clips = await clips_of(build())
    assert (pcm_of(clips), {clip.rate_hz for clip in clips}) == (bytes(322), {8000})


@pytest.mark.parametrize(
    ("said", "payload"),
    [
        ({"channels": 2}, bytes([0, 1, 0, 3])),
        ({"width": 4}, bytes([9, 9, 0, 2])),
        ({"width": 1}, bytes([130])),
    ],
)
async def test_samples_of_another_width_or_of_several_channels_are_converted(
    build: Build, server: Server, said: dict[str, int], payload: bytes
) -> None:
    sound = event("audio-start", form(**said)) + event("audio-chunk", form(**said), payload) + STOP
    server.faults.append(raw(sound))
    assert pcm_of(await clips_of(build())) == b"\x00\x02"


async def test_events_it_does_not_know_are_passed_over(build: Build, server: Server) -> None:
    server.faults.append(
        raw(event("weather", {"sun": True}) + START + event("audio-chunk", form(), bytes(4)) + STOP)
    )
    assert pcm_of(await clips_of(build())) == bytes(4)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (event("audio-start", form(channels=9)), "bad_answer"),
        (event("audio-start", form(width=5)), "bad_answer"),
        (event("audio-start", form(rate_hz=0)), "bad_answer"),
        (START + event("audio-chunk", form(rate_hz=8000), bytes(4)), "bad_answer"),
        (START + event("audio-chunk", form(), b"\0") + STOP, "truncated"),
        (START + STOP, "no_sound"),
        (STOP, "no_sound"),
        (event("audio-start", {"rate": 1}), "bad_answer"),
        (event("audio-start", {"rate": "fast", "width": 2, "channels": 1}), "bad_answer"),
        (START + event("audio-chunk", form()) + STOP, "no_sound"),
        (b'{"type": 7}\n', "bad_answer"),
        (b'{"type": "audio-chunk", "payload_length": 99999999999}\n', "too_big"),
        (b"\xff\xfe\n", "bad_answer"),
    ],
    ids=str,
)
async def test_an_answer_that_is_not_sound_is_a_fault(
    build: Build, server: Server, answer: bytes, code: str
) -> None:
    server.faults.append(raw(answer))
    with pytest.raises(StreamError) as raised:
        await clips_of(build())
    assert (raised.value.code, raised.value.provider) == (code, "den")


async def test_errors_of_the_server_are_reported(build: Build, server: Server) -> None:
    server.faults.append(raw(event("error", {"text": "no such voice", "code": "voice-not-found"})))
    with pytest.raises(ProviderError, match="no such voice") as raised:
        await clips_of(build())
    assert raised.value.code == "voice-not-found"


async def test_a_server_that_stops_in_the_middle_is_not_waited_for(
    build: Build, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wyoming, "GRACE_S", 0.05)
    server.faults.append(raw(START + event("audio-chunk", form(), bytes(320))))
    with pytest.raises(StreamError) as raised:
        await clips_of(build())
    assert raised.value.code == "too_slow"


@pytest.mark.parametrize("info", [{"asr": []}, {"tts": []}, {"tts": [{"name": "x"}]}, {"tts": 7}], ids=str)
async def test_a_server_that_does_not_speak_fails_the_check(
    build: Build, server: Server, info: dict[str, Any]
) -> None:
    server.info = info
    with pytest.raises(ProviderError) as raised:
        await build().check(Budget())
    assert raised.value.code in {"not_offered", "bad_answer"}
