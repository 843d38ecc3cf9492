"""What every vendor's voice has, with a vendor of its own."""

from collections.abc import AsyncGenerator, Callable
from typing import Any, cast

import msgspec
import pytest

from voxd.errors import ConfigError
from voxd.frames import Clip
from voxd.net.transport import Access, Budget, HttpRequest, Transport
from voxd.providers.pipeline.stages.contract import StageConfig
from voxd.providers.pipeline.stages.tts_options import HttpTextToSpeech


class Options(msgspec.Struct, frozen=True):
    speed: float = 1.0


class Hastier(msgspec.Struct, frozen=True):
    speed: float = 1.2


class Acme(HttpTextToSpeech[Options]):
    options_type = Options

    async def check(self, budget: Budget) -> None:
        raise NotImplementedError

    def synthesize(self, text: str, budget: Budget, *, previous: str = "") -> AsyncGenerator[Clip]:
        raise NotImplementedError

    def _call(self, text: str, access: Access) -> HttpRequest:
        return HttpRequest("POST", f"{access.endpoint}/{len(text)}", {"Speed": str(self._options.speed)})


class AcmeToday(Acme):
    options_type = cast(type[Options], Hastier)


class Prepared:
    """A wire that only records its preparation."""

    def __init__(self) -> None:
        self.builds: list[Callable[[Access], HttpRequest]] = []

    def prepare(self, build: Callable[[Access], HttpRequest]) -> None:
        self.builds.append(build)


def voice(cls: type[Acme] = Acme, transport: Any = None, **options: Any) -> Acme:
    return cls(StageConfig("voice", "acme", options=options), cast(Transport, transport))


def test_a_default_of_ours_that_changes_is_another_sound() -> None:
    assert voice().variant != voice(AcmeToday).variant
    assert voice().variant == voice().variant


def test_an_unusable_option_is_reported_before_synthesis() -> None:
    with pytest.raises(ConfigError, match="speed"):
        voice(speed="fast")


def test_what_is_opened_ahead_is_where_a_text_would_go() -> None:
    transport = Prepared()
    voice(transport=transport, speed=0.5).prepare()
    [build] = transport.builds
    assert build(Access("https://acme.example")) == HttpRequest(
        "POST", "https://acme.example/1", {"Speed": "0.5"}
    )
