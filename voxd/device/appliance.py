"""The API of the running device, which the control socket, the web server and the bridges call."""

import asyncio
from collections.abc import Callable

from voxd import reports
from voxd.audio.devices import list_devices
from voxd.audio.files import wav_bytes
from voxd.audio.microphone import Microphone
from voxd.audio.ring import Ring
from voxd.audio.speaker import Speaker
from voxd.bus.bus import Bus
from voxd.clock import Clock
from voxd.config.diff import diff
from voxd.config.paths import models_dir
from voxd.config.schema import Config
from voxd.device.mute import MuteControl
from voxd.device.provider_services import ProviderServices
from voxd.device.recorded_question import recorded_question
from voxd.device.status import StatusReporter
from voxd.errors import Busy, DeviceError, InvalidRequest, Muted, NotFound, VoxdError
from voxd.listen.speech_input import SpeechInput
from voxd.local.speakable import check_speakable
from voxd.observe.ledger import LatencyLedger
from voxd.observe.metrics import Metrics
from voxd.skills.timing.timers import Timers
from voxd.store.history import HistoryStore
from voxd.store.settings import SettingsFile
from voxd.turn.inputs import (
    Input,
    ListenRequested,
    QuestionReceived,
    RepeatRequested,
    SayRequested,
    Source,
    State,
    StopRequested,
)
from voxd.turn.machine import RESTING
from voxd.turn.reply_player import TurnRecord
from voxd.turn.runner import TurnRunner

# How a text that was spoken may end: to its end, or cut by a person.
_COMPLETED = frozenset({"answered", "interrupted", "cancelled"})


