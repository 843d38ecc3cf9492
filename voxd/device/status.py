"""The state of the device: values for `voxctl status`, a sentence for systemd and one to speak."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from voxd import __version__, reports
from voxd.audio.microphone import Microphone
from voxd.audio.ring import Ring
from voxd.audio.sound import dbfs
from voxd.audio.speaker import Speaker
from voxd.clock import Clock
from voxd.config.schema import Config
from voxd.device.provider_services import ProviderServices
from voxd.device.turn_recorder import TurnRecorder
from voxd.frames import samples_from_s
from voxd.hardware.button import Buttons
from voxd.hardware.leds import LedDisplay
from voxd.listen.speech_input import SpeechInput
from voxd.local.chain import SynthesizerChain, TranscriberChain
from voxd.skills.timing.timers import Timers
from voxd.store.db import Database
from voxd.store.settings import SettingsFile
from voxd.turn.inputs import State
from voxd.turn.runner import TurnRunner

# The duration over which the level in `status` is measured.
LEVEL_SAMPLES = samples_from_s(0.5)

_ACTIVITIES = {
    State.LISTENING: "Listening to you",
    State.THINKING: "Thinking",
    State.SPEAKING: "Speaking",
    State.FOLLOW_UP: "Waiting for your answer",
}


def spoken_name(word: str) -> str:
    """Return a wake word's name as people say it: hey_jarvis is "hey jarvis"."""
    return word.replace("_", " ")


def summarize(
    state: State,
    *,
    words: Sequence[str],
    device: str,
    problems: Sequence[str],
    broken_words: int = 0,
    ringing: Sequence[str] = (),
) -> str:
    """Return the sentence for ``state``.

    ``words`` are the wake words that are switched on and work, ``broken_words`` counts those that do not.
    ``ringing`` is what rings, such as "timer 3".
    """
    match state:
        case State.IDLE | State.MUTED | State.ERROR if ringing:
            base = f"Ringing: {' and '.join(ringing)}{', muted' if state is State.MUTED else ''}"
        case State.IDLE if words:
            names = " or ".join(f'"{spoken_name(word)}"' for word in words)
            base = f"Listening for {names} on {device}"
        case State.IDLE:
            state_of_words = "works" if broken_words else "is switched on"
            base = f"Ready for the button or `voxctl listen`: no wake word {state_of_words}"
        case State.MUTED:
            base = "Muted: the microphone is closed"
        case State.ERROR:
            base = "No sound from the microphone"
        case _:
            base = _ACTIVITIES[state]
    # One problem: systemd shows one line, and `voxctl status` lists them all.
    return f"{base} ({problems[0]})" if problems else base


@dataclass(kw_only=True)
class StatusReporter:
    """Collects the state of all parts of the device."""

    clock: Clock
    config: Callable[[], Config]
    ring: Ring
    microphone: Microphone
    speaker: Speaker
    speech_input: SpeechInput
    runner: TurnRunner
    recorder: TurnRecorder
    transcriber: TranscriberChain
    synthesizer: SynthesizerChain
    providers: ProviderServices
    timers: Timers
    database: Database
    leds: LedDisplay
    buttons: Buttons
    settings: SettingsFile
    failed_commands: Mapping[str, str]
    """Why custom commands did not work the last time, by name."""
    command_problems: tuple[str, ...] = ()
    """Custom commands that cannot run, and why."""

    def __post_init__(self) -> None:
        self._started_s = self.clock.monotonic()

    def status(self) -> reports.DeviceStatus:
        """Return the state of the device."""
        machine = self.runner.machine
        return reports.DeviceStatus(
            version=__version__,
            state=machine.state.value,
            summary=self.summary(),
            uptime_s=self.clock.monotonic() - self._started_s,
            muted=machine.muted,
            volume_percent=self.speaker.volume_percent,
            agent=self.runner.agent,
            wake_words=tuple(word.name for word in self.speech_input.words() if word.enabled),
            audio=reports.AudioStatus(
                input=self.microphone.device,
                output=self.speaker.device,
                ok=self.microphone.ok,
                problem=self.microphone.problem,
                overruns=self.ring.overruns,
                level_dbfs=self._level_dbfs(),
            ),
            engines=(self.transcriber.status(), self.synthesizer.status()),
            leds=self.leds.status,
            button=self.buttons.status,
            timers=len(self.timers.list()),
            turns=self.recorder.turns,
            problems=self.problems(),
            agents=self.providers.router.agents(),
            queued=self.providers.offline_queue.waiting,
            ringing=self._ringing(),
        )

    def summary(self) -> str:
        """Return the state as the sentence that systemd shows."""
        return summarize(
            self.runner.machine.state,
            words=[word.name for word in self.speech_input.words() if word.enabled],
            device=self.microphone.device,
            problems=self.problems(),
            broken_words=len(self.speech_input.problems),
            ringing=self._ringing(),
        )

    def spoken_summary(self) -> str:
        """Return the state as a sentence to be spoken."""
        problems = self.problems()
        # One problem, for ears: a list of causes cannot be remembered.
        if problems:
            return f"I have a problem: {problems[0]}."
        words = [spoken_name(word.name) for word in self.speech_input.words() if word.enabled]
        return f"Everything works, and I listen for {' and '.join(words)}." if words else "Everything works."

    def problems(self) -> tuple[str, ...]:
        """Return the problems of the device as text, the most serious first."""
        return tuple(self.problems_by_part().values())

    def problems_by_part(self) -> dict[str, str]:
        """Return the problems of the device by the part that has it, the most serious first."""
        # In order of what they take away: hearing, speaking, one wake word, quality, the cloud, storage.
        found = {}
        if self.microphone.problem:
            found["microphone"] = f"microphone {self.microphone.device}: {self.microphone.problem}"
        if self.speaker.problem:
            found["loudspeaker"] = f"loudspeaker {self.speaker.device}: {self.speaker.problem}"
        for word in self.speech_input.problems:
            found[f"wake word {word.word}"] = f"wake word {word.word}: {word.error}"
        for engine in (self.transcriber.status(), self.synthesizer.status()):
            if engine.problem:
                stands_in = f"{engine.active} stands in for {engine.configured}: {engine.problem}"
                found[engine.kind] = stands_in
        for problem in self.command_problems:
            # "command NAME: reason"
            found[problem.partition(":")[0]] = problem
        for name, reason in self.failed_commands.items():
            found[f"command {name}"] = f"command {name} failed: {reason}"
        for problem in self.providers.problems():
            found[f"provider: {problem.partition(':')[0]}"] = problem
        if self.database.problem:
            found["database"] = self.database.problem
        if self.settings.problem:
            found["settings"] = self.settings.problem
        return found

    def _ringing(self) -> tuple[str, ...]:
        # Without its name, which a user spoke: any local user may read the status.
        return tuple(f"{entry.kind} {entry.id}" for entry in self.timers.ringing())

    def _level_dbfs(self) -> float | None:
        ring, microphone = self.ring, self.microphone
        # What the ring still holds from before the microphone was closed is not the present level.
        if not (microphone.is_open and microphone.ok):
            return None
        start = max(ring.tail, ring.head - LEVEL_SAMPLES)
        return round(dbfs(ring.read(start, LEVEL_SAMPLES, self.config().audio.channel).pcm), 1)
