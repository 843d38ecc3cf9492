"""Money: the dated list, and what usage comes to."""

from datetime import date

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from voxd.config import provider_schema, schema
from voxd.config.money_schema import Price
from voxd.providers.costs import (
    UPPER,
    Prices,
    cost_of,
    cost_of_stage,
    has_price,
    prices_for,
    session_cost,
    upper_cost,
)
from voxd.providers.facts import ModelPrice, PriceTable, facts
from voxd.providers.usage import Cost, Usage, add_costs

DAY = date(2026, 11, 20)


def price(**amounts: float) -> ModelPrice:
    return msgspec.convert({**amounts, "as_of": DAY, "source": "https://example.org"}, ModelPrice)


LIST = Prices(
    table=PriceTable(
        {
            "openai": {
                "model": price(
                    usd_per_million_input=4,
                    usd_per_million_cached=1,
                    usd_per_million_output=20,
                    usd_per_million_audio_input=30,
                    usd_per_million_audio_cached=2,
                    usd_per_million_audio_output=60,
                ),
                "live": price(usd_per_minute=0.05),
                "ears-2": price(usd_per_minute=0.6),
            },
            "deepgram": {"ears": price(usd_per_minute=0.6), "stt": price(usd_per_minute=9)},
            "anthropic": {
                "brain": price(usd_per_million_input=2, usd_per_million_cached=0.5, usd_per_million_output=10)
            },
            "elevenlabs": {
                "voice*": price(usd_per_million_characters=15),
                "*HD*": price(usd_per_million_characters=30),
            },
        }
    )
)
MILLION = 1_000_000


