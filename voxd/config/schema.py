"""The schema of voxd.toml: every key with its type, default, range and description."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from voxd.config.commands import Command
from voxd.config.money_schema import Price, RateLimit
from voxd.config.provider_schema import (
    LIVE,
    Agent,
    Name,
    Pin,
    Pipeline,
    Positive,
    ProviderConfig,
    Section,
    Unit,
)


class Audio(Section, frozen=True):
    """The sound card."""

    input: Annotated[
        str,
        Meta(
            description='Microphone: "default", a name from `voxctl devices`, "virtual" (none needed), '
            '"auto" (the default card, else virtual)'
        ),
    ] = "auto"
    output: Annotated[str, Meta(description="Loudspeaker: the same names as for input")] = "auto"
    channels: Annotated[int, Meta(ge=1, le=8, description="Channels to open")] = 1
    channel: Annotated[int, Meta(ge=0, le=7, description="The channel to use, from 0")] = 0
    block_ms: Annotated[int, Meta(ge=10, le=100, description="Length of a capture block")] = 40
    ring_s: Annotated[float, Meta(ge=4, le=60, description="Length of the audio ring buffer")] = 10.0
    stall_timeout_s: Annotated[
        float,
        Meta(ge=0.3, le=10, description="The microphone counts as lost after this time without a block"),
    ] = 1.0
    silence_timeout_s: Annotated[
        float,
        Meta(
            ge=0,
            le=60,
            description="It counts as lost after this time of digital silence; 0 turns the check off",
        ),
    ] = 1.5
    volume_percent: Annotated[int, Meta(ge=0, le=100, description="Output volume at first start")] = 70
    virtual_input: Annotated[
        str, Meta(description='Sound file for the virtual microphone; "" for a spoken demonstration')
    ] = ""


class WakeWord(Section, frozen=True):
    """One wake word."""

    name: Annotated[
        Name, Meta(description="hey_jarvis, alexa, hey_mycroft, okay_nabu, hey_rhasspy, or your own")
    ]
    model: Annotated[
        str, Meta(description='Model file (.tflite or .onnx); "" for the built-in of that name')
    ] = ""
    first_threshold: Annotated[Unit, Meta(description="Lenient threshold of the first stage"), LIVE] = 0.3
    threshold: Annotated[Unit, Meta(description="Threshold of the second stage"), LIVE] = 0.3
    refractory_s: Annotated[
        float, Meta(ge=0, le=30, description="The same word is ignored for this long after a detection"), LIVE
    ] = 1.5
    agent: Annotated[Name, Meta(description="Agent that answers this word"), LIVE] = "default"
    enabled: Annotated[bool, Meta(description="Whether it is active"), LIVE] = True


class Wake(Section, frozen=True):
    """Wake words."""

    words: Annotated[tuple[WakeWord, ...], LIVE] = (WakeWord(name="hey_jarvis"),)
    keep_clips_s: Annotated[
        float,
        Meta(ge=0, le=86_400, description="How long candidates are kept in memory for `voxctl wake why`"),
        LIVE,
    ] = 3600.0


class Endpoint(Section, frozen=True):
    """End-of-speech detection."""

    mode: Annotated[
        Literal["relaxed", "default", "aggressive"],
        Meta(description="Length of the pause that ends an utterance"),
        LIVE,
    ] = "default"
    silence_s: Annotated[
        Positive | None,
        Meta(description="Silence that ends an utterance; overrides mode (1.25, 0.7, 0.25)"),
        LIVE,
    ] = None
    start_s: Annotated[Positive, Meta(description="Shortest sound that counts as speech"), LIVE] = 0.3
    no_speech_s: Annotated[Positive, Meta(description="Time to wait for speech"), LIVE] = 5.0
    max_s: Annotated[float, Meta(ge=1, le=60, description="Longest utterance"), LIVE] = 15.0
    speech_threshold: Annotated[Unit, Meta(description="VAD probability that counts as speech"), LIVE] = 0.5


class Whisper(Section, frozen=True):
    """Whisper (pywhispercpp)."""

    model: Annotated[
        str, Meta(description='A name from `voxctl models list`, such as "tiny.en", or a ggml file')
    ] = "tiny.en"
    threads: Annotated[int, Meta(ge=1, le=16, description="CPU cores it may use")] = 2
    language: Annotated[str, Meta(description="ISO 639-1 code of the spoken language")] = "en"


class Stt(Section, frozen=True):
    """Speech to text on the device."""

    engine: Annotated[
        str,
        Meta(
            description="auto (Whisper if its model is installed, else pocketsphinx), whisper, pocketsphinx, "
            "or an installed engine"
        ),
    ] = "auto"
    whisper: Whisper = Whisper()
    timeout_s: Annotated[Positive, Meta(description="Deadline of one transcription")] = 20.0
    idle_unload_s: Annotated[Positive, Meta(description="Free the memory after this idle time")] = 300.0


class Piper(Section, frozen=True):
    """Piper, in its own process (GPL-3)."""

    voice: Annotated[
        str, Meta(description="A name from `voxctl models list`, or an .onnx file with its .onnx.json")
    ] = "en_US-lessac-medium"
    speaker: Annotated[
        int | str,
        Meta(description='Number or name from the .onnx.json of a voice with several; "" is its own choice'),
    ] = ""
    length_scale: Annotated[float, Meta(ge=0.3, le=3, description="Above 1 is slower, below 1 faster")] = 1.0


class Tts(Section, frozen=True):
    """Text to speech on the device."""

    engine: Annotated[
        str,
        Meta(
            description="auto (Piper if its voice is installed, else flite for English, else espeak-ng), "
            "piper, flite, espeak, or an installed engine"
        ),
    ] = "auto"
    language: Annotated[str, Meta(description="ISO 639-1 code of the language of replies")] = "en"
    piper: Piper = Piper()
    flite_voice: Annotated[Literal["slt", "rms", "awb", "kal16"], Meta(description="The voice of flite")] = (
        "slt"
    )
    timeout_s: Annotated[Positive, Meta(description="Deadline of one sentence")] = 10.0
    idle_unload_s: Annotated[Positive, Meta(description="Free the memory after this idle time")] = 300.0


class Skills(Section, frozen=True):
    """Built-in skills."""

    commands: tuple[Command, ...] = ()
    near_miss: Annotated[
        Unit, Meta(description="How alike a misheard noun must be to be corrected; 1 corrects nothing"), LIVE
    ] = 0.8
    ring_s: Annotated[float, Meta(ge=5, le=3600, description="Longest time that a timer rings"), LIVE] = 120.0
    clock_24h: Annotated[bool, Meta(description="Say 18:30, not half past six"), LIVE] = False


class Turn(Section, frozen=True):
    """The conversation."""

    earcons: Annotated[bool, Meta(description="Short sounds at wake, end and error"), LIVE] = True
    follow_up: Annotated[bool, Meta(description="Listen again after a reply that is a question"), LIVE] = True
    follow_up_s: Annotated[Positive, Meta(description="Time to wait for speech in a follow-up"), LIVE] = 5.0
    reply_timeout_s: Annotated[
        Positive, Meta(description="Longest wait for a reply; then voxd apologises"), LIVE
    ] = 30.0


class Leds(Section, frozen=True):
    """Lights that show the state."""

    kind: Annotated[
        str,
        Meta(
            description="What is wired: none, led (one LED), rgbled (three colours), or an installed back end"
        ),
    ] = "none"
    pins: Annotated[tuple[Pin, ...], Meta(description="One line for led; red, green, blue for rgbled")] = ()
    brightness: Annotated[Unit, Meta(description="1 is full brightness"), LIVE] = 0.6
    active_high: Annotated[bool, Meta(description="A high line lights the LED")] = True


class Button(Section, frozen=True):
    """The push button."""

    pin: Annotated[Pin | None, Meta(description="GPIO line of the button, BCM numbering")] = None
    pull_up: Annotated[bool, Meta(description="The button connects the line to ground")] = True
    bounce_ms: Annotated[int, Meta(ge=0, le=200, description="Shorter changes are contact bounce")] = 20
    hold_ms: Annotated[int, Meta(ge=200, le=2000, description="Held this long: push to talk")] = 400
    double_ms: Annotated[
        int, Meta(ge=100, le=1000, description="A second press within this time repeats the last reply")
    ] = 300
    long_ms: Annotated[int, Meta(ge=1000, le=10_000, description="Held this long without speech: mute")] = (
        3000
    )
    mute_switch_pin: Annotated[
        Pin | None, Meta(description="GPIO line of a switch that mutes while closed")
    ] = None


class Control(Section, frozen=True):
    """The control socket."""

    socket: Annotated[str, Meta(description='"" for the runtime directory')] = ""
    read_socket: Annotated[str, Meta(description='Read-only socket; "" for the runtime directory')] = ""
    max_clients: Annotated[int, Meta(ge=1, le=1024, description="Connections at the same time")] = 32
    max_line_bytes: Annotated[int, Meta(ge=1024, le=16_777_216, description="Longest request")] = 65_536


class History(Section, frozen=True):
    """Conversation history, kept on the device."""

    enabled: Annotated[bool, Meta(description="Whether turns are stored"), LIVE] = True
    max_age_days: Annotated[float, Meta(gt=0, le=3650, description="Older turns are deleted"), LIVE] = 7.0
    max_size_mb: Annotated[
        float, Meta(gt=0, le=10_000, description="The oldest turns are deleted beyond this size"), LIVE
    ] = 20.0


class Queue(Section, frozen=True):
    """The offline queue: questions kept on the device while no provider is available, answered later."""

    enabled: Annotated[bool, Meta(description="Whether utterances are queued"), LIVE] = True
    speak: Annotated[
        bool, Meta(description="Speak a deferred answer; otherwise only publish it as an event"), LIVE
    ] = False
    max_utterances: Annotated[int, Meta(ge=1, le=10_000, description="Maximum number"), LIVE] = 50
    max_size_mb: Annotated[float, Meta(gt=0, le=10_000, description="Maximum size"), LIVE] = 20.0
    max_age_h: Annotated[Positive, Meta(description="Older utterances are dropped, with an event"), LIVE] = (
        72.0
    )


class Cache(Section, frozen=True):
    """Caches."""

    phrases_mb: Annotated[
        float, Meta(ge=0, le=10_000, description="Spoken phrases kept on disk; 0 keeps none")
    ] = 20.0


class Spend(Section, frozen=True):
    """Spending limits."""

    usd_per_day: Annotated[
        Positive | None,
        Meta(description="Daily limit for all providers; beyond it only local engines until midnight"),
        LIVE,
    ] = None


class Middleware(Section, frozen=True):
    """Your own code between voxd and a model: names of the entry point group `voxd.middleware`, in order."""

    request: Annotated[tuple[str, ...], Meta(description="Can change every request to a vendor"), LIVE] = ()
    message: Annotated[tuple[str, ...], Meta(description="Sees and changes what is said"), LIVE] = ()
    audio: Annotated[
        Literal["", "unfiltered"],
        Meta(
            description='"unfiltered": also with speech-to-speech providers, of which message middleware '
            "sees the text only: it cannot change the sound"
        ),
        LIVE,
    ] = ""


class Log(Section, frozen=True):
    """The log."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="Lowest level that is logged"), LIVE
    ] = "info"


