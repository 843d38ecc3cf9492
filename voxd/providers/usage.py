"""What a session used and what that costs: totals of what vendors report."""

import msgspec


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Totals since the first session. Cached input is part of the input, as every vendor counts it."""

    audio_seconds: float = 0.0
    total_sessions: int = 0
    responses: int = 0
    input_text_tokens: int = 0
    input_audio_tokens: int = 0
    # Anthropic reports cached tokens beside the input; its reader adds them up.
    cached_text_tokens: int = 0
    cached_audio_tokens: int = 0
    output_text_tokens: int = 0
    output_audio_tokens: int = 0
    transcribed_seconds: float = 0.0
    characters: int = 0
    """Characters that were spoken, as vendors of text to speech bill them."""

    @property
    def text_tokens(self) -> int:
        """Text tokens in both directions."""
        return self.input_text_tokens + self.output_text_tokens

    @property
    def input_tokens(self) -> int:
        """Tokens of text and audio that were sent."""
        return self.input_text_tokens + self.input_audio_tokens

    @property
    def output_tokens(self) -> int:
        """Tokens of text and audio that were received."""
        return self.output_text_tokens + self.output_audio_tokens

    def __add__(self, other: "Usage") -> "Usage":
        """Return the sum, field by field."""
        return Usage(**{name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__})

    def __sub__(self, other: "Usage") -> "Usage":
        """Return the difference, field by field: what was used since ``other``."""
        return Usage(**{name: getattr(self, name) - getattr(other, name) for name in self.__struct_fields__})


class Cost(msgspec.Struct, frozen=True):
    """An estimate in US dollars; ``prices_of`` is the date of the price list, "" when a price is unknown.

    ``is_upper_estimate``: some of it has no known price and was counted with more than it can cost.
    """

    audio_cost: float = 0.0
    text_cost: float = 0.0
    prices_of: str = ""
    is_upper_estimate: bool = False

    @property
    def total(self) -> float:
        """Everything together."""
        return self.audio_cost + self.text_cost


def add_costs(one: Cost | None, other: Cost | None) -> Cost | None:
    """Return the sum; None adds nothing.

    ``prices_of`` is the older date: the sum is as old as its oldest price.
    """
    if one is None or other is None:
        return one or other
    return Cost(
        audio_cost=one.audio_cost + other.audio_cost,
        text_cost=one.text_cost + other.text_cost,
        prices_of=min(one.prices_of, other.prices_of),
        is_upper_estimate=one.is_upper_estimate or other.is_upper_estimate,
    )
