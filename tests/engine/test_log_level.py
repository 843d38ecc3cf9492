"""The log level of an engine: for that engine only, and without a configuration of the program too."""

import asyncio
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest

from voxd import VoiceEngine
from voxd.providers.vendors.mock import realtime

_log = logging.getLogger("voxd.providers.vendors.mock.realtime")


@pytest.fixture(autouse=True)
def talkative(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The mock logs at every level, when it connects and in the task of its reply."""
    connect, respond = realtime.MockProvider.connect, realtime.MockProvider._respond
    package = logging.getLogger("voxd")
    before = package.level
    package.setLevel(logging.NOTSET)

    def note(self: realtime.MockProvider, where: str) -> None:
        for level in (logging.DEBUG, logging.INFO, logging.ERROR):
            _log.log(level, "%s %s", self.config["metadata"]["default_reply"], where)

    async def noisy_connect(self: realtime.MockProvider) -> None:
        note(self, "connects")
        await connect(self)

    async def noisy_respond(self: realtime.MockProvider, *arguments: object) -> None:
        note(self, "responds")
        await respond(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(realtime.MockProvider, "connect", noisy_connect)
    monkeypatch.setattr(realtime.MockProvider, "_respond", noisy_respond)
    yield
    package.setLevel(before)


def engine(name: str, **options: str) -> VoiceEngine:
    return VoiceEngine(provider="mock", metadata={"default_reply": name}, **options)


async def talk(*engines: VoiceEngine) -> None:
    for each in engines:
        await each.connect()
    await asyncio.gather(*(each.ask("hello") for each in engines))
    for each in engines:
        await each.disconnect()


def levels_of(caplog: pytest.LogCaptureFixture, name: str) -> set[str]:
    return {record.levelname for record in caplog.records if record.getMessage().startswith(name)}


async def test_each_engine_has_a_level_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    await talk(engine("one", log_level="DEBUG"), engine("two", log_level="error"), engine("three"))
    assert levels_of(caplog, "one") == {"DEBUG", "INFO", "ERROR"}
    assert levels_of(caplog, "two") == {"ERROR"}
    assert levels_of(caplog, "three") == {"INFO", "ERROR"}


async def test_records_of_no_engine_follow_the_program(
    caplog: pytest.LogCaptureFixture,
) -> None:
    watched = logging.getLogger("voxd.observe.watchdog")
    async with engine("one", log_level="DEBUG"):
        caplog.clear()
        _log.debug("a record of no engine")
        assert caplog.records == []
        _log.warning("a warning of no engine")
        assert len(caplog.records) == 1
        caplog.set_level(logging.INFO, watched.name)
        watched.info("a logger with a level of its own")
        watched.debug("below that level")
        assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


async def test_without_a_connected_engine_nothing_is_changed() -> None:
    package = logging.getLogger("voxd")
    first, second = engine("one", log_level="DEBUG"), engine("two", log_level="ERROR")
    assert package.level == logging.NOTSET
    await first.connect()
    await second.connect()
    await first.disconnect()
    assert package.level == logging.WARNING
    await second.disconnect()
    assert (package.level, package.handlers) == (logging.NOTSET, [])
    package.setLevel(logging.ERROR)
    await talk(engine("three", log_level="DEBUG"))
    assert package.level == logging.ERROR


async def test_the_programs_own_level_holds_unless_the_engine_has_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    logging.getLogger("voxd").setLevel(logging.ERROR)
    await talk(engine("one"), engine("two", log_level="DEBUG"))
    assert levels_of(caplog, "one") == {"ERROR"}
    assert levels_of(caplog, "two") == {"DEBUG", "INFO", "ERROR"}


async def test_a_level_that_the_program_sets_later_counts(caplog: pytest.LogCaptureFixture) -> None:
    quiet = engine("one", log_level="ERROR")
    logging.getLogger("voxd").setLevel(logging.INFO)
    await talk(quiet)
    assert levels_of(caplog, "one") == {"INFO", "ERROR"}


@pytest.mark.parametrize(("level", "is_shown"), [("DEBUG", True), ("INFO", False), ("ERROR", False)])
def test_debug_shows_its_records_in_a_program_without_handlers(level: str, is_shown: bool) -> None:
    code = (
        "import asyncio, logging, voxd\n"
        "async def main():\n"
        f"    async with voxd.VoiceEngine(provider='mock', log_level='{level}') as engine:\n"
        "        logging.getLogger('voxd.test').debug('not of the engine')\n"
        "        note = logging.getLogger('voxd.x').debug\n"
        "        engine.events.on('response.started', lambda event: note('here'))\n"
        "        await engine.ask('hello')\n"
        "asyncio.run(main())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ("DEBUG voxd.x: here" in done.stderr) == is_shown
    assert "not of the engine" not in done.stderr