class Paths(Section, frozen=True):
    """Directories; "" means the one from systemd or from the desktop session."""

    state: Annotated[str, Meta(description="Database and models")] = ""
    runtime: Annotated[str, Meta(description="Sockets")] = ""
    models: Annotated[str, Meta(description='"" for models/ in the state directory')] = ""


# The order of the fields is that of the sections in the sample file and in `voxctl config show`.
class Config(Section, frozen=True):
    """Everything in voxd.toml."""

    # Raised when an old file would mean something else; then an old daemon refuses it instead of guessing.
    version: Literal[1] = 1
    audio: Audio = Audio()
    wake: Wake = Wake()
    endpoint: Endpoint = Endpoint()
    stt: Stt = Stt()
    tts: Tts = Tts()
    providers: Annotated[dict[Name, ProviderConfig], LIVE] = msgspec.field(default_factory=dict)
    pipelines: Annotated[dict[Name, Pipeline], LIVE] = msgspec.field(default_factory=dict)
    agents: Annotated[dict[Name, Agent], LIVE] = msgspec.field(default_factory=lambda: {"default": Agent()})
    skills: Skills = Skills()
    turn: Turn = Turn()
    leds: Leds = Leds()
    button: Button = Button()
    control: Control = Control()
    history: History = History()
    queue: Queue = Queue()
    cache: Cache = Cache()
    spend: Spend = Spend()
    prices: Annotated[tuple[Price, ...], LIVE] = ()
    rate_limit: RateLimit = RateLimit()
    middleware: Middleware = Middleware()
    log: Log = Log()
    paths: Paths = Paths()
