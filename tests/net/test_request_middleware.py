"""Functions that every request passes through."""

from dataclasses import replace

import pytest

from voxd.errors import ContextTooLong, ProviderError
from voxd.net.request_middleware import Next, RequestMiddleware, pass_through
from voxd.net.transport import HttpRequest, HttpResponse

CALL = HttpRequest("GET", "https://vendor.example/")


class Sent:
    """What comes last."""

    def __init__(self) -> None:
        self.calls: list[HttpRequest] = []
        self.answer: HttpResponse = object()  # type: ignore[assignment]

    async def __call__(self, call: HttpRequest) -> HttpResponse:
        self.calls.append(call)
        return self.answer


def adds(letter: str) -> RequestMiddleware:
    async def middleware(call: HttpRequest, following: Next) -> HttpResponse:
        return await following(replace(call, url=call.url + letter))

    return middleware


async def test_they_run_in_their_order_and_may_change_the_request() -> None:
    sent = Sent()
    assert await pass_through([adds("a"), adds("b")], CALL, sent, provider="x") is sent.answer
    assert [call.url for call in sent.calls] == ["https://vendor.example/ab"]


async def test_without_any_the_request_goes_as_it_is() -> None:
    sent = Sent()
    await pass_through([], CALL, sent, provider="x")
    assert sent.calls == [CALL]


async def test_one_may_answer_itself() -> None:
    sent, other = Sent(), Sent().answer

    async def stop(call: HttpRequest, following: Next) -> HttpResponse:
        return other

    assert await pass_through([stop, adds("a")], CALL, sent, provider="x") is other
    assert sent.calls == []


async def test_one_may_refuse() -> None:
    async def refuse(call: HttpRequest, following: Next) -> HttpResponse:
        raise ContextTooLong("no")

    with pytest.raises(ContextTooLong):
        await pass_through([refuse], CALL, Sent(), provider="x")


async def test_the_mistake_of_one_is_a_fault_that_is_not_tried_again() -> None:
    async def broken(call: HttpRequest, following: Next) -> HttpResponse:
        raise KeyError("secret")

    with pytest.raises(ProviderError) as raised:
        await pass_through([adds("a"), broken], CALL, Sent(), provider="parrot")
    error = raised.value
    assert (error.code, error.retryable, error.provider) == ("middleware_failed", False, "parrot")
    assert "secret" not in str(error)
