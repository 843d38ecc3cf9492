import pytest

from voxd.providers.sunsets import sunset_of


@pytest.mark.parametrize(
    ("kind", "model", "ends"),
    [
        ("openai", "whisper-1", "2027-02-26"),
        ("openai", "gpt-4o-mini-transcribe", "2027-02-26"),
        ("openai", "gpt-4o-mini-tts", "2027-01-06"),
        ("openai", "gpt-4o", "2027-01-14"),
        ("openai_responses", "gpt-4.1-mini", "2027-01-14"),
        ("openai", "o3", "2026-12-11"),
        ("openai", "gpt-realtime", "2027-01-20"),
    ],
)
def test_an_announced_end_is_known(kind: str, model: str, ends: str) -> None:
    sunset = sunset_of(kind, model)
    assert sunset is not None
    assert sunset.ends.isoformat() == ends


@pytest.mark.parametrize(
    ("kind", "model", "endpoint"),
    [
        ("openai", "gpt-realtime-2.1-mini", ""),
        ("openai", "gpt-6-luna", ""),
        ("openai", "gpt-transcribe", ""),
        ("openai", "", ""),
        ("openai", "whisper-1", "http://10.0.0.2:8000/v1"),
        ("anthropic", "o3", ""),
    ],
)
def test_a_model_that_stays_is_passed_over(kind: str, model: str, endpoint: str) -> None:
    assert sunset_of(kind, model, endpoint) is None
