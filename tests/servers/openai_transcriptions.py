"""``/v1/audio/transcriptions`` of OpenAI, which understands the sound it is sent.

`tests/conformance/test_openai_transcriptions.py` lets the vendor's own client judge it.
"""

import email
import json
from dataclasses import dataclass, field

from tests.rig.transports import KEY
from tests.servers.plain_http import Asked, Plain, Play, pieces, reply
from tests.servers.words import recognised
from voxd.audio.files import decode_flac, read_wav

PATH = "/v1/audio/transcriptions"
MODEL = "gpt-transcribe"
_FIELDS = {"model", "file", "language", "languages[]", "keywords[]", "prompt", "response_format", "stream"}


def complaint(status: int, message: str, code: str | None, headers: dict[str, str] | None = None) -> Play:
    """A refusal as the vendor words it."""
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    body = json.dumps({"error": error}).encode()
    return reply(body, status=status, content_type="application/json", headers=headers)


def sse(*events: object, split: int = 0, done: bool = True) -> Play:
    """``events`` as a stream, in pieces of ``split`` bytes."""
    data = b"".join(f"data: {json.dumps(event, ensure_ascii=False)}\n\n".encode() for event in events)
    data += b"data: [DONE]\n\n" if done else b""
    size = split or max(len(data), 1)
    return pieces(
        *(data[at : at + size] for at in range(0, len(data), size)), content_type="text/event-stream"
    )


@dataclass
class Transcriptions:
    """The server: `script` is played first, then everything is understood. ``key`` "" wants none."""

    plain: Plain
    key: str = KEY
    script: list[Play] = field(default_factory=list)
    forms: list[dict[str, list[str]]] = field(default_factory=list)
    files: list[tuple[str, str, bytes]] = field(default_factory=list)

    async def answer(self, asked: Asked) -> Play:
        """Return the answer to ``asked``."""
        if self.key and asked.headers.get("authorization") != f"Bearer {self.key}":
            return complaint(401, "Incorrect API key provided.", "invalid_api_key")
        if asked.method == "GET" and asked.target == f"/v1/models/{MODEL}":
            return reply(
                json.dumps({"id": MODEL, "object": "model"}).encode(), content_type="application/json"
            )
        if asked.method == "GET" and asked.target == "/v1/models":
            return reply(b'{"object": "list", "data": []}', content_type="application/json")
        if (asked.method, asked.target) != ("POST", PATH):
            return complaint(404, "The model does not exist.", "model_not_found")
        form = self._take(asked)
        if self.script:
            return self.script.pop(0)
        unknown = form.keys() - _FIELDS
        if unknown or form.get("model") is None or not self.files:
            return complaint(400, f"Unknown parameter: {sorted(unknown)}", "unknown_parameter")
        name, _, data = self.files[-1]
        clip = read_wav(data) if name.endswith(".wav") else decode_flac(data)
        text = recognised(clip.pcm)
        if form.get("stream") == ["true"]:
            return self._streamed(text)
        used = {"type": "duration", "seconds": round(clip.duration_s)}
        return reply(json.dumps({"text": text, "usage": used}).encode(), content_type="application/json")

    def _streamed(self, text: str) -> Play:
        words = [f"{' ' if number else ''}{word}" for number, word in enumerate(text.split())]
        used = {
            "type": "tokens",
            "input_tokens": 14,
            "output_tokens": len(words),
            "total_tokens": 14 + len(words),
        }
        used["input_token_details"] = {"audio_tokens": 10, "text_tokens": 4}
        deltas = [{"type": "transcript.text.delta", "delta": word} for word in words]
        return sse(*deltas, {"type": "transcript.text.done", "text": text, "usage": used}, split=7)

    def _take(self, asked: Asked) -> dict[str, list[str]]:
        head = f"Content-Type: {asked.headers['content-type']}\r\n\r\n".encode()
        form: dict[str, list[str]] = {}
        for part in email.message_from_bytes(head + asked.body).get_payload():
            name = part.get_param("name", header="content-disposition")
            data = part.get_payload(decode=True)
            form.setdefault(name, []).append("" if part.get_filename() else data.decode())
            if part.get_filename():
                self.files.append((part.get_filename(), part.get_content_type(), data))
        self.forms.append(form)
        return form
