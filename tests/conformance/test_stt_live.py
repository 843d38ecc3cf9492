"""The vendors' own clients transcribe with our fakes, and their types hold what voxd sends to them."""

import asyncio
import base64
import inspect
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec
import pytest

from tests.providers.vendors.stt_contract import SAID, heard_of
from tests.providers.vendors.stt_live import Bench, bench
from tests.servers.live_speech import KEY, Fault, Message, Script
from tests.servers.words import spoken
from voxd.audio.sound import to_rate
from voxd.frames import Clip
from voxd.providers.pipeline.stages.contract import TranscriptionRequest
from voxd.providers.vendors.assemblyai import stt as assemblyai
from voxd.providers.vendors.assemblyai.options import AssemblyAiSttOptions
from voxd.providers.vendors.deepgram.options import DeepgramFluxSttOptions, DeepgramSttOptions
from voxd.providers.vendors.elevenlabs import stt as elevenlabs
from voxd.providers.vendors.elevenlabs.options import ElevenLabsSttOptions

# The clients are made for several versions of their libraries, and warn of some of them.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")

PCM = spoken(SAID)
PIECES = [PCM[at : at + 3200] for at in range(0, len(PCM), 3200)]
TOLD = TranscriptionRequest(language="en-US", hints=("kitchen", "Ada Lovelace"))


def client_of(name: str) -> Any:
    return pytest.importorskip(name, reason="the extra `conformance` is not installed")


def parsed(messages: Sequence[Message]) -> list[dict[str, Any]]:
    return [json.loads(message) for message in messages if isinstance(message, str)]


