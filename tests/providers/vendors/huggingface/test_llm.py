"""Hugging Face's router, which speaks as OpenAI does and has refusals of its own."""

from typing import Any

import pytest

from tests.providers.vendors.llm_contract import FullContract, answer, asked
from tests.rig.transports import open_transport
from tests.servers.chat import Chat
from tests.servers.scripted import Refusal, scripted
from voxd.errors import AuthenticationError, ProviderError, RateLimited
from voxd.net.transport import Access, Budget
from voxd.providers.pipeline.stages.contract import StageConfig
from voxd.providers.vendors.huggingface.llm import HuggingFaceLlm


class TestContract(FullContract):
    model = HuggingFaceLlm
    kind = "huggingface"

    def dialect(self) -> Chat:
        return Chat()


def test_the_router_is_asked_unless_another_place_is_configured() -> None:
    model = HuggingFaceLlm(StageConfig("p", "huggingface"), None)  # type: ignore[arg-type]
    call = model._call(asked(max_output_tokens=9), Access("", "hf_x"))
    assert call.url == "https://router.huggingface.co/v1/chat/completions"
    assert call.headers["Authorization"] == "Bearer hf_x"
    assert call.json["max_tokens"] == 9


async def test_a_key_is_needed_even_to_ask_for_the_models() -> None:
    async with scripted(Chat(key="")) as server, open_transport(server.url, "") as transport:
        with pytest.raises(AuthenticationError):
            await HuggingFaceLlm(StageConfig("p", "huggingface"), transport).check(Budget())
        assert server.plain.requests == []


@pytest.mark.parametrize(
    ("status", "body", "kind", "code", "retryable"),
    [
        (401, {"error": "Invalid username or password."}, AuthenticationError, "invalid_api_key", False),
        (
            402,
            {"error": "You have exceeded your monthly credits"},
            ProviderError,
            "insufficient_quota",
            False,
        ),
        (404, {"error": {"message": "model not found"}}, ProviderError, "model_not_found", False),
        (429, {"message": "slow down"}, RateLimited, "rate_limited", True),
        (503, {"error": "Model is loading", "estimated_time": 20.0}, ProviderError, "server_error", True),
    ],
)
async def test_its_refusals_say_whether_trying_again_helps(
    status: int, body: Any, kind: type[ProviderError], code: str, retryable: bool
) -> None:
    async with scripted(Chat(), Refusal(status, body)) as server, open_transport(server.url) as transport:
        with pytest.raises(kind) as caught:
            await answer(HuggingFaceLlm(StageConfig("p", "huggingface"), transport), asked())
        assert (caught.value.code, caught.value.retryable) == (code, retryable)
        said = body.get("message") or (body["error"] if isinstance(body["error"], str) else "model not found")
        assert said in str(caught.value)
