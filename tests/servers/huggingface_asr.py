"""Hugging Face's router for speech recognition, which understands the sound it is sent.

`tests/conformance/test_huggingface_asr.py` lets the vendor's own client judge it.
"""

import json
from dataclasses import dataclass, field

from tests.rig.transports import KEY
from tests.servers.plain_http import Asked, Plain, Play, reply
from tests.servers.words import recognised
from voxd.audio.files import decode_flac, read_wav

ROUTER = "/hf-inference"


def complaint(status: int, error: object, **more: object) -> Play:
    """A refusal as the vendor words it."""
    body = json.dumps({"error": error, **more}).encode()
    return reply(body, status=status, content_type="application/json")


@dataclass
class HuggingFaceServer:
    """The server: `script` is played first, then everything is understood. ``key`` "" wants none."""

    plain: Plain
    key: str = KEY
    script: list[Play] = field(default_factory=list)

    async def answer(self, asked: Asked) -> Play:
        """Return the answer to ``asked``."""
        if self.key and asked.headers.get("authorization") != f"Bearer {self.key}":
            return complaint(401, "Invalid username or password.")
        if not asked.target.startswith(f"{ROUTER}/models/") or asked.method != "POST":
            return complaint(404, "Model not found")
        if self.script:
            return self.script.pop(0)
        if asked.headers["content-type"] == "audio/flac":
            clip = decode_flac(asked.body)
        else:
            clip = read_wav(asked.body)
        return reply(
            json.dumps({"text": f" {recognised(clip.pcm)}"}).encode(), content_type="application/json"
        )
