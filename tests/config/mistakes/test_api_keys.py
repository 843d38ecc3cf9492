import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxd.config.mistakes.api_keys import PREFIXES, cleaned, problem_of_key, vendor_of

OPENAI = "sk-proj-0123456789abcdef"


@pytest.mark.parametrize(
    ("key", "vendor"),
    [
        (OPENAI, "OpenAI"),
        ("sk-ant-api03-abc", "Anthropic"),
        ("sk-or-v1-abc", "OpenRouter"),
        ("AIzaSyabc", "Google"),
        ("gsk_abc", "Groq"),
        ("hf_abc", "Hugging Face"),
        ("xai-abc", "xAI"),
        ("AKIAIOSFODNN7EXAMPLE", "AWS"),
        ("sk_" + "0a" * 24, "ElevenLabs"),
        # DeepSeek and old keys of OpenAI look the same.
        ("sk-0123456789abcdef0123456789abcdef", ""),
        ("0123456789abcdef0123456789abcdef", ""),
    ],
)
def test_a_vendor_is_known_by_the_beginning_of_its_keys(key: str, vendor: str) -> None:
    assert vendor_of(key) == vendor


def test_no_prefix_hides_a_longer_one() -> None:
    for index, (prefix, _) in enumerate(PREFIXES):
        assert not any(prefix.startswith(earlier) for earlier, _ in PREFIXES[:index])


@pytest.mark.parametrize(
    ("key", "kind", "problem"),
    [
        (OPENAI, "openai", ""),
        (OPENAI, "", ""),
        (OPENAI, "ollama", ""),
        ("anything", "deepgram", ""),
        (f"Bearer {OPENAI}", "openai", 'the key was pasted with the word before it, such as "Bearer"'),
        (f"Token {OPENAI}", "deepgram", 'the key was pasted with the word before it, such as "Bearer"'),
        (f"'{OPENAI}'", "openai", "the key was pasted with quotes"),
        (f" {OPENAI}", "openai", "the key was pasted with blanks"),
        (f"{OPENAI}\n ", "openai", "the key was pasted with blanks"),
        (f"OPENAI_API_KEY={OPENAI}", "openai", "the key was pasted with the name of a variable"),
        ("sk-proj-0123 456", "openai", "the key has blanks or control characters in it"),
        ("", "openai", "the key is empty"),
        ("your-api-key", "openai", "this is a placeholder, not a key"),
        ("YOUR_OPENAI_KEY", "openai", "this is a placeholder, not a key"),
        ("<key>", "openai", "this is a placeholder, not a key"),
        ("$OPENAI_API_KEY", "openai", "this is a placeholder, not a key"),
        ("sk-...", "openai", "this is a placeholder, not a key"),
        ("https://api.openai.com", "openai", "this is an address, not a key"),
        ("sk-ant-api03-abc", "openai", "this is a key of Anthropic, and openai needs one of OpenAI"),
        (OPENAI, "anthropic", "this is a key of OpenAI, and anthropic needs one of Anthropic"),
        (OPENAI, "deepgram", "this is a key of OpenAI, and deepgram needs one of Deepgram"),
        ("AIzaSyabc", "azure", "this is a key of Google, and azure needs one of Azure"),
        ('{\n "type": "service_account"\n}', "google", ""),
    ],
)
def test_what_is_wrong_with_a_key_is_named(key: str, kind: str, problem: str) -> None:
    assert problem_of_key(key, kind) == problem


@given(st.from_regex(r"[A-Za-z0-9]{8,40}", fullmatch=True))
def test_a_plain_key_is_left_alone(key: str) -> None:
    assert cleaned(key) == (key, [])


@given(st.text(max_size=60), st.sampled_from(["", "openai", "deepgram"]))
def test_a_problem_never_has_the_key_in_it(text: str, kind: str) -> None:
    marked = f"QZQZ{text}QZQZ"
    assert "QZQZ" not in problem_of_key(marked, kind)
