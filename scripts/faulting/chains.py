"""The chains of providers under test, as settings of the daemon."""

from collections.abc import Callable
from dataclasses import dataclass

from scripts.faulting.vendors import EAR, KEYS, LIVE, MIND, SPARE, VOICE

Where = Callable[[str], str]
"""Returns host and port of a vendor by its name."""


@dataclass(frozen=True, slots=True)
class Chain:
    """``hit`` are the vendors that the fault affects, ``spared`` those that keep working."""

    name: str
    hit: tuple[str, ...]
    agent: tuple[str, ...]
    spared: tuple[str, ...] = ()
    pipeline: tuple[str, ...] = ()

    def settings(self, where: Where) -> tuple[str, ...]:
        """Return the settings for vendors at ``where``."""
        names = (*self.hit, *self.spared)
        return (
            *(line for name in names for line in _provider(name, where(name))),
            *self.pipeline,
            *self.agent,
        )


def _provider(name: str, place: str) -> tuple[str, ...]:
    kinds = {LIVE: "openai", EAR: "deepgram", MIND: "openai", SPARE: "anthropic", VOICE: "elevenlabs"}
    addresses = {
        LIVE: f"ws://{place}/v1",
        EAR: f"ws://{place}",
        MIND: f"http://{place}/v1",
        SPARE: f"http://{place}",
        VOICE: f"http://{place}",
    }
    return (
        f'providers.{name}.kind="{kinds[name]}"',
        f'providers.{name}.endpoint="{addresses[name]}"',
        f'providers.{name}.api_key="{KEYS[name]}"',
        *([f'providers.{VOICE}.voice="rachel"'] if name == VOICE else []),
    )


_HOUSE = (
    f'pipelines.house.stt=["{EAR}"]',
    f'pipelines.house.llm=["{MIND}"]',
    f'pipelines.house.tts=["{VOICE}"]',
)

CHAINS = (
    Chain("realtime > device", hit=(LIVE,), agent=(f'agents.default.provider="{LIVE}"',)),
    Chain(
        "pipeline > device",
        hit=(EAR, MIND, VOICE),
        pipeline=_HOUSE,
        agent=('agents.default.provider="house"',),
    ),
    Chain(
        "each stage has a second",
        hit=(EAR, MIND, VOICE),
        spared=(SPARE,),
        pipeline=(
            f'pipelines.house.stt=["{EAR}", "local"]',
            f'pipelines.house.llm=["{MIND}", "{SPARE}"]',
            f'pipelines.house.tts=["{VOICE}", "local"]',
        ),
        agent=('agents.default.provider="house"',),
    ),
    Chain(
        "pipeline > realtime > device",
        hit=(EAR, MIND, VOICE),
        spared=(LIVE,),
        pipeline=_HOUSE,
        agent=('agents.default.provider="house"', f'agents.default.fallback=["{LIVE}", "local"]'),
    ),
)
