"""Money: the dated list, and what usage comes to."""

from datetime import date

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from voxd.providers.costs import cost_of, cost_of_stage
from voxd.providers.facts import PriceList, TextPrices, TokenPrices, facts
from voxd.providers.usage import Cost, Usage

LIST = PriceList(
    date=date(2026, 11, 20),
    tokens={
        "model": TokenPrices(text_in=4, text_cached=1, text_out=20, audio_in=30, audio_cached=2, audio_out=60)
    },
    minutes={"ears": 0.6, "live": 0.05},
    texts={"brain": TextPrices(text_in=2, text_cached=0.5, text_out=10)},
    characters={"voice": 15},
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
    cost = cost_of("model", usage, prices=LIST)
    assert cost == Cost(audio_cost=audio, text_cost=text, prices_of="2026-11-20")


def test_transcription_is_billed_by_the_minute_beside_the_tokens() -> None:
    usage = Usage(input_text_tokens=MILLION, transcribed_seconds=90)
    cost = cost_of("model", usage, transcriber="ears", prices=LIST)
    assert cost == Cost(audio_cost=pytest.approx(0.9), text_cost=4, prices_of="2026-11-20")


def test_a_price_that_is_missing_takes_the_date_away() -> None:
    cost = cost_of("model", Usage(transcribed_seconds=90), transcriber="unknown", prices=LIST)
    assert cost is not None
    assert cost.prices_of == ""


def test_a_model_that_is_billed_by_time_costs_its_minutes() -> None:
    cost = cost_of("live", Usage(audio_seconds=120), prices=LIST)
    assert cost == Cost(audio_cost=pytest.approx(0.1), prices_of="2026-11-20")


@pytest.mark.parametrize(
    ("kind", "model", "usage", "audio", "text"),
    [
        ("deepgram", "ears", Usage(transcribed_seconds=30), 0.3, 0),
        ("anthropic", "brain", Usage(input_text_tokens=MILLION, cached_text_tokens=MILLION // 2), 0, 1.25),
        ("anthropic", "brain-2026-11-01", Usage(output_text_tokens=MILLION), 0, 10),
        ("elevenlabs", "voice", Usage(characters=MILLION), 15, 0),
        ("openai_realtime", "model", Usage(input_text_tokens=MILLION, output_audio_tokens=MILLION), 60, 4),
        ("wyoming", "anything", Usage(characters=MILLION), 0, 0),
        ("local", "", Usage(transcribed_seconds=60), 0, 0),
    ],
)
def test_a_stage_costs_its_tokens_minutes_or_characters(
    kind: str, model: str, usage: Usage, audio: float, text: float
) -> None:
    cost = cost_of_stage(kind, model, usage, prices=LIST)
    assert cost == Cost(
        audio_cost=pytest.approx(audio), text_cost=pytest.approx(text), prices_of="2026-11-20"
    )


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
    assert (cost_of(model, Usage(), prices=LIST) is not None) == is_known


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
    assert cost.prices_of == facts().prices.date.isoformat() == "2026-11-20"


COUNT = st.integers(0, MILLION)


@examples(50)
@given(st.builds(Usage, input_text_tokens=COUNT, cached_text_tokens=COUNT, output_audio_tokens=COUNT))
def test_no_usage_is_paid_out(usage: Usage) -> None:
    cost = cost_of("model", usage, prices=LIST)
    assert cost is not None
    assert cost.audio_cost >= 0
    assert cost.text_cost >= 0
    more = cost_of("model", msgspec.structs.replace(usage, output_text_tokens=1), prices=LIST)
    assert more is not None
    assert more.total > cost.total
