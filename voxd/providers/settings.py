"""The settings of a session with a provider."""

from typing import Any, Literal

import msgspec

from voxd.config.mistakes.words import did_you_mean

TurnDetection = Literal["client", "server", "semantic"]


class ToolSpec(msgspec.Struct, frozen=True):
    """A tool as a model sees it; ``parameters`` is a JSON Schema of type object."""

    # OpenAI's three protocols send these fields as they are: a new one would be refused.

    name: str
    description: str
    parameters: dict[str, Any]


class _NamedFields(msgspec.StructMeta):
    """Says which field was meant when a keyword argument is not one; msgspec only says that it is not."""

    def __call__(cls, *args: Any, **fields: Any) -> Any:
        try:
            return super().__call__(*args, **fields)
        except TypeError as error:
            for name in fields.keys() - {*cls.__struct_fields__}:
                if meant := did_you_mean(name, cls.__struct_fields__):
                    error.add_note(f"hint: {meant}")
            raise


class SessionConfig(msgspec.Struct, frozen=True, kw_only=True, metaclass=_NamedFields):
    """Instructions, voice, limits and tools of a session. None or "" leaves the vendor's default."""

    instructions: str = ""
    voice: str = ""
    language: str = ""
    temperature: float | None = None
    max_output_tokens: int | None = None
    modalities: tuple[Literal["audio", "text"], ...] = ("audio",)
    # The device detects the end of speech itself, which works alike with every vendor.
    turn_detection: TurnDetection = "client"
    vad_threshold: float | None = None
    vad_silence_ms: int | None = None
    transcription: bool = True
    tools: tuple[ToolSpec, ...] = ()
    speed: float | None = None
