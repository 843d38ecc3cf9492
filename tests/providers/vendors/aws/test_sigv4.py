"""AWS signatures: the vendor's own example, the key as one text, and what a signature must depend on."""

from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from voxd.errors import AuthenticationError
from voxd.providers.vendors.aws.sigv4 import Credentials, Signer, parse_credentials

EXAMPLE = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
AUGUST_2015_S = 1_440_938_160.0
"""2015-08-30 12:36:00 UTC, the time of all examples in the vendor's documentation."""


def test_the_vendors_documented_example_comes_out() -> None:
    signer = Signer(EXAMPLE, "us-east-1", "iam")
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    signed = signer.headers(
        "GET", "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08", headers, b"", AUGUST_2015_S
    )
    assert signed == {
        **headers,
        "X-Amz-Date": "20150830T123600Z",
        "Authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date, "
        "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
    }


@pytest.mark.parametrize(
    ("key", "credentials"),
    [
        ("AKIA:abc/+d", Credentials("AKIA", "abc/+d")),
        ("ASIA:s:tok/en==", Credentials("ASIA", "s", "tok/en==")),
        ("ASIA:s:a:b", Credentials("ASIA", "s", "a:b")),
        ("AKIA:s:", Credentials("AKIA", "s")),
    ],
)
def test_a_key_is_one_text(key: str, credentials: Credentials) -> None:
    assert parse_credentials("aws", key) == credentials


@pytest.mark.parametrize("key", ["", "AKIA", "AKIA:", ":secret", "::token"])
def test_half_a_key_is_refused_without_being_repeated(key: str) -> None:
    with pytest.raises(AuthenticationError) as caught:
        parse_credentials("my-aws", key)
    assert (caught.value.provider, caught.value.retryable) == ("my-aws", False)
    assert "secret" not in str(caught.value)
    assert "ACCESS_KEY_ID:SECRET_ACCESS_KEY" in caught.value.hint


def test_the_secret_is_never_printed() -> None:
    text = repr(Signer(Credentials("AKIA", "hush", "quiet"), "eu-central-1", "polly"))
    assert "hush" not in text
    assert "quiet" not in text


@given(
    st.dictionaries(st.text(min_size=1, max_size=8).filter(str.isprintable), st.text(max_size=8), max_size=3)
)
@examples(50)
def test_a_presigned_url_requests_the_same_resource(asked: dict[str, str]) -> None:
    url = Signer(EXAMPLE, "eu-west-1", "transcribe").url(
        f"wss://transcribestreaming.eu-west-1.amazonaws.com:8443/x?{urlencode(asked)}", AUGUST_2015_S
    )
    found = parse_qs(urlsplit(url).query, keep_blank_values=True)
    assert {name: value for name, [value] in found.items() if not name.startswith("X-Amz-")} == asked
    assert found["X-Amz-Expires"] == ["300"]
    assert found["X-Amz-SignedHeaders"] == ["host"]


@pytest.mark.parametrize(
    ("written", "signed_as"),
    [
        ("https://h:443/p", "https://h/p"),
        ("http://h:80/p", "http://h/p"),
        ("wss://h:443/p", "wss://h/p"),
        ("ws://h:80/p", "ws://h/p"),
        ("https://me@h/p", "https://h/p"),
    ],
)
def test_a_host_is_signed_as_it_stands_in_its_header(written: str, signed_as: str) -> None:
    signer = Signer(EXAMPLE, "us-east-1", "polly")
    first, second = (signer.headers("GET", url, {}, b"", 0.0) for url in (written, signed_as))
    assert first == second


def test_a_port_that_is_not_the_usual_one_is_signed() -> None:
    signer = Signer(EXAMPLE, "us-east-1", "polly")
    first, second = (signer.headers("GET", url, {}, b"", 0.0) for url in ("https://h:80/p", "https://h/p"))
    assert first != second


def test_every_part_of_a_request_changes_its_signature() -> None:
    signer = Signer(EXAMPLE, "us-east-1", "polly")

    def signed(
        method: str = "POST", url: str = "https://h/p?a=1", body: bytes = b"x", at_s: float = 0
    ) -> str:
        return signer.headers(method, url, {"Content-Type": "a"}, body, at_s)["Authorization"]

    others = [signed("PUT"), signed(url="https://h/q?a=1"), signed(url="https://h/p?a=2"), signed(body=b"y")]
    others += [signed(url="https://i/p?a=1"), signed(at_s=86_400.0)]
    assert len({signed(), *others}) == 7
