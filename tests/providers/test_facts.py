"""Facts about vendors: shutdowns, limits, voices, defaults, and the facts of third-party packages."""

import sys
from datetime import date
from pathlib import Path

import pytest

from voxd.config.provider_rules import GROUPS
from voxd.providers import facts as module
from voxd.providers import registry
from voxd.providers.facts import (
    Facts,
    config_facts,
    default_model,
    default_voice,
    facts,
    is_free,
    option_types,
)

REALTIME_VOICES = ["alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar"]


def test_every_built_in_kind_has_facts() -> None:
    found = config_facts().installed
    assert registry.GROUP in GROUPS
    assert {"openai", "azure", "gemini", "custom", "mock"} <= set(found["providers"])
    assert {"openai", "deepgram"} <= set(found["stt"]) & set(found["tts"])
    assert {kind for names in found.values() for kind in names} - {"pipeline"} == set(facts().kinds)


PRICED = [
    (kind, stage, model) for kind, each in facts().kinds.items() for stage, model in each.models.items()
]


@pytest.mark.parametrize(("kind", "stage", "model"), PRICED)
def test_every_default_model_has_a_dated_price_with_its_source(kind: str, stage: str, model: str) -> None:
    price = facts().prices.find(model, kind) or facts().prices.find(stage, kind)
    if price is None:
        assert is_free(kind)
        return
    assert price.as_of is not None
    assert date(2024, 1, 1) <= price.as_of <= date(2026, 11, 30)
    assert price.source.startswith("https://")


@pytest.mark.parametrize("stage", ["providers", "stt", "llm", "tts"])
def test_every_kind_of_a_stage_is_free_has_a_price_or_is_a_server_of_the_owner(stage: str) -> None:
    for kind in config_facts().installed[stage]:
        known = facts().prices.by_kind.get(kind) or {}
        named = facts().kind(kind).models.get("realtime" if stage == "providers" else stage, "")
        priced = facts().prices.find(named, kind) or known.get(stage)
        # Azure OpenAI has the models of OpenAI; the engine of Polly is an option.
        is_other = kind in {"custom", "mock", "pipeline"} or (kind, stage) in {
            ("azure", "providers"),
            ("aws", "tts"),
        }
        assert priced is not None or is_free(kind) or is_other, (kind, stage)


def test_cached_input_is_never_dearer_and_nothing_is_free() -> None:
    for prices in facts().prices.by_kind.values():
        for name, price in prices.items():
            amounts = {each: getattr(price, each) for each in price.__struct_fields__ if each[:4] == "usd_"}
            given = {each: amount for each, amount in amounts.items() if amount is not None}
            assert given, name
            assert all(amount > 0 for amount in given.values()), name
            for sound in ("", "audio_"):
                cached, fresh = (given.get(f"usd_per_million_{sound}{each}") for each in ("cached", "input"))
                assert cached is None or (fresh is not None and cached <= fresh), name
                assert (fresh is None) == (given.get(f"usd_per_million_{sound}output") is None), name
            assert price.source.startswith("https://")
            assert price.as_of is not None


@pytest.mark.parametrize(
    ("kind", "stage", "model"),
    [
        ("openai", "realtime", "gpt-realtime-2.1-mini"),
        ("deepgram_flux", "stt", "flux-general-en"),
        ("aws", "stt", ""),
        ("unknown", "llm", ""),
    ],
)
def test_a_stage_has_the_default_model_of_its_kind(kind: str, stage: str, model: str) -> None:
    assert default_model(kind, stage) == model


@pytest.mark.parametrize(("kind", "voice"), [("openai", "alloy"), ("aws", "Joanna"), ("wyoming", "")])
def test_text_to_speech_has_the_default_voice_of_its_kind(kind: str, voice: str) -> None:
    assert default_voice(kind) == voice


@pytest.mark.parametrize(("kind", "free"), [("local", True), ("ollama", True), ("openai", False)])
def test_only_what_runs_at_home_is_free(kind: str, free: bool) -> None:
    assert is_free(kind) is free


@pytest.mark.parametrize(
    ("kind", "per_minute"),
    [
        ("openai", 100),
        ("openai_responses", 100),
        ("huggingface", 200),
        ("deepgram", 30),
        ("deepgram_flux", 30),
        ("anthropic", None),
        ("", None),
    ],
)
def test_vendors_have_their_usual_limits(kind: str, per_minute: int | None) -> None:
    assert facts().kind(kind).requests_per_minute == per_minute


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
def test_an_announced_shutdown_is_known(kind: str, model: str, ends: str) -> None:
    shutdown = facts().shutdown_of(kind, model)
    assert shutdown is not None
    assert shutdown.ends.isoformat() == ends


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
def test_a_model_that_stays_has_no_shutdown(kind: str, model: str, endpoint: str) -> None:
    assert facts().shutdown_of(kind, model, endpoint) is None


