"""The composition root: builds every part of the device top to bottom and closes them in reverse."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

from voxd import __version__
from voxd.audio.microphone import Microphone
from voxd.audio.ring import Ring
from voxd.audio.speaker import Speaker
from voxd.bus.bus import Bus
from voxd.clock import SystemClock
from voxd.config.schema import Config
from voxd.control.connection import Limits
from voxd.control.server import ControlServer
from voxd.control.sockets import ListeningSocket
from voxd.device.appliance import Appliance
from voxd.device.inputs import EventInputs, VoiceControl, button_input
from voxd.device.left_out import command_problems, start_sentence
from voxd.device.mute import MuteControl
from voxd.device.problem_watch import ProblemWatch
from voxd.device.provider_services import ProviderServices
from voxd.device.shutdown import ShutdownSequence
from voxd.device.status import StatusReporter, spoken_name
from voxd.device.turn_recorder import TurnRecorder
from voxd.errors import VoxdError
from voxd.frames import Clip, samples_from_s
from voxd.hardware.button import Buttons
from voxd.hardware.gestures import Gesture
from voxd.hardware.leds import LedEventHandler, open_leds
from voxd.listen.speech_input import SpeechInput
from voxd.local.engines import build_synthesizer, build_transcriber, render_demonstration
from voxd.observe.event_log import EventLog
from voxd.observe.ledger import LatencyLedger
from voxd.observe.log import set_level
from voxd.observe.metrics import Metrics
from voxd.observe.watchdog import Progress
from voxd.providers.local import LocalProvider
from voxd.providers.skill_tools import skill_tools
from voxd.skills.engine import SkillEngine
from voxd.skills.replies import ring_sentence
from voxd.skills.timing.timers import Timers
from voxd.store.db import Database
from voxd.store.history import HistoryStore
from voxd.store.settings import SettingsFile
from voxd.store.timers import TimerStore
from voxd.turn.inputs import Input, MuteRequested, RingStarted, Source
from voxd.turn.machine import TurnMachine
from voxd.turn.ringer import Ringer
from voxd.turn.runner import TurnDependencies, TurnRunner


class Daemon:
    """One device. `start` opens its parts, `stop` closes in reverse what was opened."""

    def __init__(
        self,
        config: Config,
        read_config: Callable[[], Config],
        *,
        state_dir: Path,
        models_dir: Path,
        heed_mute: bool = True,
    ) -> None:
        """``heed_mute`` False: begin unmuted, whatever was saved. Raises `VoxdError`."""
        self.config = config
        self._heed_mute = heed_mute
        self.clock = SystemClock()
        self.bus = Bus(self.clock)
        self._loop = asyncio.get_running_loop()
        self._shutdown = ShutdownSequence()
        # Each step uses only parts of the steps before it; what a part needs of a later one it gets as a
        # function.
        self._build_storage(state_dir)
        self._build_speech_output(state_dir, models_dir)
        self._build_speech_input(models_dir)
        self._build_turns(state_dir)
        self._build_controls()
        self.appliance = self._build_appliance(read_config)
        self.bus.handle(EventInputs(self.post, self.speech_input, self.buttons, self.timers))

    async def start(self, listeners: Sequence[ListeningSocket]) -> None:
        """Open everything; returns when sound flows (or its absence is known) and the sockets serve."""
        # `opened` comes before or right after what it closes is started: a start that fails halfway leaves
        # nothing.
        opened = self._shutdown.add
        await self.database.open()
        opened(self.database.close)
        opened(self.settings.close)
        opened(self.mute.close)
        opened(self.recorder.close)
        self.recorder.start()
        opened(self.local.close)
        opened(self.providers.close)
        await self.providers.start()
        opened(self.speaker.close)
        opened(self.leds.close)
        await self.timers.start()
        opened(self.timers.close)
        opened(self.runner.close)
        self.speech_input.start()
        opened(self.speech_input.stop)
        opened(self.microphone.close)
        # Before the microphone: a device that was muted must not capture a single block after a restart.
        if self.settings.values.muted and self._heed_mute:
            self.post(MuteRequested(True, Source.SOCKET))
        self.buttons.open()
        opened(self.buttons.close)
        if not self.runner.machine.muted:
            await self.microphone.start()
        opened(self.problem_watch.close)
        self.problem_watch.start()
        control = self.config.control
        limits = Limits(max_line_bytes=control.max_line_bytes, max_clients=control.max_clients)
        # Last, so that no client finds a device that is half open; early ones wait in the kernel's queue.
        server = ControlServer(self.appliance, listeners, limits)
        opened(server.close)
        await server.start()
        # Names of metrics, which dashboards use: "ears" and "orders" do not change with the names of the
        # code.
        self.metrics.watch_queue("ears", lambda: self.speech_input.lost_samples)
        self.metrics.watch_queue("orders", lambda: self.speech_input.dropped_orders)
        self.metrics.watch_queue("candidates", lambda: self.speech_input.candidates.dropped)
        self.bus.emit("daemon.ready", version=__version__, audio=self.appliance.summary())

    async def say_problems(self) -> None:
        """Publish and speak what is configured and was left out; nothing when all of it works."""
        broken = self.speech_input.problems
        for problem in broken:
            message = f"wake word {problem.word}: {problem.error}"
            self.bus.emit("error", code=problem.error.code, message=message, hint=problem.error.hint)
        for message in self._command_problems:
            self.bus.emit("error", code="config_invalid", message=message, hint="run `voxctl config check`")
        words = [word.name for word in self.speech_input.words() if word.enabled]
        if sentence := start_sentence(broken, self._command_problems, words_left=words):
            # A user who speaks already comes first: the status has it too.
            with contextlib.suppress(VoxdError):
                await self.appliance.say(sentence, wait=True)

    async def stop(self) -> None:
        """Close everything, within `voxd.device.shutdown.TOGETHER_S`; idempotent."""
        self.bus.emit("daemon.stopping")
        await self._shutdown.run()

    def heartbeats(self) -> Mapping[str, Callable[[], Progress]]:
        """Return what must make progress for the watchdog; a microphone that is closed or lost need not."""
        ring, microphone = self.ring, self.microphone
        # "audio" is the capture process, "microphone" the task that watches over it: either can hang alone.
        return {
            "audio": lambda: Progress(ring.heartbeat_s, excused=not (microphone.is_open and microphone.ok)),
            "ears": lambda: Progress(self.speech_input.progress_ns / 1e9),
            "microphone": lambda: Progress(microphone.progress_s, excused=not microphone.is_open),
            "loop": lambda: Progress(self.clock.monotonic()),
        }

    def post(self, event: Input) -> None:
        """Feed an input to the turn machine. Call it on the event loop only."""
        self.runner.feed(event)

    # --- the parts, top to bottom -----------------------------------------------------------------

    def _build_storage(self, state_dir: Path) -> None:
        self.settings = SettingsFile(state_dir / "settings.json", self.clock)
        self.database = Database(state_dir / "voxd.db")
        self.history = HistoryStore(self.database, self.config.history, self.clock)
        self.metrics = Metrics()
        self.ledger = LatencyLedger(self.clock)
        self.recorder = TurnRecorder(self.history, self.metrics, self.clock)
        for handler in (self.metrics.handle, EventLog()):
            self.bus.handle(handler)

    def _build_speech_output(self, state_dir: Path, models_dir: Path) -> None:
        emit, config = self.bus.emit, self.config
        self.speaker = Speaker(config.audio, self.clock, emit, wav_dir=state_dir / "replies")
        if self.settings.values.volume_percent is not None:
            self.speaker.volume_percent = self.settings.values.volume_percent
        self.timers = Timers(
            TimerStore(self.database),
            self.clock,
            emit,
            lambda _: self.post(RingStarted()),
            ring_s=config.skills.ring_s,
        )
        self.mute = MuteControl(self.settings, post=self.post, emit=emit)
        # Lambdas: the appliance and the runner are built later, over the skills.
        voice = VoiceControl(
            self.post,
            volume=lambda: self.speaker.volume_percent,
            change_volume=lambda percent: self.appliance.set_volume(percent),
            close_microphone=lambda: self.mute.set(True, Source.VOICE),
            last_reply=lambda: self.runner.last_reply,
            summary=lambda: self.appliance.spoken_summary(),
            is_muted=lambda: self.runner.machine.muted,
        )
        self.skills = SkillEngine(config.skills, timers=self.timers, device=voice, clock=self.clock)
        self.synthesizer = build_synthesizer(config.tts, models_dir=models_dir, emit=emit, clock=self.clock)
        self.transcriber = build_transcriber(
            config.stt, models_dir=models_dir, grammar=self.skills.jsgf(), emit=emit, clock=self.clock
        )

    def _build_speech_input(self, models_dir: Path) -> None:
        audio = self.config.audio
        self.ring = Ring.create(audio.channels, audio.ring_s, audio.channel)
        # Shared memory outlives a process that ends without closing it.
        self._shutdown.add(self.ring.close)
        self.microphone = Microphone(
            audio, self.ring, self.clock, self.bus.emit, demonstration=self._demonstration
        )
        self.speech_input = SpeechInput(
            self.ring,
            channel=audio.channel,
            wake=self.config.wake,
            endpoint=self.config.endpoint,
            post=self.post,
            note=lambda type, data: self.bus.emit(type, **data),
            models_dir=models_dir,
            clock=self.clock,
        )

    def _build_turns(self, state_dir: Path) -> None:
        turn = self.config.turn
        self.local = LocalProvider(self.transcriber, self.skills, self.synthesizer)
        self.providers = ProviderServices(
            self.config,
            self.local,
            transcriber=self.transcriber,
            synthesizer=self.synthesizer,
            state_dir=state_dir,
            tools=lambda: skill_tools(self.skills),
            database=self.database,
            history=self.history,
            announce=lambda text: self.appliance.say(text, wait=True),
            bus=self.bus,
            clock=self.clock,
        )
        self.runner = TurnRunner(
            TurnMachine(follow_up=turn.follow_up, earcons=turn.earcons),
            TurnDependencies(
                speech_input=self.speech_input,
                speaker=self.speaker,
                ringer=Ringer(self.speaker, self.clock, self._ring_words),
                ledger=self.ledger,
                provider_for=self.providers.router.provider_for,
                set_microphone=self._set_microphone,
                stop_ring=self._stop_ring,
                turn_ended=self.recorder,
                emit=self.bus.emit,
            ),
            turn,
        )

    def _build_controls(self) -> None:
        self.leds = open_leds(self.config.leds, clock=self.clock, emit=self.bus.emit)
        self.bus.handle(LedEventHandler(self.leds))
        self.buttons = Buttons(
            self.config.button,
            post=self._pressed,
            on_switch=lambda closed: self.post(MuteRequested(closed, Source.SWITCH)),
            clock=self.clock,
            loop=self._loop,
        )

    def _build_appliance(self, read_config: Callable[[], Config]) -> Appliance:
        self._command_problems = command_problems(self.config)
        reporter = StatusReporter(
            clock=self.clock,
            config=lambda: self.appliance.config(),
            ring=self.ring,
            microphone=self.microphone,
            speaker=self.speaker,
            speech_input=self.speech_input,
            runner=self.runner,
            recorder=self.recorder,
            transcriber=self.transcriber,
            synthesizer=self.synthesizer,
            providers=self.providers,
            timers=self.timers,
            database=self.database,
            leds=self.leds,
            buttons=self.buttons,
            settings=self.settings,
            failed_commands=self.skills.failed_commands,
            command_problems=self._command_problems,
        )
        self.problem_watch = ProblemWatch(reporter.problems_by_part, emit=self.bus.emit, clock=self.clock)
        return Appliance(
            self.config,
            read_config=read_config,
            configure=self._configure,
            bus=self.bus,
            clock=self.clock,
            ring=self.ring,
            microphone=self.microphone,
            speaker=self.speaker,
            speech_input=self.speech_input,
            runner=self.runner,
            providers=self.providers,
            timers=self.timers,
            history=self.history,
            settings=self.settings,
            mute=self.mute,
            ledger=self.ledger,
            metrics=self.metrics,
            reporter=reporter,
        )

    # --- what connects them -----------------------------------------------------------------------

    def _configure(self, config: Config) -> None:
        """Apply a reloaded configuration, as far as that can be done without a restart."""
        self.speech_input.configure(config.wake, config.endpoint)
        self.runner.configure(config.turn)
        self.skills.configure(config.skills)
        self.history.configure(config.history)
        self.providers.configure(config)
        self.leds.dim(config.leds.brightness)
        set_level(config.log.level)

    def _pressed(self, gesture: Gesture) -> None:
        self.bus.emit("button.pressed", gesture=gesture.kind.value)
        machine = self.runner.machine
        # The edge is dated in the thread of the GPIO library: the user may speak before this callback runs.
        ago_s = max(0.0, self.clock.monotonic() - gesture.at_s)
        at_sample = max(self.ring.tail, self.ring.head - samples_from_s(ago_s))
        asked = button_input(
            gesture.kind,
            state=machine.state,
            ringing=machine.ringing,
            muted=machine.muted,
            at_sample=at_sample,
        )
        if isinstance(asked, MuteRequested):
            self.mute.press(asked.muted, asked.source)
        else:
            self.post(asked)

    def _stop_ring(self, by: Source) -> None:
        self.timers.stop_ringing(by.value)

    def _set_microphone(self, open_: bool) -> Coroutine[Any, Any, None]:
        if not open_:
            return self.microphone.close_stream()
        # At once, not when it is open: by then the user may have begun to speak.
        self.speech_input.reset()
        return self.microphone.open_stream()

    def _ring_words(self) -> AsyncGenerator[Clip]:
        return self.synthesizer.synthesize(" ".join(map(ring_sentence, self.timers.ringing())))

    async def _demonstration(self) -> Clip:
        words = [word.name for word in self.config.wake.words if word.enabled]
        return await render_demonstration(self.synthesizer, spoken_name(words[0]) if words else "hello")
