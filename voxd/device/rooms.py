"""The parts of a running device in one value."""

from dataclasses import dataclass

from voxd.audio.microphone import Microphone
from voxd.audio.ring import Ring
from voxd.audio.speaker import Speaker
from voxd.bus.bus import Bus
from voxd.clock import Clock
from voxd.device.answering import ProviderServices
from voxd.device.reload import Reloader
from voxd.device.turn_recorder import Recorder
from voxd.hardware.button import Buttons
from voxd.hardware.leds import LedDisplay
from voxd.listen.speech_input import SpeechInput
from voxd.local.chain import SynthesizerChain, TranscriberChain
from voxd.observe.ledger import LatencyLedger
from voxd.observe.metrics import Metrics
from voxd.skills.timers import Timers
from voxd.store.db import Database
from voxd.store.history import HistoryStore
from voxd.store.settings import SettingsFile
from voxd.turn.runner import TurnRunner


@dataclass(frozen=True, slots=True)
class Rooms:
    """The parts of a running device, made by the composition root."""

    reloader: Reloader
    recorder: Recorder
    clock: Clock
    bus: Bus
    ring: Ring
    microphone: Microphone
    speaker: Speaker
    speech_input: SpeechInput
    runner: TurnRunner
    transcriber: TranscriberChain
    synthesizer: SynthesizerChain
    answering: ProviderServices
    timers: Timers
    database: Database
    history: HistoryStore
    settings: SettingsFile
    ledger: LatencyLedger
    metrics: Metrics
    leds: LedDisplay
    buttons: Buttons
