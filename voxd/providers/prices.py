"""What usage costs, from a dated list of prices beside this module."""

import functools
from collections.abc import Container
from datetime import date
from importlib.resources import files

import msgspec
import tomli

from voxd.providers.usage import Cost, Usage

_PER = 1_000_000

FREE = frozenset({"local", "ollama", "wyoming"})
"""Kinds of stages that nobody sends a bill for: they run at home."""


class TokenPrices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """US dollars for a million tokens; cached input has a price of its own."""

    text_in: float
    text_cached: float
    text_out: float
    audio_in: float
    audio_cached: float
    audio_out: float


class TextPrices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """US dollars for a million tokens of a model that neither hears nor speaks."""

    text_in: float
    text_cached: float
    text_out: float


class PriceList(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The list as it was on ``date``; ``minutes`` are US dollars a minute, ``characters`` for a million."""

    date: date
    tokens: dict[str, TokenPrices]
    minutes: dict[str, float]
    texts: dict[str, TextPrices] = {}
    characters: dict[str, float] = {}


@functools.cache
def price_list() -> PriceList:
    """Return the list voxd was released with."""
    text = files("voxd.providers").joinpath("prices.toml").read_text("utf-8")
    return msgspec.convert(tomli.loads(text), PriceList)


def cost_of(
    model: str, usage: Usage, *, transcriber: str = "", prices: PriceList | None = None
) -> Cost | None:
    """Return what ``usage`` of ``model`` costs, None when the list does not have the model.

    ``transcriber`` is the model of the input transcription, billed apart by the minute. A dated model
    ("gpt-realtime-2.1-2026-05-12") costs what its name without the date costs.
    """
    prices = prices or price_list()
    heard = _known(transcriber, prices.minutes) if transcriber else None
    transcribed = prices.minutes[heard] * usage.transcribed_seconds / 60 if heard else 0.0
    complete = not usage.transcribed_seconds or not transcriber or heard is not None
    day = prices.date.isoformat() if complete else ""
    if name := _known(model, prices.tokens):
        audio, text = _of_tokens(prices.tokens[name], usage)
        return Cost(audio_cost=audio + transcribed, text_cost=text, prices_of=day)
    if name := _known(model, prices.minutes):
        audio = prices.minutes[name] * usage.audio_seconds / 60
        return Cost(audio_cost=audio + transcribed, prices_of=day)
    return None


def cost_of_stage(kind: str, model: str, usage: Usage, *, prices: PriceList | None = None) -> Cost | None:
    """Return what one request to a stage of ``kind`` (the vendor's) costs, None when no price is known.

    It is billed by the tokens, the minutes that were transcribed, or the characters that were spoken:
    whichever the list has for ``model``.
    """
    prices = prices or price_list()
    day = prices.date.isoformat()
    if kind in FREE:
        return Cost(prices_of=day)
    if name := _known(model, prices.texts):
        price = prices.texts[name]
        fresh = max(0, usage.input_text_tokens - usage.cached_text_tokens)
        text = price.text_in * fresh + price.text_cached * usage.cached_text_tokens
        return Cost(text_cost=(text + price.text_out * usage.output_text_tokens) / _PER, prices_of=day)
    if name := _known(model, prices.minutes):
        return Cost(audio_cost=prices.minutes[name] * usage.transcribed_seconds / 60, prices_of=day)
    if name := _known(model, prices.tokens):
        audio, text = _of_tokens(prices.tokens[name], usage)
        return Cost(audio_cost=audio, text_cost=text, prices_of=day)
    if name := _known(model, prices.characters):
        return Cost(audio_cost=prices.characters[name] * usage.characters / _PER, prices_of=day)
    return None


def has_price(kind: str, model: str) -> bool:
    """Whether the use of ``model`` of a vendor of ``kind`` can be counted in dollars."""
    prices = price_list()
    tables = (prices.tokens, prices.texts, prices.minutes, prices.characters)
    return kind in FREE or any(_known(model, table) is not None for table in tables)


def _of_tokens(price: TokenPrices, usage: Usage) -> tuple[float, float]:
    """Return dollars for sound and for text. Cached tokens are part of the input, not beside it."""
    audio = (
        price.audio_in * max(0, usage.input_audio_tokens - usage.cached_audio_tokens)
        + price.audio_cached * usage.cached_audio_tokens
        + price.audio_out * usage.output_audio_tokens
    )
    text = (
        price.text_in * max(0, usage.input_text_tokens - usage.cached_text_tokens)
        + price.text_cached * usage.cached_text_tokens
        + price.text_out * usage.output_text_tokens
    )
    return audio / _PER, text / _PER


def _known(model: str, names: Container[str]) -> str | None:
    # No looser than this: "gpt-realtime-2.1-mini" must never be priced as "gpt-realtime-2.1".
    if model in names:
        return model
    base, _, rest = model.partition("-20")
    return base if base in names and len(rest) == 8 else None
