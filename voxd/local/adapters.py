"""Local engines in a worker process, under the contracts of `voxd.local.contract`."""

from collections.abc import AsyncIterator

from voxd.errors import InvalidRequest, LocalEngineError
from voxd.frames import SAMPLE_RATE_HZ, Clip
from voxd.local.contract import LocalTranscript
from voxd.local.worker import Worker


class _Adapter:
    """What both kinds of engine do alike."""

    def __init__(self, worker: Worker) -> None:
        self.name = worker.name
        self._worker = worker

    @property
    def loaded(self) -> bool:
        """Whether the model is in memory."""
        return self._worker.loaded

    def prepare(self) -> None:
        """Start loading in the background."""
        self._worker.prepare()

    async def close(self) -> None:
        """End the process."""
        await self._worker.close()


class WorkerTranscriber(_Adapter):
    """A `Transcriber` in a process."""

    async def transcribe(self, clip: Clip) -> LocalTranscript:
        """Return the transcript of ``clip`` (16 kHz)."""
        # Both recognisers were trained at 16 kHz and would misread any other rate without an error.
        if clip.rate_hz != SAMPLE_RATE_HZ:
            raise InvalidRequest(f"a clip at {clip.rate_hz} Hz; {SAMPLE_RATE_HZ} Hz is needed")
        transcript: LocalTranscript | None = None
        async for message, payload in self._worker.request("transcribe", clip.pcm):
            text = payload.decode(errors="replace")
            transcript = LocalTranscript(text, self.name, message.data.get("confidence"))
        if transcript is None:
            # A fault, not silence: an engine that found no speech sends an empty transcript.
            raise LocalEngineError(f"{self.name} sent no transcript")
        return transcript


class WorkerSynthesizer(_Adapter):
    """A `Synthesizer` in a process; one request is one piece of text."""

    async def synthesize(self, text: str) -> AsyncIterator[Clip]:
        """Yield the sound of ``text``; nothing when it has no word."""
        if not any(letter.isalnum() for letter in text):
            return
        sounds = self._worker.request("synthesize", text.encode())
        spoke = False
        try:
            async for message, payload in sounds:
                spoke = True
                yield Clip(payload, int(message.data["rate_hz"]))
        finally:
            # Closing cancels the work in the process: a barge-in must not wait for the rest of a sentence.
            await sounds.aclose()
        if not spoke:
            raise LocalEngineError(f"{self.name} produced no sound")