def values(query: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return the query as the vendor's client has it: lists are JSON."""
    return {
        name: json.loads(value[0]) if value[0].startswith("[") else value[0] for name, value in query.items()
    }


@pytest.fixture
async def nova() -> AsyncIterator[Bench]:
    async with bench("deepgram") as bench_:
        yield bench_


@pytest.fixture
async def flux() -> AsyncIterator[Bench]:
    async with bench("deepgram_flux") as bench_:
        yield bench_


@pytest.fixture
async def assembly() -> AsyncIterator[Bench]:
    async with bench("assemblyai") as bench_:
        yield bench_


@pytest.fixture
async def scribe() -> AsyncIterator[Bench]:
    async with bench("elevenlabs") as bench_:
        yield bench_


@pytest.fixture
async def whisper() -> AsyncIterator[Bench]:
    async with bench("openai_live") as bench_:
        yield bench_


def deepgrams_client(server: str, key: str = KEY) -> Any:
    sdk = client_of("deepgram")
    environment = client_of("deepgram.environment").DeepgramClientEnvironment
    plain = server.replace("ws://", "http://")
    there = environment(base=plain, production=server, agent=server, agent_rest=plain)
    return sdk.AsyncDeepgramClient(api_key=key, environment=there)


async def test_deepgrams_client_transcribes_with_nova(nova: Bench) -> None:
    client = deepgrams_client(nova.server.url)
    texts, types = [], []
    async with client.listen.v1.connect(
        model="nova-3", encoding="linear16", sample_rate=16_000, interim_results="true"
    ) as connection:
        for piece in PIECES:
            await connection.send_media(piece)
        await connection.send_keep_alive()
        await connection.send_finalize()
        await connection.send_close_stream()
        async for told in connection:
            types.append(told.type)
            if told.type == "Results" and told.is_final:
                texts.append(told.channel.alternatives[0].transcript)
    assert " ".join(filter(None, texts)) == SAID
    assert types[-1] == "Metadata"


async def test_deepgrams_client_transcribes_with_flux(flux: Bench) -> None:
    client = deepgrams_client(flux.server.url)
    events, texts = [], []
    async with client.listen.v2.connect(
        model="flux-general-en", encoding="linear16", sample_rate=16_000, eager_eot_threshold=0.5
    ) as connection:
        for piece in PIECES:
            await connection.send_media(piece)
        await connection.send_force_end_turn()
        await connection.send_close_stream()
        async for told in connection:
            events.append(getattr(told, "event", told.type))
            if events[-1] == "EndOfTurn":
                texts.append(told.transcript)
    assert " ".join(texts) == SAID
    assert {"Connected", "StartOfTurn", "EagerEndOfTurn", "TurnResumed", "EndOfTurn"} <= set(events)


async def test_deepgrams_client_is_refused_with_a_wrong_key_and_may_ask_with_the_right_one(
    nova: Bench,
) -> None:
    wrong = deepgrams_client(nova.server.url, "another-key-0123456789")
    errors = client_of("deepgram.core.api_error")
    with pytest.raises(errors.ApiError) as raised:
        async with wrong.listen.v1.connect(model="nova-3", encoding="linear16", sample_rate=16_000):
            pass
    assert raised.value.status_code == 401
    found = await deepgrams_client(nova.server.url).manage.v1.projects.list()
    assert [project.name for project in found.projects] == ["voxd"]


@pytest.mark.parametrize("kind", ["deepgram", "deepgram_flux"])
async def test_messages_of_the_fake_deepgram_have_the_required_types(kind: str) -> None:
    listen = client_of("deepgram.listen.v1.types" if kind == "deepgram" else "deepgram.listen.v2.types")
    types = {
        "Results": "ListenV1Results",
        "Metadata": "ListenV1Metadata",
        "Connected": "ListenV2Connected",
        "TurnInfo": "ListenV2TurnInfo",
    }
    from pydantic import TypeAdapter

    async with bench(kind) as bench_:
        await heard_of(bench_.make(), PCM)
        told = parsed(bench_.server.last.told)
    assert told
    for frame in told:
        TypeAdapter(getattr(listen, types[frame["type"]])).validate_python(frame)


@pytest.mark.parametrize(
    ("kind", "module", "client", "ours"),
    [
        ("deepgram", "deepgram.listen.v1.client", "AsyncV1Client", DeepgramSttOptions),
        ("deepgram_flux", "deepgram.listen.v2.client", "AsyncV2Client", DeepgramFluxSttOptions),
    ],
)
async def test_deepgrams_client_accepts_every_parameter_voxd_sends(
    kind: str, module: str, client: str, ours: type[msgspec.Struct]
) -> None:
    known = set(inspect.signature(getattr(client_of(module), client).connect).parameters)
    assert set(ours.__struct_fields__) <= known
    async with bench(kind) as bench_:
        await heard_of(bench_.make(), PCM, TOLD)
        assert set(bench_.server.last.query) <= known
        texts = parsed(bench_.server.last.messages)
    assert [frame["type"] for frame in texts] == (
        ["CloseStream"] if kind == "deepgram" else ["ForceEndTurn", "CloseStream"]
    )


async def test_assemblyais_client_transcribes(assembly: Bench) -> None:
    sdk = client_of("assemblyai.streaming.v3")
    turns: list[Any] = []
    ended = asyncio.Event()
    options = sdk.StreamingClientOptions(api_host=assembly.server.url, api_key=KEY)
    client = client_of("assemblyai.streaming.v3.async_client").AsyncRealTimeTranscriber(options)
    client.on(sdk.StreamingEvents.Turn, lambda _, turn: turns.append(turn))
    client.on(sdk.StreamingEvents.Termination, lambda *_: ended.set())
    await client.connect(
        sdk.StreamingParameters(
            sample_rate=16_000, encoding="pcm_s16le", format_turns=True, speech_model="universal-3-6-pro"
        )
    )
    for piece in PIECES:
        await client.stream(piece)
    await client.disconnect(terminate=True)
    await asyncio.wait_for(ended.wait(), 5)
    assert " ".join(turn.transcript for turn in turns if turn.turn_is_formatted) == SAID


async def test_assemblyais_client_receives_an_error_for_too_short_a_piece(assembly: Bench) -> None:
    sdk = client_of("assemblyai.streaming.v3")
    faults: list[Any] = []
    told = asyncio.Event()

    def failed(_: Any, error: Any) -> None:
        faults.append(error.code)
        told.set()

    options = sdk.StreamingClientOptions(api_host=assembly.server.url, api_key=KEY)
    client = client_of("assemblyai.streaming.v3.async_client").AsyncRealTimeTranscriber(options)
    client.on(sdk.StreamingEvents.Error, failed)
    asked = {"sample_rate": 16_000, "encoding": "pcm_s16le", "speech_model": "universal-3-6-pro"}
    await client.connect(sdk.StreamingParameters(**asked))
    await client.stream(bytes(320))
    await asyncio.wait_for(told.wait(), 5)
    await client.disconnect()
    assert faults == [3007]
    assert 3007 in assemblyai.MEANINGS


async def test_what_we_and_our_assemblyai_say_is_what_its_types_allow(assembly: Bench) -> None:
    models = client_of("assemblyai.streaming.v3.models")
    from pydantic import TypeAdapter

    await heard_of(assembly.make(), PCM, TOLD)
    session = assembly.server.last
    for frame in parsed(session.told):
        TypeAdapter(models.EventMessage).validate_python(frame)
    assert parsed(session.messages) == [models.TerminateSession().model_dump()]
    assert json.loads(assemblyai.AssemblyAiSttProtocol.keep_alive) == models.KeepAlive().model_dump()
    known = set(models.StreamingParameters.model_fields)
    assert set(AssemblyAiSttOptions.__struct_fields__) <= known
    assert set(session.query) <= known
    asked = models.StreamingParameters(**values(session.query))
    assert asked.keyterms_prompt == ["kitchen", "Ada Lovelace"]
    assert asked.language_codes == ["en"]


def test_every_number_of_assemblyai_is_known_to_its_client() -> None:
    models = client_of("assemblyai.streaming.v3.models")
    assert set(assemblyai.MEANINGS) <= set(models.StreamingErrorCodes)


async def test_elevenlabs_client_transcribes(scribe: Bench) -> None:
    sdk = client_of("elevenlabs.realtime")
    client = client_of("elevenlabs.realtime.scribe").ScribeRealtime(KEY, base_url=scribe.server.url)
    texts: list[str] = []
    committed = asyncio.Event()

    def take(told: dict[str, Any]) -> None:
        texts.append(told["text"])
        committed.set()

    connection = await client.connect(
        {
            "model_id": "scribe_v2_realtime",
            "audio_format": sdk.AudioFormat.PCM_16000,
            "sample_rate": 16_000,
            "keyterms": ["kitchen"],
        }
    )
    connection.on(sdk.RealtimeEvents.COMMITTED_TRANSCRIPT, take)
    for piece in PIECES:
        await connection.send({"audio_base_64": base64.b64encode(piece).decode()})
    await connection.commit()
    await asyncio.wait_for(committed.wait(), 5)
    await connection.close()
    assert texts == [SAID]


async def test_what_we_and_our_scribe_say_is_what_its_types_allow(scribe: Bench) -> None:
    types = client_of("elevenlabs.types")
    received = client_of("elevenlabs.v_1_speech_to_text_realtime.types.receive_transcription")
    options = client_of("elevenlabs.realtime.scribe").RealtimeAudioOptions
    from pydantic import TypeAdapter

    await heard_of(scribe.make(), PCM, TOLD)
    session = scribe.server.last
    for frame in parsed(session.told):
        TypeAdapter(received.ReceiveTranscription).validate_python(frame)
    sent = [TypeAdapter(types.InputAudioChunkPayload).validate_python(frame) for frame in session.frames]
    assert [each.commit for each in sent] == [False] * (len(sent) - 1) + [True]
    assert not any(each.model_extra for each in sent)
    known = set(options.__annotations__)
    assert set(ElevenLabsSttOptions.__struct_fields__) <= known
    assert set(session.query) <= known
    assert session.query["keyterms"] == ["kitchen", "Ada Lovelace"]


def test_every_fault_of_scribe_is_known_to_its_client() -> None:
    events = {each.value for each in client_of("elevenlabs.realtime").RealtimeEvents}
    assert set(elevenlabs.FAULTS) <= events


async def test_openais_client_transcribes(whisper: Bench) -> None:
    sdk = client_of("openai")
    session = {
        "type": "transcription",
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24_000},
                "turn_detection": None,
                "transcription": {"model": "gpt-live-transcribe", "language": "en"},
            }
        },
    }
    deltas, whole = "", ""
    async with (
        sdk.AsyncOpenAI(api_key=KEY, websocket_base_url=f"{whisper.server.url}/v1") as client,
        client.realtime.connect(extra_query={"intent": "transcription"}) as connection,
    ):
        await connection.session.update(session=session)
        pcm = to_rate(Clip(PCM, 16_000), 24_000).pcm
        await connection.input_audio_buffer.append(audio=base64.b64encode(pcm).decode())
        await connection.input_audio_buffer.commit()
        async for event in connection:
            if event.type.endswith("transcription.delta"):
                deltas += event.delta
            if event.type.endswith("transcription.completed"):
                whole = event.transcript
                break
    assert deltas.strip() == whole == SAID


