"""Spoken questions, made by flite, and what was answered, recognised again."""

import subprocess
from pathlib import Path

import numpy as np
from pocketsphinx import Decoder

from voxd.audio.files import read_wav, write_wav
from voxd.frames import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ, Clip


def say(text: str, directory: Path, *, voice: str = "slt") -> Clip:
    """Return ``text`` spoken by flite: 16 kHz mono."""
    path = directory / "flite.wav"
    subprocess.run(["flite", "-voice", voice, "-t", text, "-o", str(path)], check=True)
    return read_wav(path)


def question(
    text: str, directory: Path, *, gap_s: float = 0.3, wake_word: str = "hey jarvis", voice: str = "slt"
) -> Path:
    """Return a WAV of the wake word, a gap and a command; nothing follows the command."""
    pause = bytes(round(gap_s * SAMPLE_RATE_HZ) * BYTES_PER_SAMPLE)
    clips = [say(part, directory, voice=voice).pcm for part in (wake_word, text)]
    path = directory / f"{text.replace(' ', '-')}-{gap_s}.wav"
    write_wav(path, Clip(pause.join(clips), SAMPLE_RATE_HZ))
    return path


def recognised(clip: Clip, sentences: list[str]) -> str:
    """Return which of ``sentences`` pocketsphinx hears in ``clip`` (16 kHz), "" if none."""
    grammar = "#JSGF V1.0;\ngrammar reply;\npublic <reply> = " + " | ".join(sentences) + ";\n"
    decoder = Decoder(samprate=SAMPLE_RATE_HZ, loglevel="FATAL", lm=None)
    decoder.add_jsgf_string("reply", grammar)
    decoder.activate_search("reply")
    decoder.start_utt()
    decoder.process_raw(clip.pcm, full_utt=True)
    decoder.end_utt()
    heard = decoder.hyp()
    return heard.hypstr if heard else ""


def trimmed(clip: Clip) -> Clip:
    """Return ``clip`` without the silence around it."""
    samples = np.frombuffer(clip.pcm, np.int16)
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > 300)
    return Clip(samples[loud[0] : loud[-1] + 1].tobytes(), clip.rate_hz) if loud.size else clip
