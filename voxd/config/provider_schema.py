"""The schema of providers, pipelines and agents, and the base class of all tables."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from voxd.config.secrets import Secret

# The name of the built-in provider: the engines of this device.
LOCAL = "local"

Positive = Annotated[float, Meta(gt=0)]
Unit = Annotated[float, Meta(ge=0, le=1)]
Pin = Annotated[int, Meta(ge=0, le=53, description="GPIO line, BCM numbering")]
Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
# Marks a key that SIGHUP applies without a restart.
LIVE = Meta(extra_json_schema={"x-live": True})


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every table of the file: unknown keys are errors."""


AtLeastOne = Annotated[int, Meta(ge=1)]
Temperature = Annotated[float, Meta(ge=0, le=2)]


ToolRoundLimit = Annotated[
    int,
    Meta(
        ge=0,
        le=64,
        description="How many replies to one question may call tools; then the model has to answer",
    ),
    LIVE,
]


class ProviderConfig(Section, frozen=True):
    """A vendor that agents and pipelines can use, under a name of your choice."""

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
        str, Meta(description='Spoken language, such as "en" or "en-US"; "" for the vendor\'s default'), LIVE
    ] = ""
    api_key: Annotated[
        Secret | None, Meta(description="The key; custom endpoints and mock may not need one"), LIVE
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
        Meta(description="More addresses of the same kind, used in turn while they are healthy"),
        LIVE,
    ] = ()
    headers: Annotated[
        dict[str, Secret],
        Meta(description="Sent with every request; {uuid} becomes a new UUID, {unix_s} the time"),
        LIVE,
    ] = {}
    requests_per_minute: Annotated[
        AtLeastOne | None, Meta(description="Rate limit; unset: the usual limit of the kind"), LIVE
    ] = None
    tokens_per_minute: Annotated[AtLeastOne | None, Meta(description="Rate limit"), LIVE] = None
    max_concurrent: Annotated[AtLeastOne | None, Meta(description="Requests at the same time"), LIVE] = None
    queue_excess: Annotated[
        bool | None, Meta(description="Requests beyond a limit wait; unset: as rate_limit says"), LIVE
    ] = None
    max_queue_size: Annotated[
        AtLeastOne | None, Meta(description="Longest queue; unset: as rate_limit says"), LIVE
    ] = None
    usd_per_day: Annotated[
        Positive | None, Meta(description="Daily spending limit; beyond it the provider is not used"), LIVE
    ] = None
    turn_detection: Annotated[
        Literal["client", "server", "semantic"],
        Meta(description="End-of-speech detection: by this device (client) or the vendor (the others)"),
        LIVE,
    ] = "client"
    idle_close_s: Annotated[
        Positive, Meta(description="An unused session is closed after this time"), LIVE
    ] = 60.0
    connect_timeout_s: Annotated[
        Positive, Meta(description="Without a session after this time the next provider is used"), LIVE
    ] = 5.0
    max_tool_rounds: ToolRoundLimit = 8
    first_audio_timeout_s: Annotated[
        Positive, Meta(description="Without a reply after this time the next provider is used"), LIVE
    ] = 2.0
    options: Annotated[dict[str, Any], Meta(description="Settings of the kind"), LIVE] = {}


class Pipeline(Section, frozen=True):
    """Speech to text, a language model and text to speech in a row; agents use it like a provider."""

    llm: Annotated[
        tuple[str, ...], Meta(description="Language models: names of [providers.NAME], by preference"), LIVE
    ]
    stt: Annotated[
        tuple[str, ...],
        Meta(description='Speech to text: names of [providers.NAME], by preference; "local" is this device'),
        LIVE,
    ] = (LOCAL,)
    tts: Annotated[
        tuple[str, ...], Meta(description='Text to speech: names of [providers.NAME], or "local"'), LIVE
    ] = (LOCAL,)
    early_start: Annotated[
        bool, Meta(description="Call the model before the end of speech, when the transcript is stable"), LIVE
    ] = False
    hedge: Annotated[
        bool,
        Meta(description="Also transcribe on this device when the vendor is late, if Whisper is installed"),
        LIVE,
    ] = True
    history: Annotated[
        Literal["trim", "summarise"],
        Meta(description="What to do with the oldest messages of a conversation too long for the model"),
        LIVE,
    ] = "trim"
    max_output_tokens: Annotated[AtLeastOne | None, Meta(description="Longest answer"), LIVE] = None
    temperature: Annotated[
        Temperature | None, Meta(description="Unset: the default of the model; some models reject it"), LIVE
    ] = None
    cache_answers_s: Annotated[
        float,
        Meta(
            ge=0,
            description="Reuse the answer to the same question after the same conversation for this time; "
            "0 never",
        ),
        LIVE,
    ] = 0.0
    max_tool_rounds: ToolRoundLimit = 8
    first_audio_timeout_s: Annotated[
        Positive,
        Meta(description="Without a reply this long after the question the next provider is used"),
        LIVE,
    ] = 2.5


class Agent(Section, frozen=True):
    """An agent: the provider, persona and voice that answer a wake word."""

    provider: Annotated[
        str,
        Meta(description='"local" for this device, else a name of [providers.NAME] or [pipelines.NAME]'),
        LIVE,
    ] = LOCAL
    persona: Annotated[
        str,
        Meta(description='Character and manner of speaking, for the model; "" for a concise assistant'),
        LIVE,
    ] = ""
    voice: Annotated[str, Meta(description='"" for the voice of the provider'), LIVE] = ""
    fallback: Annotated[
        tuple[str, ...],
        Meta(description="Providers to use when the first is unavailable, in this order; [] for none"),
        LIVE,
    ] = (LOCAL,)
    tools: Annotated[
        tuple[str, ...],
        Meta(description="Skills of this device that the model may call: set_timer, ...; * matches any text"),
        LIVE,
    ] = ("*",)
