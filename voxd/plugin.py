"""All that a third party imports: the contracts of providers, stages, skills, engines, LEDs and middleware.

A package names its class or function in an entry point of the group ``voxd.providers``, ``voxd.stt``,
``voxd.llm``, ``voxd.tts``, ``voxd.skills``, ``voxd.transcribers``, ``voxd.synthesizers`` or ``voxd.leds``.
Built-ins use the same groups but import the defining modules; nothing inside voxd imports this one.
"""

from voxd.clock import Clock
from voxd.config.provider_options import ProviderOptions
from voxd.errors import (
    AuthenticationError,
    ConfigError,
    ConnectionFailed,
    ContextTooLong,
    DeviceError,
    InvalidRequest,
    LocalEngineError,
    ModelError,
    NoAnswer,
    ProviderError,
    RateLimited,
    StreamError,
    VoxdError,
)
from voxd.events import Event, EventType
from voxd.frames import Clip, Frame
from voxd.hardware.leds import LedBackend
from voxd.hardware.patterns import Rgb
from voxd.local.adapters import WorkerSynthesizer, WorkerTranscriber
from voxd.local.contract import LocalTranscript, SpeakingEngine, TranscribingEngine
from voxd.local.engines import EngineResources, make_worker
from voxd.local.serve import EngineOutput, WorkerEngine
from voxd.local.worker import Load
from voxd.net.endpoint import require_key
from voxd.net.faults import BAD_KEY, BUSY, NO_CREDIT, SLOW_DOWN, ErrorMeaning, refusal_reader
from voxd.net.request_middleware import RequestMiddleware
from voxd.net.transport import Access, Budget, HttpRequest, HttpResponse, Transport
from voxd.net.websocket import WebSocketAddress, WebSocketConnection
from voxd.providers.base import BaseProvider, Capabilities
from voxd.providers.events import ProviderEvent
from voxd.providers.pipeline.middleware import MessageMiddleware, MiddlewareMessage
from voxd.providers.pipeline.stages.contract import (
    ChatMessage,
    Completion,
    ConfiguredStage,
    LanguageModel,
    PipelineStage,
    Prompt,
    SpeechToText,
    StageConfig,
    StageKind,
    TextChunk,
    TextToSpeech,
    ToolCall,
    Transcription,
    TranscriptionRequest,
    parse_options,
)
from voxd.providers.pipeline.stages.registry import register_stage
from voxd.providers.registry import register_provider
from voxd.providers.settings import SessionConfig, ToolSpec
from voxd.providers.tools import Tool, tool
from voxd.providers.usage import Cost, Usage
from voxd.skills.contract import Handler as SkillHandler
from voxd.skills.contract import Phrases, Question, Skill, SkillContext, SkillDevice, SkillReply, Slots
from voxd.skills.understanding.numbers import ClockTime
from voxd.skills.understanding.temporal import Day, When

__all__ = [
    "BAD_KEY",
    "BUSY",
    "NO_CREDIT",
    "SLOW_DOWN",
    "Access",
    "AuthenticationError",
    "BaseProvider",
    "Budget",
    "Capabilities",
    "ChatMessage",
    "Clip",
    "Clock",
    "ClockTime",
    "Completion",
    "ConfigError",
    "ConfiguredStage",
    "ConnectionFailed",
    "ContextTooLong",
    "Cost",
    "Day",
    "DeviceError",
    "EngineOutput",
    "EngineResources",
    "ErrorMeaning",
    "Event",
    "EventType",
    "Frame",
    "HttpRequest",
    "HttpResponse",
    "InvalidRequest",
    "LanguageModel",
    "LedBackend",
    "Load",
    "LocalEngineError",
    "LocalTranscript",
    "MessageMiddleware",
    "MiddlewareMessage",
    "ModelError",
    "NoAnswer",
    "Phrases",
    "PipelineStage",
    "Prompt",
    "ProviderError",
    "ProviderEvent",
    "ProviderOptions",
    "Question",
    "RateLimited",
    "RequestMiddleware",
    "Rgb",
    "SessionConfig",
    "Skill",
    "SkillContext",
    "SkillDevice",
    "SkillHandler",
    "SkillReply",
    "Slots",
    "SpeakingEngine",
    "SpeechToText",
    "StageConfig",
    "StageKind",
    "StreamError",
    "TextChunk",
    "TextToSpeech",
    "Tool",
    "ToolCall",
    "ToolSpec",
    "TranscribingEngine",
    "Transcription",
    "TranscriptionRequest",
    "Transport",
    "Usage",
    "VoxdError",
    "WebSocketAddress",
    "WebSocketConnection",
    "When",
    "WorkerEngine",
    "WorkerSynthesizer",
    "WorkerTranscriber",
    "make_worker",
    "parse_options",
    "refusal_reader",
    "register_provider",
    "register_stage",
    "require_key",
    "tool",
]
