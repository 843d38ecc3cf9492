"""The table of RPC methods: name, access, parameters and the call of `DeviceApi`."""

import base64
import functools
import os
import platform
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import msgspec

from voxd import __version__
from voxd.api import DeviceApi
from voxd.config.secrets import to_builtins
from voxd.control.params import (
    Ask,
    AskAudio,
    Days,
    Limit,
    Mute,
    Nothing,
    Numbered,
    ProviderName,
    Queued,
    Say,
    UseProvider,
    Volume,
    WakeWordChange,
)
from voxd.control.redact import redact_history, redact_timers
from voxd.control.subscription import Subscribe, subscribe
from voxd.errors import InvalidRequest

# Increased when the meaning of a method changes; new methods, parameters and result fields do not count.
PROTOCOL_VERSION = 1

Access = Literal["read", "control"]

Handler = Callable[[DeviceApi, Any], Any | Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Method:
    """One method; with ``access`` "read" also on the read-only socket, with a redacted result."""

    name: str
    access: Access
    params: type[msgspec.Struct]
    handler: Handler
    summary: str
    # Applied to the result for the read-only socket only; None: the result holds no words of a user.
    redact: Callable[[Any], Any] | None = None


def _info(api: DeviceApi, _: Nothing) -> dict[str, Any]:
    return {
        "name": "voxd",
        "version": __version__,
        "protocol": PROTOCOL_VERSION,
        # The rest is for bug reports; `voxctl version` shows the version.
        "python": platform.python_version(),
        "machine": platform.machine(),
        "pid": os.getpid(),
    }


async def _set_volume(api: DeviceApi, p: Volume) -> dict[str, int]:
    return {"percent": await api.set_volume(p.percent)}


def _set_wake_word(api: DeviceApi, p: WakeWordChange) -> Any:
    return api.set_wake_word(
        p.name, enabled=p.enabled, threshold=p.threshold, first_threshold=p.first_threshold
    )


async def _forget(api: DeviceApi, _: Nothing) -> dict[str, int]:
    return {"deleted": await api.forget()}


def _clip(api: DeviceApi, p: Numbered) -> dict[str, str]:
    # JSON has no bytes: base64 (RFC 4648 section 4).
    return {"wav_base64": base64.b64encode(api.wake_clip(p.id)).decode("ascii")}


async def _retry(api: DeviceApi, p: Queued) -> dict[str, int]:
    return {"retried": await api.retry_queued(p.id)}


async def _drop(api: DeviceApi, p: Queued) -> dict[str, int]:
    return {"dropped": await api.drop_queued(p.id)}


async def _test_provider(api: DeviceApi, p: ProviderName) -> dict[str, Any]:
    return {"name": p.name, "latency_ms": round(await api.test_provider(p.name), 1)}


@functools.cache
def describe_methods() -> msgspec.Raw:
    """Return the table of methods as JSON."""
    # Cached: it takes milliseconds, and any local user may request it on the read-only socket.
    methods = [
        {
            "name": method.name,
            "access": method.access,
            "summary": method.summary,
            "params": msgspec.json.schema(method.params),
        }
        for method in METHODS.values()
    ]
    return msgspec.Raw(msgspec.json.encode(methods))


_TABLE = (
    Method("system.info", "read", Nothing, _info, "Version of daemon, protocol and Python."),
    Method("system.status", "read", Nothing, lambda api, _: api.status(), "The state of the device."),
    Method(
        "turn.listen", "control", Nothing, lambda api, _: api.listen(), "Listen as if the button was pressed."
    ),
    Method(
        "turn.stop", "control", Nothing, lambda api, _: api.stop(), "Stop listening, speaking and ringing."
    ),
    Method(
        "turn.ask", "control", Ask, lambda api, p: api.ask(p.text, speak=p.speak), "Answer a typed question."
    ),
    Method(
        "turn.ask_audio",
        "control",
        AskAudio,
        lambda api, p: api.ask_audio(p.wav_base64, speak=p.speak),
        "Answer a spoken question.",
    ),
    Method("turn.repeat", "control", Nothing, lambda api, _: api.repeat(), "Repeat the last reply."),
    Method("turn.last", "read", Nothing, lambda api, _: api.last(), "The latency ledger of the last turn."),
    Method("say", "control", Say, lambda api, p: api.say(p.text, wait=p.wait), "Speak a text."),
    Method(
        "mute.set", "control", Mute, lambda api, p: api.set_muted(p.muted), "Close or open the microphone."
    ),
    Method("volume.get", "read", Nothing, lambda api, _: {"percent": api.volume()}, "The output volume."),
    Method(
        "volume.set",
        "control",
        Volume,
        _set_volume,
        "Set the output volume.",
    ),
    Method(
        "history.list",
        "read",
        Limit,
        lambda api, p: api.history(p.limit),
        "The newest turns.",
        redact_history,
    ),
    Method("history.forget", "control", Nothing, _forget, "Delete the whole history."),
    Method("timers.list", "read", Nothing, lambda api, _: api.timers(), "Timers and alarms.", redact_timers),
    Method(
        "timers.cancel", "control", Numbered, lambda api, p: api.cancel_timer(p.id), "Cancel or silence one."
    ),
    Method("wake.list", "read", Nothing, lambda api, _: api.wake_words(), "The wake words as they run."),
    Method(
        "wake.set", "control", WakeWordChange, _set_wake_word, "Change a wake word until the next restart."
    ),
    Method(
        "wake.candidates",
        "read",
        Limit,
        lambda api, p: api.wake_candidates(p.limit),
        "Recent wake word candidates.",
    ),
    Method("wake.clip", "control", Numbered, _clip, "The sound of a candidate: a WAV file in base64."),
    Method("provider.list", "read", Nothing, lambda api, _: api.providers(), "Providers and their problems."),
    Method(
        "provider.use",
        "control",
        UseProvider,
        lambda api, p: api.use_provider(p.agent, p.name),
        "Use another provider for an agent until a restart.",
    ),
    # Control, because it opens a session, which may cost money.
    Method(
        "provider.test",
        "control",
        ProviderName,
        _test_provider,
        "Open a session with a provider and close it.",
    ),
    Method("usage.get", "read", Days, lambda api, p: api.usage(p.days), "The usage of each provider by day."),
    Method("queue.list", "read", Nothing, lambda api, _: api.queue(), "The offline queue."),
    Method("queue.retry", "control", Queued, _retry, "Retry one queued question, or all."),
    Method("queue.drop", "control", Queued, _drop, "Drop one queued question, or all."),
    # Control, because it starts a process to look for sound cards.
    Method(
        "devices.list", "control", Nothing, lambda api, _: api.devices(), "The sound devices of the machine."
    ),
    Method(
        "config.show",
        "control",
        Nothing,
        lambda api, _: to_builtins(api.config()),
        "The configuration in force, secrets masked.",
    ),
    Method("config.reload", "control", Nothing, lambda api, _: api.reload(), "Read the configuration again."),
    Method(
        "metrics.get",
        "read",
        Nothing,
        lambda api, _: {"text": api.metrics()},
        "Metrics in Prometheus' format.",
    ),
    Method("events.subscribe", "read", Subscribe, subscribe, "The current state, then every event."),
    Method(
        "rpc.discover",
        "read",
        Nothing,
        lambda api, _: describe_methods(),
        "This table, with JSON Schemas of the parameters.",
    ),
)

METHODS: Mapping[str, Method] = MappingProxyType({method.name: method for method in _TABLE})


def read_params(method: Method, params: Any) -> msgspec.Struct:
    """Return ``params`` as the method's struct. Unknown fields are ignored.

    Raises `InvalidRequest` naming the field that is missing or of the wrong type.
    """
    if not isinstance(params, dict):
        # JSON-RPC 2.0 section 4.2 also allows an array, which a new parameter would break.
        raise InvalidRequest("params: expected an object with named parameters")
    try:
        return msgspec.convert(params, method.params)
    except msgspec.ValidationError as error:
        # msgspec: "Expected `str`, got `int` - at `$.text`" becomes "text: expected str, got int".
        what, _, where = str(error).partition(" - at `$")
        what = what.replace("`", "")
        raise InvalidRequest(
            f"{where.strip('.`')}: {what[0].lower()}{what[1:]}" if where else what,
            hint="call `rpc.discover` for the schema",
        ) from error
