"""botocore makes the same signatures of the same requests: in headers and in URLs, with odd characters."""

from collections.abc import Iterator
from datetime import UTC, datetime
from unittest import mock
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from voxd.providers.vendors.aws.sigv4 import Credentials, Signer

pytest.importorskip("botocore", reason="the extra `conformance` is not installed")

from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as TheirCredentials

AT_S = 1_795_184_523.9
KEYS = [
    pytest.param(Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"), id="lasting"),
    pytest.param(
        Credentials("ASIAEXAMPLE", "se/cr+et=", "FwoG/ZXIv+YXdz//EBYa=="), id="with a session token"
    ),
]


def theirs(credentials: Credentials) -> TheirCredentials:
    return TheirCredentials(credentials.key_id, credentials.secret, credentials.token or None)


@pytest.fixture(autouse=True)
def frozen() -> Iterator[None]:
    with mock.patch("botocore.auth.get_current_datetime", return_value=datetime.fromtimestamp(AT_S, UTC)):
        yield


@pytest.mark.parametrize("credentials", KEYS)
@pytest.mark.parametrize(
    "asked",
    [
        {"language-code": "en-US", "media-encoding": "pcm", "sample-rate": "16000"},
        {"vocabulary-name": "Zoë's & co/+ ~*()!", "empty": "", "z": "ä ö", "language-options": "en-US,de-DE"},
    ],
)
@pytest.mark.parametrize("port", ["", ":8443"])
def test_a_presigned_url(credentials: Credentials, asked: dict[str, str], port: str) -> None:
    url = f"wss://transcribestreaming.eu-west-1.amazonaws.com{port}/stream-transcription-websocket"
    ours = Signer(credentials, "eu-west-1", "transcribe").url(f"{url}?{urlencode(asked)}", AT_S)
    request = AWSRequest(method="GET", url=url, params=asked)
    SigV4QueryAuth(theirs(credentials), "transcribe", "eu-west-1", expires=300).add_auth(request)
    assert urlsplit(ours)[:3] == urlsplit(request.url)[:3]
    both = [parse_qsl(urlsplit(each).query, keep_blank_values=True) for each in (ours, request.url)]
    assert dict(both[0]) == dict(both[1])
    assert both[0][-1][0] == "X-Amz-Signature"


@pytest.mark.parametrize("credentials", KEYS)
@pytest.mark.parametrize(
    ("method", "url", "body"),
    [
        ("POST", "https://polly.eu-west-1.amazonaws.com/v1/speech", '{"Text":"Grüße <b>"}'.encode()),
        ("POST", "http://127.0.0.1:5000/v1/speech", b"{}"),
        ("GET", "https://polly.eu-west-1.amazonaws.com/v1/voices?LanguageCode=de-DE&Engine=neural", b""),
        ("GET", "https://polly.eu-west-1.amazonaws.com:443/v1/odd%20name/~a*b?b=%2F%20&a=x", b""),
        ("GET", "https://polly.eu-west-1.amazonaws.com", b""),
    ],
)
def test_signed_headers(credentials: Credentials, method: str, url: str, body: bytes) -> None:
    headers = {"Content-Type": "application/json", "X-Odd": "  two   words "}
    ours = Signer(credentials, "eu-west-1", "polly").headers(method, url, headers, body, AT_S)
    request = AWSRequest(method=method, url=url, data=body, headers=headers)
    SigV4Auth(theirs(credentials), "polly", "eu-west-1").add_auth(request)
    assert ours == dict(request.headers.items())