async def test_what_we_and_our_openai_say_is_what_its_types_allow() -> None:
    realtime = client_of("openai.types.realtime")
    from tests.conformance.strict import complaints

    options = {"noise_reduction": "far_field", "prompt": "a kitchen", "keywords": ["Ada"]}
    async with bench("openai_live", Script([Fault(0.5, breaks=True)])) as bench_:
        await heard_of(bench_.make(options=options), PCM, TOLD)
        sent = [frame for session in bench_.server.sessions for frame in session.frames]
        told = [frame for session in bench_.server.sessions for frame in parsed(session.told)]
    assert complaints(realtime.RealtimeClientEvent, sent) == []
    # The union lists only what is asked for: what the server adds to it is not in the type.
    answers = [frame for frame in told if not frame["type"].startswith("session.")]
    assert complaints(realtime.RealtimeServerEvent, answers, unknown_fields=True) == []
    asked = client_of("openai.types.realtime.realtime_transcription_session_create_request")
    asked.RealtimeTranscriptionSessionCreateRequest.model_validate(sent[0]["session"])
    assert sent[0]["session"]["audio"]["input"]["transcription"] == {
        "model": "gpt-live-transcribe",
        "language": "en",
        "keywords": ["Ada", "kitchen", "Ada Lovelace"],
        "prompt": "a kitchen",
    }
