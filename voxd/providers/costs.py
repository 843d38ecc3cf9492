"""What usage costs: by the owner's prices, else the dated lists of the vendors, else an estimate."""

import fnmatch
from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType

import msgspec

from voxd.config.money_schema import Price
from voxd.config.schema import Config
from voxd.providers.facts import ModelPrice, PriceTable, facts, is_free
from voxd.providers.usage import Cost, Usage

# Prices are per million tokens or characters, as vendors publish them.
_PER = 1_000_000

OWN = "[[prices]]"
"""The source of a price of the owner."""

UPPER = ModelPrice(
    usd_per_million_input=20.0,
    usd_per_million_output=100.0,
    usd_per_million_audio_input=100.0,
    usd_per_million_audio_output=200.0,
    usd_per_million_characters=200.0,
    usd_per_minute=0.3,
    usd_per_request=0.001,
)
"""What a model without a known price is counted with under a daily limit: more than any price we know."""

UPPER_IN_WORDS = (
    f"{UPPER.usd_per_million_input:g} and {UPPER.usd_per_million_output:g} USD a million text tokens in and "
    f"out, {UPPER.usd_per_million_audio_input:g} and {UPPER.usd_per_million_audio_output:g} a million audio "
    f"tokens, {UPPER.usd_per_million_characters:g} a million characters, {UPPER.usd_per_minute:g} a minute"
)


@dataclass(frozen=True, slots=True)
class Prices:
    """The prices of one configured provider.

    ``own`` are those of ``[[prices]]``, the first that fits counts. ``counts_unknown``: a daily limit is set,
    so a model without a price is counted by `UPPER`.
    """

    own: tuple[Price, ...] = ()
    counts_unknown: bool = False
    table: PriceTable | None = None

    def find(self, names: Iterable[str], kind: str = "") -> ModelPrice | None:
        """Return the price of a model or voice that has one of ``names``, None when there is none."""
        names = [name for name in names if name]
        for price in self.own:
            if any(fnmatch.fnmatchcase(name, price.model) for name in names):
                return ModelPrice(**{each: getattr(price, each) for each in _AMOUNTS}, source=OWN)
        table = self.table or facts().prices
        return next(filter(None, (table.find(name, kind) for name in names)), None)


_AMOUNTS = tuple(name for name in Price.__struct_fields__ if name.startswith("usd_"))


def prices_for(config: Config, name: str) -> Prices:
    """Return the prices of provider ``name`` of ``config``."""
    provider = config.providers.get(name)
    limits = (config.spend.usd_per_day, provider.usd_per_day if provider is not None else None)
    own = tuple(price for price in config.prices if price.provider in ("", name))
    return Prices(own, counts_unknown=any(limit is not None for limit in limits))


def cost_of(
    model: str, usage: Usage, *, transcriber: str = "", kind: str = "", prices: Prices | None = None
) -> Cost | None:
    """Return the cost of ``usage`` of the speech-to-speech ``model``, None when its price is unknown.

    ``transcriber`` is the model of the input transcription, billed separately by the minute. A dated model
    ("gpt-realtime-2.1-2026-05-12") costs the same as its name without the date.
    """
    prices = prices or Prices()
    price = prices.find([model.removeprefix("models/")], kind)
    if price is None:
        return None
    # The owner may have chosen another unit; how much sound there was only the session knows: `session_cost`.
    needs_sound = price.usd_per_minute is not None and not usage.audio_seconds
    if price.source == OWN and (needs_sound or not _covers(price, usage)):
        return None
    # Such a model is billed by the time its session is open (GPT-Live), not by tokens.
    audio, text = _dollars(price, usage, usage.audio_seconds)
    days = [price.day]
    if transcriber and usage.transcribed_seconds:
        hearing = prices.find([transcriber], kind)
        minutes = hearing.usd_per_minute if hearing is not None else None
        audio += (minutes or 0.0) * usage.transcribed_seconds / 60
        # A sum without the price of the transcription is only a lower bound: an empty date says so.
        days.append("" if hearing is None or minutes is None else hearing.day)
    return Cost(audio_cost=audio, text_cost=text, prices_of=min(days))


