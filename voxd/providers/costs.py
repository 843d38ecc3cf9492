"""Computes the cost of usage from the price lists of the vendors."""

from collections.abc import Container

from voxd.providers.facts import PriceList, TokenPrices, facts, is_free
from voxd.providers.usage import Cost, Usage

# Prices are per million tokens or characters, as vendors publish them.
_PER = 1_000_000


def cost_of(
    model: str, usage: Usage, *, transcriber: str = "", prices: PriceList | None = None
) -> Cost | None:
    """Return the cost of ``usage`` of ``model``, None when its price is unknown.

    ``transcriber`` is the model of the input transcription, billed separately by the minute. A dated model
    ("gpt-realtime-2.1-2026-05-12") costs the same as its name without the date.
    """
    prices = prices or facts().prices
    transcribes = _priced_name(transcriber, prices.minutes) if transcriber else None
    transcribed = prices.minutes[transcribes] * usage.transcribed_seconds / 60 if transcribes else 0.0
    # A sum without the price of the transcription is only a lower bound: an empty date says so.
    complete = not usage.transcribed_seconds or not transcriber or transcribes is not None
    day = prices.date.isoformat() if complete else ""
    if name := _priced_name(model, prices.tokens):
        audio, text = _cost_of_tokens(prices.tokens[name], usage)
        return Cost(audio_cost=audio + transcribed, text_cost=text, prices_of=day)
    if name := _priced_name(model, prices.minutes):
        # Such a model is billed by the time its session is open (GPT-Live), not by tokens.
        audio = prices.minutes[name] * usage.audio_seconds / 60
        return Cost(audio_cost=audio + transcribed, prices_of=day)
    return None


def cost_of_stage(kind: str, model: str, usage: Usage, *, prices: PriceList | None = None) -> Cost | None:
    """Return the cost of one request to a stage of ``kind``, None when its price is unknown.

    The unit is the one the price list has for ``model``: tokens, minutes of transcribed sound, or characters
    of synthesized text.
    """
    prices = prices or facts().prices
    day = prices.date.isoformat()
    if is_free(kind):
        return Cost(prices_of=day)
    if name := _priced_name(model, prices.texts):
        price = prices.texts[name]
        # Cached tokens are a subset of the input tokens, at a lower price.
        fresh = max(0, usage.input_text_tokens - usage.cached_text_tokens)
        text = price.text_in * fresh + price.text_cached * usage.cached_text_tokens
        return Cost(text_cost=(text + price.text_out * usage.output_text_tokens) / _PER, prices_of=day)
    if name := _priced_name(model, prices.minutes):
        return Cost(audio_cost=prices.minutes[name] * usage.transcribed_seconds / 60, prices_of=day)
    if name := _priced_name(model, prices.tokens):
        audio, text = _cost_of_tokens(prices.tokens[name], usage)
        return Cost(audio_cost=audio, text_cost=text, prices_of=day)
    if name := _priced_name(model, prices.characters):
        return Cost(audio_cost=prices.characters[name] * usage.characters / _PER, prices_of=day)
    return None


def has_price(kind: str, model: str) -> bool:
    """Whether the cost of ``model`` of ``kind`` can be computed."""
    prices = facts().prices
    tables = (prices.tokens, prices.texts, prices.minutes, prices.characters)
    return is_free(kind) or any(_priced_name(model, table) is not None for table in tables)


def _cost_of_tokens(price: TokenPrices, usage: Usage) -> tuple[float, float]:
    """Return US dollars for sound and for text. Cached tokens are a subset of the input tokens."""
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


def _priced_name(model: str, names: Container[str]) -> str | None:
    # Only a date may follow the name: "gpt-realtime-2.1-mini" must not be priced as "gpt-realtime-2.1".
    if model in names:
        return model
    base, _, rest = model.partition("-20")
    return base if base in names and len(rest) == 8 else None