class Appliance:
    """Implements `voxd.api.DeviceApi` over the parts of one daemon."""

    def __init__(
        self,
        config: Config,
        *,
        read_config: Callable[[], Config],
        configure: Callable[[Config], None],
        bus: Bus,
        clock: Clock,
        ring: Ring,
        microphone: Microphone,
        speaker: Speaker,
        speech_input: SpeechInput,
        runner: TurnRunner,
        providers: ProviderServices,
        timers: Timers,
        history: HistoryStore,
        settings: SettingsFile,
        mute: MuteControl,
        ledger: LatencyLedger,
        metrics: Metrics,
        reporter: StatusReporter,
    ) -> None:
        """``read_config`` reads the configuration again; ``configure`` applies it to all parts."""
        self.bus = bus
        self._config = self._started_with = config
        self._read_config = read_config
        self._configure = configure
        self._clock = clock
        self._ring = ring
        self._microphone = microphone
        self._speaker = speaker
        self._speech_input = speech_input
        self._runner = runner
        self._providers = providers
        self._timers = timers
        self._history = history
        self._settings = settings
        self._mute = mute
        self._ledger = ledger
        self._metrics = metrics
        self._reporter = reporter

    # --- state ------------------------------------------------------------------------------------

    def status(self) -> reports.DeviceStatus:
        """Return the state of the device."""
        return self._reporter.status()

    def summary(self) -> str:
        """Return the state as the sentence that systemd shows."""
        return self._reporter.summary()

    def spoken_summary(self) -> str:
        """Return the state as a sentence to be spoken."""
        return self._reporter.spoken_summary()

    # --- actions ----------------------------------------------------------------------------------

    def listen(self) -> None:
        """Start listening, as a short press of the button does. Raises `Muted`, `DeviceError`."""
        machine = self._runner.machine
        # The machine would only sound an earcon; a program that asked needs the reason.
        if machine.muted:
            raise Muted("the microphone is muted")
        if machine.microphone_lost:
            raise DeviceError(f"no sound from the microphone: {self._microphone.problem}")
        self._runner.feed(ListenRequested(Source.SOCKET, self._ring.head))

    def stop(self) -> None:
        """Stop listening, speaking and ringing."""
        self._runner.feed(StopRequested(Source.SOCKET))

    async def say(self, text: str, *, wait: bool) -> reports.Said:
        """Speak ``text``; returns when it is accepted, with ``wait`` when it was played to its end."""
        check_speakable(text, self._config.tts.language)
        if self._speaker.pid is None:
            # Opened now, so that a missing loudspeaker is the answer and not silence.
            await self._speaker.start()
        if self._speaker.problem:
            raise DeviceError(f"the loudspeaker does not work: {self._speaker.problem}")
        turn = self._begin_turn(SayRequested(text))
        if not wait:
            return reports.Said(turn.id, "")
        await turn.done.wait()
        if turn.outcome not in _COMPLETED:
            raise VoxdError("the text could not be spoken", code=turn.outcome, hint="run `voxctl status`")
        if turn.result.unheard:
            raise DeviceError("the text was not heard: the loudspeaker failed", code=turn.result.unheard)
        return reports.Said(turn.id, turn.outcome)

    async def ask(self, text: str, *, speak: bool) -> reports.QuestionResult:
        """Answer a typed question."""
        return await self._run_turn(QuestionReceived(text, speak))

    async def ask_audio(self, wav: bytes, *, speak: bool) -> reports.QuestionResult:
        """Answer a spoken question given as a WAV file; a wake word before it is skipped."""
        config = self._config
        # In a thread: the search for the wake word takes tens of milliseconds of CPU.
        question = await asyncio.to_thread(recorded_question, wav, config.wake.words, models_dir(config))
        return await self._run_turn(QuestionReceived(question, speak))

    def repeat(self) -> None:
        """Say the last reply again."""
        self._runner.feed(RepeatRequested(Source.SOCKET))

    async def set_muted(self, muted: bool) -> reports.MuteState:
        """Close or open the microphone."""
        # The switch is hardware for a reason: software must not open what it has closed.
        if not muted and self._runner.machine.switch_closed:
            raise Muted("the mute switch is closed", hint="open the mute switch on the device")
        return reports.MuteState(muted, await self._mute.set(muted, Source.SOCKET))

    def volume(self) -> int:
        """Return the output volume in percent."""
        return self._speaker.volume_percent

    async def set_volume(self, percent: int) -> int:
        """Set the output volume once it is saved; returns it."""
        if not 0 <= percent <= 100:
            raise InvalidRequest(f"{percent} is not a volume", hint="use a number from 0 to 100")
        await self._settings.save(volume_percent=percent)
        self._speaker.volume_percent = percent
        self.bus.emit("volume.changed", percent=percent)
        return percent

    async def _run_turn(self, turn_input: Input) -> reports.QuestionResult:
        turn = self._begin_turn(turn_input)
        await turn.done.wait()
        said = turn.result
        return reports.QuestionResult(
            turn.id, said.transcript, said.reply, turn.outcome, turn.stages_ms, said.refusal
        )

    def _begin_turn(self, turn_input: Input) -> TurnRecord:
        runner = self._runner
        if runner.machine.state not in RESTING | {State.FOLLOW_UP}:
            raise Busy(f"the device is {runner.machine.state.value}")
        runner.feed(turn_input)
        turn = runner.turn
        if turn is None:
            raise Busy(f"the device is {runner.machine.state.value}")
        return turn

    # --- history and timers -----------------------------------------------------------------------

    async def last(self) -> reports.LastTurn:
        """Return the ledger of the last turn."""
        turn = self._ledger.last()
        if turn is None:
            raise NotFound(
                "there has been no turn since the start", hint="say the wake word, or `voxctl ask`"
            )
        return turn

    async def history(self, limit: int) -> list[reports.HistoryEntry]:
        """Return the newest turns, newest first."""
        return await self._history.newest(limit)

    async def forget(self) -> int:
        """Delete the whole history, here and at the vendors; returns how many turns were deleted."""
        # The disk first: when it refuses, nothing is forgotten anywhere.
        deleted = await self._history.forget()
        await self._providers.forget()
        self.bus.emit("conversation.cleared", turns=deleted)
        return deleted

    def timers(self) -> list[reports.TimerEntry]:
        """Return timers, alarms and reminders, the next one first."""
        return self._timers.list()

    async def cancel_timer(self, id: int) -> None:
        """Cancel a timer, or silence it while it rings."""
        await self._timers.cancel(id)

    # --- wake words -------------------------------------------------------------------------------

    def wake_words(self) -> list[reports.WakeEntry]:
        """Return the wake words as they run."""
        return self._speech_input.words()

    def set_wake_word(
        self, name: str, *, enabled: bool | None, threshold: float | None, first_threshold: float | None
    ) -> reports.WakeEntry:
        """Change a word until the next restart."""
        speech_input = self._speech_input
        speech_input.set_word(name, enabled=enabled, threshold=threshold, first_threshold=first_threshold)
        return next(word for word in speech_input.words() if word.name == name)

    def wake_candidates(self, limit: int) -> list[reports.WakeCandidate]:
        """Return the latest wake word candidates, newest first."""
        return self._speech_input.candidates.newest(limit, self._clock.monotonic())

    def wake_clip(self, id: int) -> bytes:
        """Return the sound of a candidate as a WAV file."""
        return wav_bytes(self._speech_input.candidates.clip(id))

    # --- providers --------------------------------------------------------------------------------

    def providers(self) -> tuple[reports.ProviderEntry, ...]:
        """Return the configured providers, the device itself first."""
        return self._providers.router.providers()

    async def use_provider(self, agent: str, name: str) -> None:
        """Let provider ``name`` answer for ``agent`` until a restart."""
        await self._providers.router.use(agent, name)

    async def test_provider(self, name: str) -> float:
        """Open a session with a provider and close it; returns the milliseconds it took."""
        return await self._providers.router.test(name)

    async def usage(self, days: int) -> list[reports.UsageEntry]:
        """Return what was used in the last ``days`` days."""
        return await self._providers.usage.newest(days)

    async def queue(self) -> list[reports.QueueEntry]:
        """Return the queued questions, the oldest first."""
        return await self._providers.offline_queue.entries()

    async def retry_queued(self, id: str | None) -> int:
        """Ask one queued question, or all, again at once; returns how many."""
        return await self._providers.offline_queue.retry(id)

    async def drop_queued(self, id: str | None) -> int:
        """Drop one queued question, or all; returns how many."""
        return await self._providers.offline_queue.drop(id)

    # --- configuration ------------------------------------------------------------------------------

    async def devices(self) -> list[reports.Device]:
        """Return the sound devices of the machine."""
        return await list_devices()

    def config(self) -> Config:
        """Return the configuration in force."""
        return self._config

    async def reload(self) -> reports.Reloaded:
        """Read the configuration again and apply it. Raises `ConfigError` and then changes nothing.

        Keys that need a restart keep their old effect until then.
        """
        # Raises before anything changes: a broken file leaves the device as it was.
        new = self._read_config()
        applied, _ = diff(self._config, new)
        # Against the start, not the last reload: a key changed back needs no restart any more.
        _, needs_restart = diff(self._started_with, new)
        self._config = new
        self._configure(new)
        self.bus.emit("daemon.reloaded", applied=applied, needs_restart=needs_restart)
        if applied:
            self.bus.emit("settings.changed", changed=applied)
        return reports.Reloaded(applied, needs_restart)

    def metrics(self) -> str:
        """Return the metrics in the Prometheus text format."""
        return self._metrics.render()