@pytest.mark.parametrize(
    ("voice", "kind", "similar"),
    [
        ("alloy", "azure_speech", "en-US-JennyNeural"),
        ("nova", "azure_speech", "en-US-AriaNeural"),
        ("echo", "azure_speech", "en-US-GuyNeural"),
        ("en-US-JennyNeural", "openai", "alloy"),
        ("en-US-JennyNeural", "gemini", "Kore"),
        ("alloy", "gemini", "Kore"),
        ("Puck", "openai", "echo"),
        ("Puck", "gemini", "Puck"),
        ("Fenrir", "openai", "ballad"),
        ("marin", "azure", "marin"),
        ("nova", "openai", "marin"),
        ("onyx", "azure", "cedar"),
        ("nova", "custom", "nova"),
        ("Aoede", "custom", "marin"),
        ("nova", "gemini", "Aoede"),
        ("", "gemini", ""),
        ("voice_mine", "openai", "voice_mine"),
        ("voice_mine", "parrot", "voice_mine"),
        ("alloy", "parrot", ""),
        ("alloy", "mock", ""),
    ],
)
def test_a_voice_becomes_the_most_similar_one(voice: str, kind: str, similar: str) -> None:
    assert facts().voice_for(voice, kind) == similar


@pytest.mark.parametrize("voice", REALTIME_VOICES)
@pytest.mark.parametrize("kind", ["openai", "azure", "custom", "gpt_live"])
def test_a_vendor_keeps_its_own_voices(voice: str, kind: str) -> None:
    assert facts().voice_for(voice, kind) == voice


@pytest.mark.parametrize("voice", REALTIME_VOICES)
def test_a_voice_converted_there_and_back_exists(voice: str) -> None:
    assert facts().voice_for(facts().voice_for(voice, "gemini"), "openai") in REALTIME_VOICES


THIRD_PARTY = """
[kinds.parrot]
needs_key = true
models = { llm = "squawk-1" }

[kinds.openai]
is_free = true

[prices]
as_of = 2026-01-01
source = "https://parrot.example/prices"

[prices.models.squawk-1]
usd_per_minute = 0.5

[prices.models.nova-3]
usd_per_minute = 9.0
"""


def package_with(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Facts:
    """Install a package that breaks when it is imported, with ``text`` as its facts, and read all facts."""
    package = tmp_path / "parrot_package"
    (package / "stages").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError")
    (package / "stages" / "llm.py").write_text("raise RuntimeError")
    (package / "stages" / "__init__.py").touch()
    (package / "stages" / "facts.toml").write_text(text)
    info = tmp_path / "parrot_package-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: parrot_package\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[voxd.llm]\nparrot = parrot_package.stages.llm:Parrot\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    facts.cache_clear()
    try:
        return facts()
    finally:
        facts.cache_clear()


def test_a_package_brings_facts_without_being_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = package_with(THIRD_PARTY, tmp_path, monkeypatch)
    assert found.kind("parrot").needs_key
    assert found.kind("parrot").models == {"llm": "squawk-1"}
    price = found.prices.find("squawk-1", "parrot")
    assert price is not None
    assert (price.usd_per_minute, price.day) == (0.5, "2026-01-01")
    assert "parrot_package" not in sys.modules


def test_a_package_cannot_change_what_is_built_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = package_with(THIRD_PARTY, tmp_path, monkeypatch)
    assert not found.kind("openai").is_free
    for kind in ("deepgram", "", "custom"):
        price = found.prices.find("nova-3", kind)
        assert price is not None
        assert price.usd_per_minute == 0.0048


@pytest.mark.parametrize("text", ["not toml", "[kinds.parrot]\nis_fre = true", ""])
def test_broken_facts_of_a_package_are_ignored_with_a_warning(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    found = package_with(text, tmp_path, monkeypatch)
    assert "parrot" not in found.kinds
    assert "openai" in found.kinds
    assert caplog.records[0].name == module.__name__


SCHEMA = """
import msgspec
class Options(msgspec.Struct):
    volume: int = 3
class Parrot:
    options_type = Options
class Free:
    pass
"""


@pytest.mark.parametrize("declared", [True, False])
def test_a_package_declares_its_options_in_its_facts_or_on_its_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, declared: bool
) -> None:
    name = f"macaw_{'in_facts' if declared else 'on_class'}"
    package = tmp_path / name
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "llm.py").write_text(SCHEMA)
    options = f'[kinds.macaw.options]\nllm = "{name}.llm:Options"\n' if declared else ""
    (package / "facts.toml").write_text(f"[kinds.macaw]\n{options}")
    info = tmp_path / f"{name}-1.dist-info"
    info.mkdir()
    entries = f"[voxd.llm]\nmacaw = {name}.llm:Parrot\nfree = {name}.llm:Free\nbroken = {name}.gone:Gone\n"
    (info / "entry_points.txt").write_text(entries)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    facts.cache_clear()
    try:
        [mistake] = option_types("macaw").check({"volumme": 3, "volume": 4, "ca_file": "x"}, ("llm",))
        assert (mistake.path, mistake.hint) == (("volumme",), 'did you mean "volume"?')
        # Without a schema, or when it cannot be read, anything is accepted.
        for kind in ("free", "broken", "unknown"):
            assert list(option_types(kind).check({"volumme": 3}, ("llm",))) == []
    finally:
        facts.cache_clear()
