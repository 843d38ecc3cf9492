"""Text to speech by programs that run once per sentence: flite and espeak-ng, small enough for every Pi."""

import asyncio
import contextlib
import io
import os
import wave
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

from voxd.audio.sound import MIN_SPEECH_DBFS, dbfs
from voxd.children import ChildProcess, explain_exit
from voxd.errors import DeadlineExceeded, LocalEngineError, ModelError
from voxd.frames import Clip

_MAX_OUTPUT_BYTES = 16 * 1024 * 1024
# The header of a PCM WAV file; a program that failed often leaves one without samples.
_WAV_HEADER_BYTES = 44


@dataclass(frozen=True, slots=True)
class Program:
    """How one program is called: ``argv`` gets the paths of the text and of the sound."""

    name: str
    package: str
    argv: Callable[[str, str], tuple[str, ...]]


def flite(voice: str) -> Program:
    """Return the call of flite with one of its built-in voices."""
    # flite reads neither its text from a pipe nor writes its header to one correctly: files it is.
    return Program("flite", "flite", lambda text, sound: ("flite", "-voice", voice, "-f", text, "-o", sound))


def espeak(language: str) -> Program:
    """Return the call of espeak-ng in ``language``."""
    # espeak-ng's plain "en" is British.
    voice = "en-us" if language == "en" else language
    return Program(
        "espeak",
        "espeak-ng",
        # "-b 1": the text is UTF-8, whatever the locale of the service.
        lambda text, sound: ("espeak-ng", "-v", voice, "-b", "1", "-f", text, "-w", sound),
    )


class ProgramSynthesizer:
    """A `Synthesizer` that runs a program for each piece of text."""

    def __init__(self, program: Program, *, timeout_s: float) -> None:
        self.name = program.name
        self._program = program
        self._timeout_s = timeout_s

    @property
    def loaded(self) -> bool:
        """Always True: there is nothing to load."""
        return True

    def prepare(self) -> None:
        """Do nothing: the program starts in a few milliseconds."""

    async def synthesize(self, text: str) -> AsyncIterator[Clip]:
        """Yield one clip for ``text``; nothing when it has no word."""
        if any(letter.isalnum() for letter in text):
            yield await self._run(text)

    async def close(self) -> None:
        """Do nothing: each process ends with its request."""

    async def _run(self, text: str) -> Clip:
        with _memory_file(text.encode()) as text_file, _memory_file(b"") as sound:
            # A file in memory: not on the command line, which every user of the machine can read, and where a
            # leading dash would be an option.
            argv = self._program.argv(f"/dev/fd/{text_file}", f"/dev/fd/{sound}")
            try:
                child = await ChildProcess.start(self.name, argv, pass_fds=(text_file, sound))
            except FileNotFoundError:
                raise ModelError(
                    f"{argv[0]} is not installed", hint=f"run `sudo apt install {self._program.package}`"
                ) from None
            except OSError as error:
                raise LocalEngineError(f"{argv[0]} cannot be started: {error}") from error
            try:
                async with asyncio.timeout(self._timeout_s):
                    returncode = await child.wait()
                last = await child.last_line()
            except TimeoutError:
                raise DeadlineExceeded(f"{self.name} did not finish within {self._timeout_s:g} s") from None
            finally:
                await child.close()
            if returncode:
                raise LocalEngineError(
                    ": ".join([f"{self.name} {explain_exit(returncode)}", *filter(None, [last])])
                )
            return _clip_of(self.name, os.pread(sound, _MAX_OUTPUT_BYTES, 0))


@contextlib.contextmanager
def _memory_file(content: bytes) -> Iterator[int]:
    descriptor = os.memfd_create("voxd-speech")
    try:
        os.pwrite(descriptor, content, 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _clip_of(name: str, wav: bytes) -> Clip:
    if len(wav) <= _WAV_HEADER_BYTES:
        raise LocalEngineError(f"{name} produced no sound")
    try:
        with wave.open(io.BytesIO(wav)) as file:
            if file.getnchannels() != 1 or file.getsampwidth() != 2:
                raise LocalEngineError(f"{name} produced another sound format")
            clip = Clip(file.readframes(file.getnframes()), file.getframerate())
    except (wave.Error, EOFError) as error:
        raise LocalEngineError(f"{name} produced an invalid WAV file: {error}") from error
    # flite "speaks" a script that it does not know as a fifth of a second at -64 dBFS: the next engine tries.
    if dbfs(clip.pcm) < MIN_SPEECH_DBFS:
        raise LocalEngineError(f"{name} produced no sound")
    return clip
