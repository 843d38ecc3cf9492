"""Applies a changed configuration to a running device, as far as that can be done live."""

from collections.abc import Callable

from voxd import reports
from voxd.config.diff import diff
from voxd.config.schema import Config
from voxd.device.answering import ProviderServices
from voxd.hardware.leds import LedDisplay
from voxd.listen.speech_input import SpeechInput
from voxd.observe.log import set_level
from voxd.skills.engine import SkillEngine
from voxd.store.history import HistoryStore
from voxd.turn.runner import TurnRunner


class Reloader:
    """Holds the configuration in force. Keys that need a restart keep their old effect until then."""

    def __init__(
        self,
        config: Config,
        read: Callable[[], Config],
        *,
        speech_input: SpeechInput,
        runner: TurnRunner,
        skills: SkillEngine,
        history: HistoryStore,
        leds: LedDisplay,
        answering: ProviderServices,
    ) -> None:
        self.config = config
        self._started_with = config
        self._read = read
        self._speech_input = speech_input
        self._runner = runner
        self._skills = skills
        self._history = history
        self._leds = leds
        self._answering = answering

    def reload(self) -> reports.Reloaded:
        """Read the configuration again. Raises `ConfigError` and then changes nothing."""
        new = self._read()
        applied, _ = diff(self.config, new)
        _, needs_restart = diff(self._started_with, new)
        self.config = new
        self._speech_input.configure(new.wake, new.endpoint)
        self._runner.configure(new.turn)
        self._skills.configure(new.skills)
        self._history.configure(new.history)
        self._answering.configure(new)
        self._leds.dim(new.leds.brightness)
        set_level(new.log.level)
        return reports.Reloaded(applied, needs_restart)
