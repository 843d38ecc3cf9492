"""Functions the model may call."""

import pytest

from tests.engine.conftest import Make
from voxd import SessionConfig, ToolSpec
from voxd.errors import InvalidRequest

REPLY = {"text": "It is {results}.", "calls": [{"name": "weather", "arguments": {"city": "Rome"}}]}
METADATA = {"replies": {"weather": REPLY}}


async def test_a_registered_function_is_called_and_the_reply_goes_on(make: Make) -> None:
    engine, log = make(enable_functions=True, metadata=METADATA)

    @engine.register_tool
    async def weather(city: str) -> str:
        """Tell the weather."""
        return f"sunny in {city}"

    await engine.connect()
    await engine.send_text("weather")
    await log.wait("response.completed", 2)
    invoked, completed = log.of("function.invoked")[0], log.of("function.completed")[0]
    assert (invoked.function_name, invoked.arguments) == ("weather", {"city": "Rome"})
    assert (completed.ok, completed.output, completed.call_id) == (True, "sunny in Rome", invoked.call_id)
    assert log.of("text.output")[-1].text == "It is sunny in Rome."


async def test_a_tool_without_a_handler_is_answered_by_the_caller(make: Make) -> None:
    spec = ToolSpec("weather", "Tell it.", {"type": "object", "properties": {"city": {"type": "string"}}})
    engine, log = make(mode="big", metadata=METADATA, session=SessionConfig(tools=(spec,)))
    await engine.connect()
    await engine.send_text("weather")
    invoked = await log.wait("function.invoked")
    await engine.send_tool_result(invoked.call_id, "rainy")
    await log.wait("response.completed", 2)
    assert log.of("text.output")[-1].text == "It is rainy."


async def test_in_fast_mode_functions_are_off_unless_enabled(make: Make) -> None:
    engine, _ = make()
    with pytest.raises(InvalidRequest) as caught:
        engine.register_tool(print)
    assert "enable_functions" in caught.value.hint


async def test_two_tools_of_one_name_are_refused(make: Make) -> None:
    def look() -> str:
        """Look."""
        return ""

    engine, _ = make(mode="big", tools=[look])
    with pytest.raises(InvalidRequest, match="look"):
        engine.register_tool(look)
