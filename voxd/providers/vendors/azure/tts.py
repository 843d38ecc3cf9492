"""Azure Speech text-to-speech over HTTP: one SSML document for each clause, with streamed audio."""

import re
from collections.abc import Mapping
from xml.sax.saxutils import escape, quoteattr

from voxd.errors import ConfigError
from voxd.net.endpoint import require_key, resource_url
from voxd.net.faults import RefusalReader, refusal_reader
from voxd.net.transport import Access, Budget, HttpRequest, Transport
from voxd.providers.languages import locale_of
from voxd.providers.pipeline.stages.contract import StageConfig
from voxd.providers.pipeline.stages.tts_options import HttpTextToSpeech
from voxd.providers.vendors.azure.options import AzureTtsOptions

# The service rejects requests without this header.
_USER_AGENT = "voxd"

_refused = refusal_reader({})


class AzureTts(HttpTextToSpeech[AzureTtsOptions]):
    """Azure Speech. The request follows the documentation; no independent program has checked it."""

    options_type = AzureTtsOptions

    def __init__(self, config: StageConfig, transport: Transport) -> None:
        """Raises `ConfigError` without a region or an endpoint."""
        super().__init__(config, transport)
        if not (config.endpoint or self._options.region):
            hint = f"set options.region or endpoint in [providers.{config.name}]"
            raise ConfigError(f"provider {config.name} needs `region` or `endpoint`", hint=hint)

    async def check(self, budget: Budget) -> None:
        """Request the list of voices. Raises `ProviderError`."""

        def build(access: Access) -> HttpRequest:
            return HttpRequest(
                "GET", self._url(access, "/cognitiveservices/voices/list"), self._headers(access)
            )

        # The list is long and is not needed: the status proves the key.
        async with self.transport.request(build, budget, kind="check", read_refusal=_refused):
            pass

    @property
    def refusal_reader(self) -> RefusalReader:
        """The function that turns an HTTP error response into an error."""
        return _refused

    def _call(self, text: str, access: Access) -> HttpRequest:
        options = self._options
        body = ssml(
            text,
            voice=self.voice,
            # Without a language, that of the voice: "en-US" of "en-US-AvaNeural".
            language=locale_of(self.config.language, "-".join(self.voice.split("-")[:2])),
            express={"style": options.style, "styledegree": options.style_degree, "role": options.role},
            prosody={"rate": options.rate, "pitch": options.pitch, "volume": options.volume},
        )
        # The service writes "raw-24khz-16bit-mono-pcm", but "raw-22050hz-16bit-mono-pcm".
        rate_hz = options.sample_rate_hz
        rate = f"{rate_hz}hz" if rate_hz % 1000 else f"{rate_hz // 1000}khz"
        headers = {
            **self._headers(access),
            "Content-Type": "application/ssml+xml",
            "X-Microsoft-OutputFormat": f"raw-{rate}-16bit-mono-pcm",
        }
        url = self._url(access, "/cognitiveservices/v1")
        return HttpRequest("POST", url, headers, content=body.encode())

    def _url(self, access: Access, path: str) -> str:
        own = f"https://{self._options.region}.tts.speech.microsoft.com"
        return resource_url(self.name, access.endpoint or own, path)

    def _headers(self, access: Access) -> dict[str, str]:
        key = require_key(self.name, access.key)
        return {"Ocp-Apim-Subscription-Key": key, "User-Agent": _USER_AGENT}


# Characters that an XML document must not contain, not even escaped (XML 1.0, section 2.2).
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

# ``mstts`` is for ``express-as``, the style of a voice.
_NAMESPACES = 'xmlns="http://www.w3.org/2001/10/synthesis" xmlns:mstts="https://www.w3.org/2001/mstts"'


def ssml(
    text: str,
    *,
    voice: str,
    language: str,
    express: Mapping[str, str] | None = None,
    prosody: Mapping[str, str] | None = None,
) -> str:
    """Return ``text`` as an SSML document for ``voice``.

    ``prosody`` has rate, pitch and volume, ``express`` the style of the voice, its degree and a role.
    """
    # XML 1.0, section 2.11: a parser turns a carriage return into a line feed unless it is escaped.
    inner = escape(_ILLEGAL.sub("", text), {"\r": "&#13;"})
    if settings := {name: value for name, value in (prosody or {}).items() if value}:
        inner = f"<prosody{_attributes(settings)}>{inner}</prosody>"
    if settings := {name: value for name, value in (express or {}).items() if value}:
        inner = f"<mstts:express-as{_attributes(settings)}>{inner}</mstts:express-as>"
    return (
        f'<speak version="1.0" {_NAMESPACES}{_attributes({"xml:lang": language})}>'
        f"<voice{_attributes({'name': voice})}>{inner}</voice></speak>"
    )


def _attributes(values: Mapping[str, str]) -> str:
    return "".join(f" {name}={quoteattr(_ILLEGAL.sub('', value))}" for name, value in values.items())
