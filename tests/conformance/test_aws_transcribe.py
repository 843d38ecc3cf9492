"""The vendor's own libraries check what voxd asks of Amazon Transcribe, and read what the fake answers."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from unittest import mock
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.providers.vendors.stt_contract import heard_of
from tests.providers.vendors.stt_live import bench
from tests.servers.aws_transcribe import KEY, KEY_ID, SECRET, exception
from tests.servers.live_speech import Message
from tests.servers.words import spoken

pytest.importorskip("botocore", reason="the extra `conformance` is not installed")
pytest.importorskip("amazon_transcribe", reason="the extra `conformance` is not installed")

from amazon_transcribe import exceptions
from amazon_transcribe.deserialize import TranscribeStreamingEventParser
from amazon_transcribe.eventstream import EventStreamBuffer as TheirBuffer
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.eventstream import EventStreamBuffer

TEXT = "kitchen light off red"
TOKEN = "FwoG/ZXIv+YXdz//EBYa=="


@pytest.mark.parametrize("token", ["", TOKEN])
async def test_the_signature_is_what_botocore_makes_of_the_same_request(token: str) -> None:
    key = f"{KEY}:{token}" if token else KEY
    options = {"vocabulary": "Zoë's & co/+ ~"}
    async with bench("aws", key=key) as bench_:
        await heard_of(bench_.make(options=options), spoken(TEXT))
        [request] = bench_.server.requests
    asked = dict(parse_qsl(urlsplit(request.path).query))
    at = datetime.strptime(asked["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    theirs = AWSRequest(
        method="GET",
        url=f"ws://{request.headers['Host']}{urlsplit(request.path).path}",
        params={name: value for name, value in asked.items() if not name.startswith("X-Amz-")},
    )
    signer = SigV4QueryAuth(Credentials(KEY_ID, SECRET, token or None), "transcribe", "eu-central-1", 300)
    with mock.patch("botocore.auth.get_current_datetime", return_value=at):
        signer.add_auth(theirs)
    assert asked == dict(parse_qsl(urlsplit(theirs.url).query))


def read(buffer: Any, frames: Iterable[Message]) -> list[Any]:
    for frame in frames:
        assert isinstance(frame, bytes)
        buffer.add_data(frame)
    return list(buffer)


async def test_botocore_reads_the_sound_that_voxd_sends() -> None:
    async with bench("aws") as bench_:
        await heard_of(bench_.make(), spoken(TEXT))
        messages = read(EventStreamBuffer(), bench_.server.last.messages)
    assert {tuple(message.headers.items()) for message in messages} == {
        (
            (":message-type", "event"),
            (":event-type", "AudioEvent"),
            (":content-type", "application/octet-stream"),
        )
    }
    assert b"".join(message.payload for message in messages) == spoken(TEXT)
    assert messages[-1].payload == b""


async def test_the_vendors_client_reads_the_transcripts_of_the_fake() -> None:
    async with bench("aws") as bench_:
        await heard_of(bench_.make(), spoken(TEXT))
        told = read(TheirBuffer(), bench_.server.last.told)
    parser = TranscribeStreamingEventParser()
    events = [parser.parse(message) for message in told]
    results = [result for event in events for result in event.transcript.results]
    assert [result.alternatives[0].transcript for result in results if not result.is_partial] == [
        "kitchen light",
        "off red",
    ]
    assert any(result.is_partial for result in results)
    assert results[0].alternatives[0].items[0].item_type == "pronunciation"


def test_the_vendors_client_reads_the_exceptions_of_the_fake() -> None:
    [message] = read(TheirBuffer(), [exception("LimitExceededException", "Too many streams.")])
    with pytest.raises(exceptions.LimitExceededException, match="Too many streams"):
        TranscribeStreamingEventParser().parse(message)
