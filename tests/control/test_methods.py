"""Every method, over both sockets."""

import base64
import json

import pytest

from tests.control.conftest import Served
from tests.control.fakes import SECRET_WORDS, WAV
from voxd.config.commands import Command, HttpAction
from voxd.config.schema import Config, Skills
from voxd.config.secrets import resolve
from voxd.control.client import ControlClient
from voxd.control.codes import ProtocolError
from voxd.control.methods import METHODS, describe_methods, read_params
from voxd.errors import InvalidRequest, Muted, NotFound, NotPermitted

CALLS = {
    "system.info": ({}, "protocol"),
    "system.status": ({}, "summary"),
    "turn.stop": ({}, None),
    "turn.ask": ({"text": "hello", "speak": True}, "reply"),
    "turn.ask_audio": ({"wav_base64": base64.b64encode(WAV).decode()}, "transcript"),
    "turn.repeat": ({}, None),
    "turn.last": ({}, "stages"),
    "say": ({"text": "hello"}, "turn"),
    "mute.set": ({"muted": True}, "muted"),
    "volume.get": ({}, "percent"),
    "volume.set": ({"percent": 30}, "percent"),
    "history.list": ({"limit": 5}, 0),
    "history.forget": ({}, "deleted"),
    "timers.list": ({}, 0),
    "timers.cancel": ({"id": 7}, None),
    "wake.list": ({}, 0),
    "wake.set": ({"name": "hey_jarvis", "threshold": 0.5}, "name"),
    "wake.candidates": ({}, 0),
    "wake.clip": ({"id": 3}, "wav_base64"),
    "provider.list": ({}, 0),
    "provider.use": ({"name": "cloud"}, None),
    "provider.test": ({"name": "cloud"}, "latency_ms"),
    "queue.list": ({}, 0),
    "queue.retry": ({}, "retried"),
    "queue.drop": ({"id": "0a1b2c3d4e5f"}, "dropped"),
    "usage.get": ({"days": 7}, 0),
    "devices.list": ({}, 0),
    "config.show": ({}, "audio"),
    "config.reload": ({}, "applied"),
    "metrics.get": ({}, "text"),
    "events.subscribe": ({}, "state"),
    "rpc.discover": ({}, 0),
}


def test_the_table_of_calls_is_complete() -> None:
    assert set(CALLS) | {"turn.listen"} == set(METHODS)


@pytest.mark.parametrize("name", CALLS)
async def test_the_control_socket_answers(served: Served, name: str) -> None:
    params, key = CALLS[name]
    async with ControlClient(served.control) as client:
        result = await client.call(name, **params)
    if key is None:
        assert result is None
    else:
        assert result[key] is not None


@pytest.mark.parametrize("name", CALLS)
async def test_the_read_only_socket_allows_only_methods_with_read_access(served: Served, name: str) -> None:
    params, _ = CALLS[name]
    async with ControlClient(served.read) as client:
        if METHODS[name].access == "read":
            assert SECRET_WORDS not in json.dumps(await client.call(name, **params))
        else:
            with pytest.raises(NotPermitted, match="read-only") as caught:
                await client.call(name, **params)
            assert "group voxd" in caught.value.hint
    assert served.device.calls == []


async def test_parameters_reach_the_device(served: Served) -> None:
    async with ControlClient(served.control) as client:
        await client.call("turn.ask", text="what time is it")
        await client.call("turn.ask_audio", wav_base64=base64.b64encode(WAV).decode(), speak=True)
        await client.call("wake.set", name="hey_jarvis", enabled=False, first_threshold=0.4)
    assert served.device.calls == [
        ("ask", "what time is it", False),
        ("ask_audio", len(WAV), True),
        ("set_wake_word", "hey_jarvis", False, None, 0.4),
    ]


async def test_the_client_raises_the_error_of_the_device(served: Served) -> None:
    async with ControlClient(served.control) as client:
        with pytest.raises(Muted) as muted:
            await client.call("turn.listen")
        assert (muted.value.code, muted.value.hint) == ("muted", Muted.hint)
        with pytest.raises(NotFound, match="unknown timer 8") as missing:
            await client.call("timers.cancel", id=8)
        assert missing.value.hint == "run `voxctl timers`"
        with pytest.raises(ProtocolError, match="no method"):
            await client.call("turn.dance")


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("say", {}, "missing required field text"),
        ("say", {"text": 3}, "text: expected str, got int"),
        ("volume.set", {"percent": 101}, "percent: expected int <= 100"),
        ("volume.set", {"percent": "30"}, "percent: expected int, got str"),
        ("mute.set", {"muted": 1}, "muted: expected bool, got int"),
        ("turn.ask_audio", {"wav_base64": "!!"}, "wav_base64: invalid base64"),
        ("events.subscribe", {"types": ["turn.*", "a b"]}, "types[1]: expected str matching"),
        ("wake.set", {"name": "x", "threshold": 2}, "threshold: expected float"),
        ("system.status", [], "named parameters"),
        ("system.status", None, "named parameters"),
    ],
)
def test_an_error_names_the_wrong_parameter(name: str, params: object, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_params(METHODS[name], params)
    assert message in str(caught.value)


def test_unknown_parameters_are_ignored() -> None:
    params = read_params(METHODS["say"], {"text": "hi", "voice": "from a later version"})
    assert params == METHODS["say"].params(text="hi")


def test_discovery_describes_every_parameter_as_json_schema() -> None:
    listed = json.loads(bytes(describe_methods()))
    assert [method["name"] for method in listed] == list(METHODS)
    schema = next(method["params"] for method in listed if method["name"] == "volume.set")
    assert schema["$defs"]["Volume"]["properties"]["percent"] == {
        "type": "integer",
        "minimum": 0,
        "maximum": 100,
    }


async def test_the_configuration_is_shown_with_masked_secrets(served: Served) -> None:
    action = HttpAction(url="http://lamp.lan/", headers={"Authorization": resolve("Bearer hush")})
    commands = (Command(name="lamp", sentences=("lamp on",), action=action),)
    served.device.configuration = Config(skills=Skills(commands=commands))
    async with ControlClient(served.control) as client:
        shown = await client.call("config.show")
    assert "hush" not in json.dumps(shown)
    assert shown["skills"]["commands"][0]["action"]["headers"] == {"Authorization": "********"}
