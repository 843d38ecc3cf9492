"""The part of the schema about providers, pipelines and agents, and the base of all tables of the schema."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from voxd.config.secrets import Secret

LOCAL = "local"
"""The name of the built-in provider: the engines of this device."""

Positive = Annotated[float, Meta(gt=0)]
Unit = Annotated[float, Meta(ge=0, le=1)]
Pin = Annotated[int, Meta(ge=0, le=53, description="GPIO line, BCM numbering")]
Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
LIVE = Meta(extra_json_schema={"x-live": True})
"""Marks a key that SIGHUP applies without a restart."""


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every table of the file: unknown keys are errors."""


AtLeastOne = Annotated[int, Meta(ge=1)]
Heat = Annotated[float, Meta(ge=0, le=2)]


class Provider(Section, frozen=True):
    """A vendor that agents and pipelines may use, under a name of your own."""

    kind: Annotated[
        str,
        Meta(
            description="Speech to speech: openai, azure, gemini, gpt_live, custom, mock. For pipelines: see "
            "`voxctl provider kinds`"
        ),
        LIVE,
    ]
    model: Annotated[str, Meta(description='"" for the kind\'s default'), LIVE] = ""
    voice: Annotated[str, Meta(description='"" for the vendor\'s default'), LIVE] = ""
    language: Annotated[
        str, Meta(description='What is spoken, as "en" or "en-US"; "" leaves it to the vendor'), LIVE
    ] = ""
    api_key: Annotated[
        Secret | None, Meta(description="The key; custom endpoints and mock may need none"), LIVE
    ] = None
    api_keys: Annotated[
        tuple[Secret, ...],
        Meta(description="More keys: the next one is used when one is refused or has reached its limit"),
        LIVE,
    ] = ()
    endpoint: Annotated[
        str, Meta(description='wss:// or https:// address; "" for the vendor\'s own'), LIVE
    ] = ""
    endpoints: Annotated[
        tuple[str, ...],
        Meta(description="More addresses of the same kind, used in turn while they are well"),
        LIVE,
    ] = ()
    headers: Annotated[
        dict[str, Secret],
        Meta(description="Sent with every request; {uuid} is a new one each time, {unix_s} the time"),
        LIVE,
    ] = {}
    requests_per_minute: Annotated[
        AtLeastOne | None, Meta(description="At most so many; unset: what is usual for the kind"), LIVE
    ] = None
    tokens_per_minute: Annotated[AtLeastOne | None, Meta(description="At most so many"), LIVE] = None
    max_concurrent: Annotated[AtLeastOne | None, Meta(description="Requests at the same time"), LIVE] = None
    usd_per_day: Annotated[
        Positive | None, Meta(description="Spent so much in a day, it is not asked any more"), LIVE
    ] = None
    turn_detection: Annotated[
        Literal["client", "server", "semantic"],
        Meta(description="Who notices that the user has finished: this device, or the vendor in one way"),
        LIVE,
    ] = "client"
    idle_close_s: Annotated[Positive, Meta(description="A session nobody uses is closed after"), LIVE] = 60.0
    connect_timeout_s: Annotated[
        Positive, Meta(description="No session for this long: the device answers itself"), LIVE
    ] = 5.0
    first_audio_timeout_s: Annotated[
        Positive, Meta(description="No reply for this long: the next one answers"), LIVE
    ] = 2.0
    options: Annotated[dict[str, Any], Meta(description="The kind's own settings"), LIVE] = {}


class Pipeline(Section, frozen=True):
    """Speech to text, a language model and a voice, one after the other: a provider like any other."""

    llm: Annotated[
        tuple[str, ...], Meta(description="Who thinks: names of [providers.NAME], the first that can"), LIVE
    ]
    stt: Annotated[
        tuple[str, ...],
        Meta(
            description='Who listens: names of [providers.NAME], the first that can; "local" is this device'
        ),
        LIVE,
    ] = (LOCAL,)
    tts: Annotated[
        tuple[str, ...], Meta(description='Who speaks: names of [providers.NAME], or "local"'), LIVE
    ] = (LOCAL,)
    early_start: Annotated[
        bool, Meta(description="Ask the model before the user has finished, if the words seem settled"), LIVE
    ] = False
    hedge: Annotated[
        bool,
        Meta(description="This device listens too when who should is late, if it has Whisper"),
        LIVE,
    ] = True
    history: Annotated[
        Literal["trim", "summarise"],
        Meta(description="What becomes of the oldest lines when a conversation grows too long for the model"),
        LIVE,
    ] = "trim"
    max_output_tokens: Annotated[AtLeastOne | None, Meta(description="Longest answer"), LIVE] = None
    temperature: Annotated[
        Heat | None, Meta(description="Unset: the model's own; some models refuse it"), LIVE
    ] = None
    cache_answers_s: Annotated[
        float,
        Meta(
            ge=0,
            description="The same question, after the same conversation, gets the same answer for so long; "
            "0 never",
        ),
        LIVE,
    ] = 0.0
    first_audio_timeout_s: Annotated[
        Positive, Meta(description="No reply for this long after the question: the next one answers"), LIVE
    ] = 2.5


class Agent(Section, frozen=True):
    """Who answers a wake word."""

    provider: Annotated[
        str,
        Meta(
            description='"local" answers on the device; else a name of [providers.NAME] or [pipelines.NAME]'
        ),
        LIVE,
    ] = LOCAL
    persona: Annotated[
        str,
        Meta(description='Who it is and how it speaks, told to the model; "" for a short-spoken helper'),
        LIVE,
    ] = ""
    voice: Annotated[str, Meta(description='"" for the voice of the provider'), LIVE] = ""
    fallback: Annotated[
        tuple[str, ...],
        Meta(description="Who answers when the provider cannot, in this order; [] for nobody"),
        LIVE,
    ] = (LOCAL,)
    tools: Annotated[
        tuple[str, ...],
        Meta(description="Skills of this device the model may use: set_timer, ...; * stands for anything"),
        LIVE,
    ] = ("*",)
