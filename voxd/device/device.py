"""The running device, as every surface sees it: each method asks one room."""

import asyncio
import logging

from voxd import __version__, reports
from voxd.audio.devices import list_devices
from voxd.audio.level import dbfs
from voxd.audio.wav import wav_bytes
from voxd.config.paths import models_dir
from voxd.config.schema import Config
from voxd.device.recorded_question import recorded_question
from voxd.device.rooms import Rooms
from voxd.device.summary import spoken_name, summary
from voxd.errors import Busy, DeviceError, InvalidRequest, Muted, NotFound
from voxd.frames import samples_from_s
from voxd.turn.inputs import (
    Input,
    ListenRequested,
    MuteRequested,
    QuestionReceived,
    RepeatRequested,
    SayRequested,
    Source,
    State,
    StopRequested,
)
from voxd.turn.machine import RESTING

_log = logging.getLogger(__name__)

LEVEL_SAMPLES = samples_from_s(0.5)
"""What the level in `status` is measured over."""


class Appliance:
    """Implements `voxd.api.DeviceApi` over the rooms of one daemon."""

    def __init__(self, rooms: Rooms) -> None:
        self.bus = rooms.bus
        self._rooms = rooms
        self._started_s = rooms.clock.monotonic()

    # --- what it is -------------------------------------------------------------------------------

    def status(self) -> reports.DeviceStatus:
        """Return the state of the device."""
        rooms, machine = self._rooms, self._rooms.runner.machine
        return reports.DeviceStatus(
            version=__version__,
            state=machine.state.value,
            summary=self.summary(),
            uptime_s=rooms.clock.monotonic() - self._started_s,
            muted=machine.muted,
            volume_percent=rooms.speaker.volume_percent,
            agent=rooms.runner.agent,
            wake_words=tuple(word.name for word in rooms.speech_input.words() if word.enabled),
            audio=reports.AudioStatus(
                input=rooms.microphone.device,
                output=rooms.speaker.device,
                ok=rooms.microphone.ok,
                problem=rooms.microphone.problem,
                overruns=rooms.ring.overruns,
                level_dbfs=self._level_dbfs(),
            ),
            engines=(rooms.transcriber.status(), rooms.synthesizer.status()),
            leds=rooms.leds.status,
            button=rooms.buttons.status,
            timers=len(rooms.timers.list()),
            turns=rooms.recorder.turns,
            problems=self.problems(),
            agents=rooms.answering.router.agents(),
            queued=rooms.answering.offline_queue.waiting,
        )

    def summary(self) -> str:
        """Return the state as the sentence that systemd shows."""
        rooms = self._rooms
        return summary(
            rooms.runner.machine.state,
            words=[word.name for word in rooms.speech_input.words() if word.enabled],
            device=rooms.microphone.device,
            problems=self.problems(),
        )

    def spoken_summary(self) -> str:
        """Return the state as the device says it of itself."""
        problems = self.problems()
        if problems:
            return f"I have a problem: {problems[0]}."
        words = [spoken_name(word.name) for word in self._rooms.speech_input.words() if word.enabled]
        return f"I am well, and I listen for {' and '.join(words)}." if words else "I am well."

    def problems(self) -> tuple[str, ...]:
        """Return what is not as it should be, in plain words, the most serious first."""
        rooms = self._rooms
        found = []
        if rooms.microphone.problem:
            found.append(f"microphone {rooms.microphone.device}: {rooms.microphone.problem}")
        if rooms.speaker.problem:
            found.append(f"loudspeaker {rooms.speaker.device}: {rooms.speaker.problem}")
        found += [f"wake word {problem.word}: {problem.error}" for problem in rooms.speech_input.problems]
        for engine in (rooms.transcriber.status(), rooms.synthesizer.status()):
            if engine.problem:
                found.append(f"{engine.active} stands in for {engine.configured}: {engine.problem}")
        found += rooms.answering.problems()
        if rooms.database.problem:
            found.append(rooms.database.problem)
        return tuple(found)

    def _level_dbfs(self) -> float | None:
        ring, microphone = self._rooms.ring, self._rooms.microphone
        if not (microphone.is_open and microphone.ok):
            return None
        start = max(ring.tail, ring.head - LEVEL_SAMPLES)
        return round(dbfs(ring.read(start, LEVEL_SAMPLES, self._rooms.reloader.config.audio.channel).pcm), 1)

    # --- what it does -----------------------------------------------------------------------------

    def listen(self) -> None:
        """Start listening as if the button had been pressed."""
        machine = self._rooms.runner.machine
        if machine.muted:
            raise Muted("the microphone is muted")
        if machine.deaf:
            raise DeviceError(f"no sound from the microphone: {self._rooms.microphone.problem}")
        self._feed(ListenRequested(Source.SOCKET, self._rooms.ring.head))

    def stop(self) -> None:
        """Stop listening, speaking and ringing."""
        self._feed(StopRequested(Source.SOCKET))

    async def say(self, text: str) -> None:
        """Speak ``text``; returns when it was heard."""
        await self._turn(SayRequested(text))

    async def ask(self, text: str, *, speak: bool) -> reports.QuestionResult:
        """Answer a typed question."""
        return await self._turn(QuestionReceived(text, speak))

    async def ask_audio(self, wav: bytes, *, speak: bool) -> reports.QuestionResult:
        """Answer a spoken question given as a WAV file; a wake word before it is passed over."""
        config = self._rooms.reloader.config
        asked = await asyncio.to_thread(recorded_question, wav, config.wake.words, models_dir(config))
        return await self._turn(QuestionReceived(asked, speak))

    def repeat(self) -> None:
        """Say the last reply again."""
        self._feed(RepeatRequested(Source.SOCKET))

    def set_muted(self, muted: bool) -> None:
        """Close or open the microphone."""
        if not muted and self._rooms.runner.machine.switch_closed:
            raise Muted("the mute switch is closed", hint="open the mute switch on the device")
        self._feed(MuteRequested(muted, Source.SOCKET))

    def volume(self) -> int:
        """Return the output volume in percent."""
        return self._rooms.speaker.volume_percent

    def set_volume(self, percent: int) -> int:
        """Set the output volume; returns it."""
        if not 0 <= percent <= 100:
            raise InvalidRequest(f"{percent} is not a volume", hint="use a number from 0 to 100")
        self._rooms.speaker.volume_percent = percent
        self.bus.emit("volume.changed", percent=percent)
        self._rooms.settings.change(volume_percent=percent)
        return percent

    def _feed(self, given: Input) -> None:
        self._rooms.runner.feed(given)

    async def _turn(self, given: Input) -> reports.QuestionResult:
        runner = self._rooms.runner
        if runner.machine.state not in RESTING | {State.FOLLOW_UP}:
            raise Busy(f"the device is {runner.machine.state.value}")
        runner.feed(given)
        turn = runner.turn
        if turn is None:
            raise Busy(f"the device is {runner.machine.state.value}")
        await turn.done.wait()
        return reports.QuestionResult(
            turn.id, turn.result.transcript, turn.result.reply, turn.outcome, turn.stages_ms
        )

    # --- what it remembers ------------------------------------------------------------------------

    async def last(self) -> reports.LastTurn:
        """Return the ledger of the last turn."""
        turn = self._rooms.ledger.last()
        if turn is None:
            raise NotFound(
                "there has been no turn since the start", hint="say the wake word, or `voxctl ask`"
            )
        return turn

    async def history(self, limit: int) -> list[reports.HistoryEntry]:
        """Return the newest turns, newest first."""
        return await self._rooms.history.newest(limit)

    async def forget(self) -> int:
        """Delete the whole history, here and with the vendors; returns how many turns were deleted."""
        await self._rooms.answering.forget()
        deleted = await self._rooms.history.forget()
        self.bus.emit("conversation.cleared", turns=deleted)
        return deleted

    def timers(self) -> list[reports.TimerEntry]:
        """Return timers, alarms and reminders, the next one first."""
        return self._rooms.timers.list()

    async def cancel_timer(self, id: int) -> None:
        """Cancel or silence one."""
        await self._rooms.timers.cancel(id)

    # --- its ears ---------------------------------------------------------------------------------

    def wake_words(self) -> list[reports.WakeEntry]:
        """Return the wake words as they run."""
        return self._rooms.speech_input.words()

    def set_wake_word(
        self, name: str, *, enabled: bool | None, threshold: float | None, first_threshold: float | None
    ) -> reports.WakeEntry:
        """Change a word until the next restart."""
        speech_input = self._rooms.speech_input
        speech_input.set_word(name, enabled=enabled, threshold=threshold, first_threshold=first_threshold)
        return next(word for word in speech_input.words() if word.name == name)

    def wake_candidates(self, limit: int) -> list[reports.WakeCandidate]:
        """Return what was suspected lately, newest first."""
        return self._rooms.speech_input.candidates.newest(limit, self._rooms.clock.monotonic())

    def wake_clip(self, id: int) -> bytes:
        """Return the sound of a candidate as a WAV file."""
        return wav_bytes(self._rooms.speech_input.candidates.clip(id))

    # --- who answers ------------------------------------------------------------------------------

    def providers(self) -> tuple[reports.ProviderEntry, ...]:
        """Return the configured providers, the device itself first."""
        return self._rooms.answering.router.providers()

    async def use_provider(self, agent: str, name: str) -> None:
        """Let provider ``name`` answer for ``agent`` until a restart."""
        await self._rooms.answering.router.use(agent, name)

    async def test_provider(self, name: str) -> float:
        """Open a session with a provider and close it; returns the milliseconds it took."""
        return await self._rooms.answering.router.test(name)

    async def usage(self, days: int) -> list[reports.UsageEntry]:
        """Return what was used in the last ``days`` days."""
        return await self._rooms.answering.usage.newest(days)

    async def queue(self) -> list[reports.QueueEntry]:
        """Return the questions nobody could answer at once, the oldest first."""
        return await self._rooms.answering.offline_queue.entries()

    async def retry_queued(self, id: str | None) -> int:
        """Ask one, or all, again at once; returns how many."""
        return await self._rooms.answering.offline_queue.retry(id)

    async def drop_queued(self, id: str | None) -> int:
        """Give one, or all, up; returns how many."""
        return await self._rooms.answering.offline_queue.drop(id)

    # --- its house --------------------------------------------------------------------------------

    async def devices(self) -> list[reports.Device]:
        """Return the sound devices of the machine."""
        return await list_devices()

    def config(self) -> Config:
        """Return the configuration in force."""
        return self._rooms.reloader.config

    async def reload(self) -> reports.Reloaded:
        """Read the configuration again."""
        reloaded = self._rooms.reloader.reload()
        self.bus.emit("daemon.reloaded", applied=reloaded.applied, needs_restart=reloaded.needs_restart)
        if reloaded.applied:
            self.bus.emit("settings.changed", changed=reloaded.applied)
        return reloaded

    def metrics(self) -> str:
        """Return the metrics in the Prometheus text format."""
        return self._rooms.metrics.render()