@pytest.mark.parametrize(
    ("usage", "audio", "text"),
    [
        (Usage(), 0, 0),
        (Usage(input_text_tokens=MILLION), 0, 4),
        (Usage(output_text_tokens=MILLION), 0, 20),
        (Usage(input_audio_tokens=MILLION), 30, 0),
        (Usage(output_audio_tokens=MILLION), 60, 0),
        (Usage(input_text_tokens=MILLION, cached_text_tokens=MILLION // 2), 0, 2.5),
        (Usage(input_audio_tokens=MILLION, cached_audio_tokens=MILLION), 2, 0),
        (Usage(audio_seconds=3600, total_sessions=7, responses=9), 0, 0),
    ],
)
def test_tokens_cost_what_the_list_says(usage: Usage, audio: float, text: float) -> None:
    cost = cost_of("model", usage, kind="openai", prices=LIST)
    assert cost == Cost(audio_cost=audio, text_cost=text, prices_of="2026-11-20")


def test_transcription_is_billed_by_the_minute_beside_the_tokens() -> None:
    usage = Usage(input_text_tokens=MILLION, transcribed_seconds=90)
    cost = cost_of("model", usage, transcriber="ears-2", kind="openai", prices=LIST)
    assert cost == Cost(audio_cost=pytest.approx(0.9), text_cost=4, prices_of="2026-11-20")


def test_a_price_that_is_missing_takes_the_date_away() -> None:
    cost = cost_of("model", Usage(transcribed_seconds=90), transcriber="unknown", kind="openai", prices=LIST)
    assert cost is not None
    assert cost.prices_of == ""


def test_a_model_that_is_billed_by_time_costs_its_minutes() -> None:
    cost = cost_of("live", Usage(audio_seconds=120), kind="openai", prices=LIST)
    assert cost == Cost(audio_cost=pytest.approx(0.1), prices_of="2026-11-20")


@pytest.mark.parametrize(
    ("kind", "model", "usage", "audio", "text"),
    [
        ("deepgram", "ears", Usage(transcribed_seconds=30), 0.3, 0),
        ("anthropic", "brain", Usage(input_text_tokens=MILLION, cached_text_tokens=MILLION // 2), 0, 1.25),
        ("anthropic", "brain-2026-11-01", Usage(output_text_tokens=MILLION), 0, 10),
        ("elevenlabs", "voice_v2", Usage(characters=MILLION), 15, 0),
        ("elevenlabs", "my-HD-voice", Usage(characters=MILLION), 30, 0),
        ("deepgram", "another", Usage(transcribed_seconds=60), 9, 0),
        ("custom", "ears-2", Usage(transcribed_seconds=60), 0.6, 0),
        ("openai", "model", Usage(input_text_tokens=MILLION, output_audio_tokens=MILLION), 60, 4),
        ("wyoming", "anything", Usage(characters=MILLION), 0, 0),
        ("local", "", Usage(transcribed_seconds=60), 0, 0),
    ],
)
def test_a_stage_costs_its_tokens_minutes_or_characters(
    kind: str, model: str, usage: Usage, audio: float, text: float
) -> None:
    cost = cost_of_stage(kind, model, usage, stage="stt", prices=LIST)
    assert cost is not None
    assert (cost.audio_cost, cost.text_cost) == (pytest.approx(audio), pytest.approx(text))
    assert cost.prices_of == "2026-11-20" or kind in {"wyoming", "local"}


def test_a_stage_that_is_not_in_the_list_has_no_price() -> None:
    assert cost_of_stage("openai", "another", Usage(characters=5), prices=LIST) is None


@pytest.mark.parametrize(
    ("model", "usage", "dollars"),
    [
        ("nova-3", Usage(transcribed_seconds=60), 0.0048),
        ("claude-sonnet-5-5", Usage(input_text_tokens=MILLION, output_text_tokens=MILLION), 12.0),
    ],
)
def test_the_list_has_the_prices_of_stages(model: str, usage: Usage, dollars: float) -> None:
    cost = cost_of_stage("any", model, usage)
    assert cost is not None
    assert cost.total == pytest.approx(dollars)


@pytest.mark.parametrize(
    ("model", "is_known"),
    [
        ("model", True),
        ("model-2026-05-12", True),
        ("model-mini", False),
        ("model-mini-2026-05-12", False),
        ("model-20", False),
        ("another", False),
        ("", False),
    ],
)
def test_only_a_date_may_stand_behind_a_name(model: str, is_known: bool) -> None:
    assert (cost_of(model, Usage(), kind="openai", prices=LIST) is not None) == is_known


@pytest.mark.parametrize(
    ("model", "dollars"),
    [("gpt-realtime-2.1-mini", 0.6 + 2.4 + 10 + 20), ("gpt-realtime-2.1", 4 + 24 + 32 + 64)],
)
def test_the_list_has_the_prices_of_its_day(model: str, dollars: float) -> None:
    usage = Usage(
        input_text_tokens=MILLION,
        output_text_tokens=MILLION,
        input_audio_tokens=MILLION,
        output_audio_tokens=MILLION,
    )
    cost = cost_of(model, usage)
    assert cost is not None
    assert cost.total == pytest.approx(dollars)
    assert cost.prices_of == "2026-11-05"


COUNT = st.integers(0, MILLION)


@examples(50)
@given(st.builds(Usage, input_text_tokens=COUNT, cached_text_tokens=COUNT, output_audio_tokens=COUNT))
def test_no_usage_is_paid_out(usage: Usage) -> None:
    cost = cost_of("model", usage, kind="openai", prices=LIST)
    assert cost is not None
    assert cost.audio_cost >= 0
    assert cost.text_cost >= 0
    dearer = msgspec.structs.replace(usage, output_text_tokens=1)
    more = cost_of("model", dearer, kind="openai", prices=LIST)
    assert more is not None
    assert more.total > cost.total


# --- prices of the owner, and the upper estimate ------------------------------------------------------

OWN = (
    Price(model="gpt-6-*", provider="cheap", usd_per_million_input=0.0, usd_per_million_output=0.0),
    Price(model="gpt-6-*", usd_per_million_input=7.0, usd_per_million_output=9.0),
    Price(model="*", provider="home", usd_per_minute=0.0, usd_per_million_input=0.0),
)


def config(total: float | None = None, own: float | None = None) -> schema.Config:
    names = {"cheap": None, "home": None, "any": own}
    return schema.Config(
        providers={
            name: provider_schema.ProviderConfig(kind="openai", usd_per_day=limit)
            for name, limit in names.items()
        },
        spend=schema.Spend(usd_per_day=total),
        prices=OWN,
    )


@pytest.mark.parametrize(
    ("name", "model", "dollars"),
    [
        ("any", "gpt-6-luna", 7.0 + 9.0),
        ("cheap", "gpt-6-luna", 0.0),
        ("any", "gpt-5-mini", 2.25),
        ("home", "whatever", 0.0),
        ("any", "whatever", None),
    ],
)
def test_the_owners_prices_count_first(name: str, model: str, dollars: float | None) -> None:
    used = Usage(input_text_tokens=MILLION, output_text_tokens=MILLION)
    cost = cost_of_stage("openai", model, used, stage="llm", prices=prices_for(config(), name))
    assert (cost is None) == (dollars is None)
    assert cost is None or cost.total == pytest.approx(dollars)


@pytest.mark.parametrize(
    ("total", "own", "counts"), [(None, None, False), (5.0, None, True), (None, 5.0, True)]
)
def test_an_unknown_model_is_counted_under_a_limit_only(
    total: float | None, own: float | None, counts: bool
) -> None:
    prices = prices_for(config(total, own), "any")
    cost = cost_of_stage("openai", "whatever", Usage(input_text_tokens=1000), stage="llm", prices=prices)
    assert (cost is not None) == counts
    if cost is not None:
        assert cost.total > 0
        assert (cost.is_upper_estimate, cost.prices_of) == (True, "")


@pytest.mark.parametrize("kind", ["openai", "custom", "anthropic", "huggingface", "parrot", "aws", "gemini"])
@pytest.mark.parametrize("stage", ["stt", "llm", "tts"])
@pytest.mark.parametrize(
    "used",
    [
        Usage(characters=1),
        Usage(transcribed_seconds=0.1),
        Usage(input_text_tokens=1),
        Usage(output_audio_tokens=1),
        Usage(responses=1),
    ],
)
def test_no_unknown_name_counts_as_zero_under_a_limit(kind: str, stage: str, used: Usage) -> None:
    prices = Prices(counts_unknown=True)
    cost = cost_of_stage(kind, "nobody-knows-me", used, voice="nor me", stage=stage, prices=prices)
    assert cost is not None
    assert cost.total > 0


def test_a_price_in_another_unit_is_no_price() -> None:
    own = (Price(model="x", usd_per_million_input=1.0),)
    used = Usage(characters=MILLION)
    assert cost_of_stage("custom", "x", used, prices=Prices(own)) is None
    assert cost_of_stage("custom", "x", used, prices=Prices(own, counts_unknown=True)) == upper_cost(used)


@pytest.mark.parametrize(
    ("cost", "is_upper"),
    [
        (None, True),
        (Cost(1.0, 2.0, "2026-11-20"), False),
        (Cost(1.0, 2.0, ""), True),
    ],
)
def test_a_session_is_completed_under_a_limit(cost: Cost | None, is_upper: bool) -> None:
    used = Usage(audio_seconds=60.0, transcribed_seconds=30.0)
    assert session_cost(cost, used, Prices()) == cost
    found = session_cost(cost, used, Prices(counts_unknown=True))
    assert found is not None
    assert found.is_upper_estimate is is_upper
    assert found.total >= (cost.total if cost is not None else 0.3)
    assert (found == cost) is not is_upper


@pytest.mark.parametrize("usage", [Usage(), Usage(input_text_tokens=9, output_audio_tokens=9)])
def test_an_owners_price_of_minutes_counts_the_sound_of_a_session(usage: Usage) -> None:
    prices = Prices((Price(model="my-*", usd_per_minute=0.6),), counts_unknown=True)
    stated = cost_of("my-live", usage, prices=prices)
    used = msgspec.structs.replace(usage, audio_seconds=30.0)
    assert session_cost(stated, used, prices, model="my-live") == Cost(
        audio_cost=pytest.approx(0.3), prices_of="[[prices]]"
    )


def test_an_estimate_in_a_sum_is_still_one() -> None:
    total = add_costs(Cost(1.0, 0.0, "2026-11-20"), Cost(1.0, 0.0, "", is_upper_estimate=True))
    assert total == Cost(2.0, 0.0, "", is_upper_estimate=True)


def test_the_upper_estimate_is_above_every_price_that_is_known() -> None:
    amounts = [name for name in ModelPrice.__struct_fields__ if name.startswith("usd_per_mi")]
    for prices in facts().prices.by_kind.values():
        for name, known in prices.items():
            for amount in amounts:
                most = getattr(UPPER, amount) or UPPER.usd_per_million_input
                assert (getattr(known, amount) or 0.0) <= most, (name, amount)


@pytest.mark.parametrize(
    ("kind", "model", "known"),
    [("openai", "gpt-6-luna", True), ("openai", "x", False), ("ollama", "x", True), ("aws", "", False)],
)
def test_whether_a_price_is_known(kind: str, model: str, known: bool) -> None:
    assert has_price(kind, model) is known
    assert has_price("aws", "", stage="stt")


@pytest.mark.parametrize(
    ("kind", "model", "voice", "stage", "used", "dollars"),
    [
        ("deepgram_flux", "flux-general-en", "", "stt", Usage(transcribed_seconds=60), 0.0077),
        ("deepgram_flux", "flux-general-multi", "", "stt", Usage(transcribed_seconds=60), 0.0078),
        ("deepgram", "aura-2-thalia-en", "", "tts", Usage(characters=MILLION), 30.0),
        ("elevenlabs", "eleven_flash_v2_5", "JBFqnCBsd6RMkjVDRZzb", "tts", Usage(characters=MILLION), 50.0),
        ("openai", "tts-1", "alloy", "tts", Usage(characters=MILLION), 15.0),
        ("openai", "gpt-6-luna", "", "llm", Usage(input_text_tokens=MILLION), 0.1),
        ("openai", "gpt-4o-mini-2024-07-18", "", "llm", Usage(output_text_tokens=MILLION), 0.6),
        ("aws", "neural", "Joanna", "tts", Usage(characters=MILLION), 16.0),
        ("aws", "generative", "Ruth", "tts", Usage(characters=MILLION), 30.0),
        ("azure", "neural", "en-US-AvaMultilingualNeural", "tts", Usage(characters=MILLION), 16.0),
        ("azure", "neural", "en-US-Ava:DragonHDLatestNeural", "tts", Usage(characters=MILLION), 30.0),
        ("google", "", "en-US-Chirp3-HD-Kore", "tts", Usage(characters=MILLION), 30.0),
        ("google", "", "en-US-Standard-C", "tts", Usage(characters=MILLION), 4.0),
        ("google", "latest_short", "", "stt", Usage(transcribed_seconds=60), 0.024),
        ("aws", "", "", "stt", Usage(transcribed_seconds=60), 0.024),
        ("azure", "", "", "stt", Usage(transcribed_seconds=3600), 1.0),
        ("assemblyai", "universal-3-6-pro", "", "stt", Usage(transcribed_seconds=3600), 0.45),
        ("custom", "openai/gpt-oss-20b", "", "llm", Usage(input_text_tokens=MILLION), None),
    ],
)
def test_what_the_vendors_ask(
    kind: str, model: str, voice: str, stage: str, used: Usage, dollars: float | None
) -> None:
    cost = cost_of_stage(kind, model, used, voice=voice, stage=stage)
    assert (cost is None) == (dollars is None)
    assert cost is None or cost.total == pytest.approx(dollars, rel=1e-4)
