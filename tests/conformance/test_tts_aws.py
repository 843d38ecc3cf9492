"""boto3 speaks with our fake of Polly, botocore makes the same signatures, and moto's Polly answers voxd."""

import asyncio
import json
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from tests.rig.transports import open_transport
from tests.servers.polly import KEY, KEY_ID, PollyServer, refusal
from tests.servers.voices import served, sound_of
from voxd.errors import ProviderError
from voxd.net.transport import Access, Budget
from voxd.providers.pipeline.stages.contract import StageConfig
from voxd.providers.vendors.aws.tts import AwsTts

pytest.importorskip("boto3", reason="the extra `conformance` is not installed")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import boto3
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.config import Config
    from botocore.credentials import Credentials
    from botocore.exceptions import ClientError

MOTO = Path(sys.prefix) / "peers" / "moto" / "bin" / "moto_server"
REGION = "eu-central-1"
TEXT = "Grüße & <tea>"
AT_S = 1_795_184_523.9
SECRET = KEY.partition(":")[2]

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def client_of(url: str, key_id: str = KEY_ID) -> Any:
    return boto3.client(
        "polly",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=key_id,
        aws_secret_access_key=SECRET,
        config=Config(retries={"total_max_attempts": 1}),
    )


def spoken(url: str, **asked: str) -> bytes:
    client = client_of(url)
    try:
        told = {"Text": TEXT, "OutputFormat": "pcm", "SampleRate": "16000", "VoiceId": "Joanna", **asked}
        with client.synthesize_speech(**told)["AudioStream"] as stream:
            return bytes(stream.read())
    finally:
        client.close()


def voice_of(transport: Any = None, **config: Any) -> AwsTts:
    return AwsTts(StageConfig("den", "aws", options={"region": REGION}, **config), transport)


async def test_voxd_sends_the_same_request_as_boto3() -> None:
    async with served(PollyServer) as server, open_transport(server.url, KEY) as transport:
        asked = {"TextType": "text", "Engine": "neural", "LanguageCode": "en-GB"}
        theirs = await asyncio.to_thread(spoken, server.url, **asked)
        tts = voice_of(transport, language="en-GB")
        ours = b"".join([clip.pcm async for clip in tts.synthesize(TEXT, Budget())])
        first, second = server.spoken
        assert ours == theirs == sound_of(TEXT, 16_000, "Joanna")
        assert (second.method, second.target) == (first.method, first.target)
        assert json.loads(second.body) == json.loads(first.body)
        scopes = [
            each.headers["authorization"].split("/", 2)[2].partition(",")[0] for each in (first, second)
        ]
        assert scopes[0] == scopes[1] == f"{REGION}/polly/aws4_request"


async def test_boto3_is_refused_as_voxd_is() -> None:
    async with served(PollyServer) as server:
        server.faults.append(refusal("ThrottlingException", 429))
        with pytest.raises(ClientError) as raised:
            await asyncio.to_thread(spoken, server.url)
        assert raised.value.response["Error"]["Code"] == "ThrottlingException"


@pytest.mark.parametrize(
    "key", [KEY, f"{KEY}:FwoG/ZXIv+YXdz//EBYa=="], ids=["lasting", "with a session token"]
)
def test_botocore_makes_the_same_signature(key: str) -> None:
    with mock.patch("voxd.providers.vendors.aws.tts.time.time", return_value=AT_S):
        ours = voice_of()._call(TEXT, Access("", key))
    key_id, secret, *token = key.split(":")
    theirs = AWSRequest(
        method="POST", url=ours.url, data=ours.content, headers={"Content-Type": "application/json"}
    )
    when = datetime.fromtimestamp(AT_S, UTC)
    with mock.patch("botocore.auth.get_current_datetime", return_value=when):
        SigV4Auth(Credentials(key_id, secret, *token), "polly", REGION).add_auth(theirs)
    assert dict(ours.headers) == dict(theirs.headers.items())


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start moto's server on loopback; yield its address."""
    if not MOTO.exists():
        pytest.skip(f"there is no {MOTO}: moto is not installed")
    process = subprocess.Popen(
        [str(MOTO), "-H", "127.0.0.1", "-p", "0"],
        cwd=tmp_path_factory.mktemp("moto"),
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        said = []
        for text in process.stdout:
            said.append(text)
            if found := re.search(r"Running on (http://127\.0\.0\.1:\d+)", text):
                break
        else:
            raise AssertionError("".join(said))
        yield found[1]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


async def test_polly_of_moto_synthesizes_for_voxd(moto: str) -> None:
    async with open_transport(moto, KEY) as transport:
        # moto calls its list of voices text/html, which AWS does not: `check` has nothing to learn here.
        tts = voice_of(transport)
        clips = [clip async for clip in tts.synthesize(TEXT, Budget(retries=0))]
        assert clips
        assert all(clip.rate_hz == 16_000 and len(clip.pcm) % 2 == 0 for clip in clips)


async def test_motos_polly_refuses_a_voice_it_does_not_know(moto: str) -> None:
    async with open_transport(moto, KEY) as transport:
        tts = voice_of(transport, voice="Nobody")
        with pytest.raises(ProviderError, match=r"^Not one of .+, ") as raised:
            async for _ in tts.synthesize(TEXT, Budget(retries=0)):
                pass
        assert not raised.value.retryable
