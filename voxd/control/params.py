"""The parameters of RPC methods: one struct each, validated before the method is called."""

from typing import Annotated

import msgspec
from msgspec import Meta

Text = Annotated[str, Meta(min_length=1, max_length=8192)]
Count = Annotated[int, Meta(ge=1, le=1000)]
Fraction = Annotated[float, Meta(ge=0, le=1)]


class Nothing(msgspec.Struct, frozen=True):
    """No parameters."""


class Say(msgspec.Struct, frozen=True):
    """A text to speak; ``wait``: respond when it was played, not when it is accepted."""

    # Without limits of its own: the device says with a code why it speaks a text or not.
    text: str
    wait: bool = False


class Ask(msgspec.Struct, frozen=True):
    """A typed question; ``speak``: also speak the answer."""

    text: Text
    speak: bool = False


class AskAudio(msgspec.Struct, frozen=True):
    """A spoken question: a sound file of any format in base64."""

    # msgspec decodes the base64 of a field of type bytes (RFC 4648).
    wav_base64: bytes
    speak: bool = False


class Mute(msgspec.Struct, frozen=True):
    """Whether the microphone is muted."""

    muted: bool


class Volume(msgspec.Struct, frozen=True):
    """The output volume."""

    percent: Annotated[int, Meta(ge=0, le=100)]


class Limit(msgspec.Struct, frozen=True):
    """The maximum number of entries, the newest first."""

    limit: Count = 20


class Numbered(msgspec.Struct, frozen=True):
    """One timer or candidate."""

    id: Annotated[int, Meta(ge=0)]


class WakeWordChange(msgspec.Struct, frozen=True):
    """Changes of one wake word; null leaves a value as it is."""

    name: Annotated[str, Meta(min_length=1, max_length=32)]
    enabled: bool | None = None
    threshold: Fraction | None = None
    first_threshold: Fraction | None = None


class ProviderName(msgspec.Struct, frozen=True):
    """A provider of the configuration."""

    name: Annotated[str, Meta(min_length=1, max_length=32)]


class UseProvider(msgspec.Struct, frozen=True):
    """The provider to use for an agent; ``local`` is the engines of this device."""

    name: Annotated[str, Meta(min_length=1, max_length=32)]
    agent: Annotated[str, Meta(min_length=1, max_length=32)] = "default"


class Days(msgspec.Struct, frozen=True):
    """The number of days, today included."""

    days: Annotated[int, Meta(ge=1, le=400)] = 30


class Queued(msgspec.Struct, frozen=True):
    """One queued question by its id; null is all of them."""

    id: Annotated[str, Meta(min_length=1, max_length=32)] | None = None
