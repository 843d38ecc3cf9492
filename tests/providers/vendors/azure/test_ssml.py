import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxd.providers.vendors.azure.ssml import ssml

SSML = "{http://www.w3.org/2001/10/synthesis}"
ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def parsed(document: str) -> ElementTree.Element:
    return ElementTree.fromstring(document.encode())


@settings(max_examples=60)
@given(st.text(), st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_any_text_comes_out_as_it_went_in(text: str, voice: str, style: str, rate: str) -> None:
    speak = parsed(ssml(text, voice=voice, language="en-US", style=style, prosody={"rate": rate}))
    assert "".join(speak.itertext()) == ILLEGAL.sub("", text)
    found = speak.find(f"{SSML}voice")
    assert found is not None
    wanted = ILLEGAL.sub("", voice)
    assert re.sub(r"\s", " ", found.get("name", "")) == re.sub(r"\s", " ", wanted)


@pytest.mark.parametrize(
    "text",
    ["</voice></speak>", "a & b", "]]>", "<break time='9s'/>", "\r\n\t x", "&amp;", "\x00\x1b[0m", "\ud800"],
)
def test_no_text_is_taken_for_markup(text: str) -> None:
    speak = parsed(ssml(text, voice='v"><audio src="x"/>', language="en-US"))
    assert "".join(speak.itertext()) == ILLEGAL.sub("", text)
    assert [element.tag for element in speak.iter()] == [f"{SSML}speak", f"{SSML}voice"]


def test_what_is_not_configured_is_not_said() -> None:
    speak = parsed(ssml("Hello.", voice="v", language="en-US", prosody={"rate": "", "pitch": ""}))
    assert [element.tag for element in speak.iter()] == [f"{SSML}speak", f"{SSML}voice"]
    assert speak.get("version") == "1.0"


def test_style_and_prosody_stand_around_the_text() -> None:
    document = ssml(
        "Hi.", voice="v", language="en-US", style="cheerful", prosody={"rate": "slow", "volume": "+5%"}
    )
    express, prosody = list(parsed(document).iter())[2:]
    assert (express.tag, express.attrib) == (
        "{https://www.w3.org/2001/mstts}express-as",
        {"style": "cheerful"},
    )
    assert (prosody.tag, prosody.attrib) == (f"{SSML}prosody", {"rate": "slow", "volume": "+5%"})
    assert prosody.text == "Hi."
