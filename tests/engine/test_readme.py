"""The README's example of the library runs as it is written, against the fake OpenAI server."""

import asyncio
import re
from pathlib import Path

import pytest

from tests.engine.conftest import PATIENCE_S, Log
from tests.rig.soundcard import SoundCard
from tests.servers.openai_realtime import KEY, realtime_server
from voxd import VoiceEngine
from voxd.config.loading import examine
from voxd.config.problems import Severity
from voxd.providers.facts import config_facts
from voxd.providers.vendors.openai.realtime import OpenAIProvider

README = (Path(__file__).parents[2] / "README.md").read_text()


def block(language: str, word: str) -> str:
    found = re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    return next(text for text in found if word in text)


async def test_the_example_prints_the_answer(
    card: SoundCard, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made: list[VoiceEngine] = []
    logs: list[Log] = []
    original = VoiceEngine.__aenter__

    async def remember(self: VoiceEngine) -> VoiceEngine:
        made.append(self)
        logs.append(Log(self))
        return await original(self)

    async def listen() -> None:
        assert made[0].is_listening
        await logs[0].wait("response.completed")

    monkeypatch.setattr(VoiceEngine, "__aenter__", remember)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    source = block("python", "VoiceEngine").replace("asyncio.run(main())", "")
    source = source.replace("await asyncio.sleep(10)", "await listen()")
    async with realtime_server() as server:
        monkeypatch.setattr(OpenAIProvider, "endpoint", server.url)
        scope = {"listen": listen}
        exec(compile(source, "<README>", "exec"), scope)
        async with asyncio.timeout(PATIENCE_S):
            await scope["main"]()
    assert capsys.readouterr().out == "Hello there.\n"
    assert not made[0].is_connected


@pytest.mark.parametrize("word", ["[providers.openai]", "[[wake.words]]"])
def test_the_configurations_are_understood(tmp_path: Path, word: str) -> None:
    path = tmp_path / "voxd.toml"
    path.write_text(block("toml", word))
    (tmp_path / "openai_key").write_text(KEY)
    _, _, problems = examine(path, get_facts=config_facts, environ={"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert [problem for problem in problems if problem.severity is Severity.ERROR] == []