def cost_of_stage(
    kind: str, model: str, usage: Usage, *, voice: str = "", stage: str = "", prices: Prices | None = None
) -> Cost | None:
    """Return the cost of one request to a stage of ``kind``, None when its price is unknown.

    The unit is the one the price has: tokens, minutes of transcribed sound, or characters of synthesized
    text. The price may be that of the ``voice``, or of all models of ``kind`` for this ``stage``.
    """
    if is_free(kind):
        return Cost(prices_of=facts().prices.as_of)
    prices = prices or Prices()
    price = prices.find([voice, model, stage], kind)
    if price is None or not _covers(price, usage):
        return upper_cost(usage) if prices.counts_unknown else None
    audio, text = _dollars(price, usage, usage.transcribed_seconds)
    return Cost(audio_cost=audio, text_cost=text, prices_of=price.day)


def upper_cost(usage: Usage, seconds: float | None = None) -> Cost:
    """Return what ``usage`` costs by the upper estimate; ``seconds``: what is billed by the minute."""
    audio, text = _dollars(UPPER, usage, usage.transcribed_seconds if seconds is None else seconds)
    return Cost(audio_cost=audio, text_cost=text, is_upper_estimate=True)


def has_price(kind: str, model: str, *, stage: str = "", prices: Prices | None = None) -> bool:
    """Whether the cost of ``model`` of ``kind`` can be computed."""
    return is_free(kind) or (prices or Prices()).find([model, stage], kind) is not None


# The fields of usage that a price of the same group covers.
_MEASURES = MappingProxyType(
    {
        "usd_per_million_input": ("input_text_tokens", "output_text_tokens"),
        "usd_per_million_audio_input": ("input_audio_tokens", "output_audio_tokens"),
        "usd_per_million_audio_output": ("output_audio_tokens",),
        "usd_per_minute": ("transcribed_seconds", "audio_seconds"),
        "usd_per_million_characters": ("characters",),
    }
)


def _covers(price: ModelPrice, usage: Usage) -> bool:
    """Whether ``price`` has the unit in which ``usage`` was measured."""
    if price.usd_per_request is not None or usage == Usage():
        return True
    # One is enough: a vendor reports the tokens beside the seconds that it bills, or the reverse.
    return any(
        getattr(price, unit) is not None and any(getattr(usage, measure) for measure in measures)
        for unit, measures in _MEASURES.items()
    )


def _dollars(price: ModelPrice, usage: Usage, seconds: float) -> tuple[float, float]:
    """Return US dollars for sound and for text. Cached tokens are a subset of the input tokens."""
    audio_input = price.usd_per_million_audio_input or 0.0
    text_input = price.usd_per_million_input or 0.0
    audio = (
        audio_input * max(0, usage.input_audio_tokens - usage.cached_audio_tokens)
        + _first(price.usd_per_million_audio_cached, audio_input) * usage.cached_audio_tokens
        + (price.usd_per_million_audio_output or 0.0) * usage.output_audio_tokens
        + (price.usd_per_million_characters or 0.0) * usage.characters
    )
    text = (
        text_input * max(0, usage.input_text_tokens - usage.cached_text_tokens)
        + _first(price.usd_per_million_cached, text_input) * usage.cached_text_tokens
        + (price.usd_per_million_output or 0.0) * usage.output_text_tokens
    )
    requests = (price.usd_per_request or 0.0) * max(usage.responses, int(usage != Usage()))
    return audio / _PER + (price.usd_per_minute or 0.0) * seconds / 60 + requests, text / _PER


def _first(one: float | None, other: float) -> float:
    return other if one is None else one


def session_cost(cost: Cost | None, used: Usage, prices: Prices, *, model: str = "") -> Cost | None:
    """Return ``cost``, as a provider states it, completed by what only its session knows.

    That is the sound in ``used``, where the owner's price of ``model`` is one of minutes, and, where a daily
    limit needs it, the upper estimate.
    """
    if cost is None and (price := prices.find([model])) is not None and price.usd_per_minute is not None:
        audio, text = _dollars(price, used, used.audio_seconds)
        return Cost(audio_cost=audio, text_cost=text, prices_of=price.day)
    if not prices.counts_unknown or (cost is not None and cost.prices_of):
        return cost
    if cost is None:
        return upper_cost(used, max(used.audio_seconds, used.transcribed_seconds))
    # Only the transcription has no price.
    minutes = (UPPER.usd_per_minute or 0.0) * used.transcribed_seconds / 60
    return msgspec.structs.replace(cost, audio_cost=cost.audio_cost + minutes, is_upper_estimate=minutes > 0)
