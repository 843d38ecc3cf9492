"""LiteLLM's proxy, which is third-party code, answers voxd as OpenAI would, and asks our fakes as clients do.

It is a process of its own in an environment of its own, started once: it needs several seconds for that.
"""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.providers.vendors.llm_contract import TIMER, after_tools, answer, asked
from tests.rig.transports import open_transport
from tests.servers.anthropic import Messages
from tests.servers.chat import Chat
from tests.servers.scripted import Call, Dialect, Reply, Used, scripted
from voxd.errors import ContextTooLong, ProviderError, RateLimited
from voxd.net.transport import Budget
from voxd.providers.pipeline.stages.contract import StageConfig
from voxd.providers.vendors.openai.llm import OpenAIChatLlm

LITELLM = Path(sys.prefix) / "peers" / "litellm" / "bin" / "litellm"
MASTER_KEY = "sk-proxy-0123456789"
START_S = 90.0
SAID = "Grüße aus der Küche: it is five o'clock."

pytestmark = pytest.mark.skipif(
    not LITELLM.exists(), reason=f"there is no {LITELLM}: LiteLLM is not installed"
)


def _model(name: str, **params: Any) -> dict[str, Any]:
    return {"model_name": name, "litellm_params": {"model": f"openai/{name}", "api_key": "none", **params}}


def _through(vendor: str, model: str) -> dict[str, Any]:
    """Return a model that the proxy asks one of our fakes for, whose address comes with the request."""
    params = {
        "model": f"{vendor}/{model}",
        "api_key": "sk-fake",
        "configurable_clientside_auth_params": ["api_base"],
    }
    return {"model_name": f"through_{vendor}", "litellm_params": params}


CONFIG = {
    "model_list": [
        _model("talk", mock_response=SAID),
        _model("busy", mock_response="litellm.RateLimitError"),
        _model("long", mock_response="litellm.ContextWindowExceededError"),
        _model("broken", mock_response="litellm.InternalServerError"),
        _through("openai", "gpt-6-luna"),
        _through("anthropic", "claude-haiku-4-5"),
    ],
    "general_settings": {"master_key": MASTER_KEY},
    "litellm_settings": {"telemetry": False, "num_retries": 0},
    "router_settings": {"num_retries": 0, "disable_cooldowns": True},
}


@dataclass
class Proxy:
    """The process; `url` is where it listens once `ready` is set."""

    process: subprocess.Popen[str]
    url: str
    ready: threading.Event
    said: list[str]

    def listen(self) -> None:
        """Read what it says, so that it never waits for us, until it ends."""
        assert self.process.stdout is not None
        for text in self.process.stdout:
            self.said.append(text)
            if "Uvicorn running" in text:
                self.ready.set()
        self.ready.set()


@pytest.fixture(scope="session")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start it on loopback; yield its address."""
    directory = tmp_path_factory.mktemp("litellm")
    (directory / "config.yaml").write_text(json.dumps(CONFIG))  # JSON is YAML.
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    quiet = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False", "DO_NOT_TRACK": "1"}
    process = subprocess.Popen(
        [str(LITELLM), "--config", "config.yaml", "--host", "127.0.0.1", "--port", str(port)],
        cwd=directory,
        env={**os.environ, **quiet, "HOME": str(directory), "NO_PROXY": "*"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    found = Proxy(process, f"http://127.0.0.1:{port}", threading.Event(), [])
    listening = threading.Thread(target=found.listen, name="litellm")
    listening.start()
    try:
        assert found.ready.wait(START_S), "".join(found.said)
        assert process.poll() is None, "".join(found.said)
        yield found.url
    finally:
        process.kill()
        process.wait()
        listening.join()
        assert process.stdout is not None
        process.stdout.close()


@asynccontextmanager
async def asking(proxy: str, model: str, **options: Any) -> AsyncIterator[OpenAIChatLlm]:
    async with open_transport(proxy, MASTER_KEY) as transport:
        yield OpenAIChatLlm(StageConfig("p", "openai", model=model, options=options), transport)


async def test_voxd_reads_its_answers(proxy: str) -> None:
    async with asking(proxy, "talk") as model:
        pieces, end = await answer(model, asked())
        assert len(pieces) > 5
        assert "".join(pieces) == SAID
        assert end.reason == "stop"
        assert end.usage.input_text_tokens > 0
        assert end.usage.output_text_tokens > 0
        await model.check(Budget())
        assert "talk" in [row.id for row in await model.models(Budget())]


@pytest.mark.parametrize(
    ("model", "kind", "retryable"),
    [
        ("busy", RateLimited, True),
        ("long", ContextTooLong, False),
        ("broken", ProviderError, True),
        ("nobody", ProviderError, False),
    ],
)
async def test_voxd_understands_its_refusals(
    proxy: str, model: str, kind: type[ProviderError], retryable: bool
) -> None:
    async with asking(proxy, model) as refusing:
        with pytest.raises(kind) as caught:
            await answer(refusing, asked())
        assert caught.value.retryable is retryable


@pytest.mark.parametrize(("vendor", "dialect"), [("openai", Chat("", "")), ("anthropic", Messages(""))])
async def test_it_translates_between_voxd_and_our_fakes(proxy: str, vendor: str, dialect: Dialect) -> None:
    """A third party is the client of the fake and the server of voxd: both have to be what they claim."""
    called = Reply(("Right", "."), (Call(), Call("stop", "{}", "call_2")), used=Used(120, 40, 0, 17))
    async with scripted(dialect, called, Reply(("Grüße", " two ", "timers."))) as server:
        place = f"{server.url}/v1" if vendor == "openai" else server.url
        async with asking(proxy, f"through_{vendor}", body={"api_base": place}) as model:
            pieces, end = await answer(model, asked("Set two timers.", tools=(TIMER,)))
            assert "".join(pieces) == "Right."
            assert [(call.name, json.loads(call.arguments)) for call in end.calls] == [
                ("set_timer", {"seconds": 5}),
                ("stop", {}),
            ]
            assert (end.usage.input_text_tokens, end.usage.output_text_tokens) == (120, 17)
            pieces, _ = await answer(model, after_tools(end, provider="p"))
            assert "".join(pieces) == "Grüße two timers."
        assert "done call_1" in json.dumps(server.bodies[-1])
