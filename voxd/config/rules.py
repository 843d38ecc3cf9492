"""Rules between keys that the schema cannot express: each yields findings about the settings.

A key with a mistake looks absent to the rules, so that one mistake does not hide another.
"""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from voxd.config.files.access import View
from voxd.config.files.rules import check_files
from voxd.config.limits.price_rules import check_prices
from voxd.config.mistakes.languages import base_code, is_known, meant_code
from voxd.config.mistakes.pins import LAST_LINE, USES, hint_for
from voxd.config.mistakes.words import did_you_mean
from voxd.config.problems import Finding
from voxd.config.provider_rules import GetFacts, check_providers, check_secret_header
from voxd.config.schema_types import toml_value
from voxd.config.settings import Settings, error, value_at, warning
from voxd.config.toml_lines import KeyPath
from voxd.entry_points import find_entry_points

# Wake words that need no model file.
BUILTIN_WORDS = ("hey_jarvis", "alexa", "hey_mycroft", "okay_nabu", "hey_rhasspy")

# Slots of custom commands without a list of values: the skills parse them.
READ_SLOTS = ("duration", "clock", "number")

# GPIO lines that a built-in back end needs: one LED, or red, green and blue.
LINES_OF_LEDS = {"none": 0, "led": 1, "rgbled": 3}

# The entry point group of the local engines that ``engine`` of a section can name.
ENGINE_GROUPS: Mapping[str, str] = MappingProxyType({"stt": "voxd.transcribers", "tts": "voxd.synthesizers"})

# A line that no interface of the header uses.
_FREE_LINE = 17

# Keys in seconds without a largest value, and their defaults.
_SECONDS_WITHOUT_LIMIT = (
    ("endpoint", "no_speech_s", 5.0),
    ("turn", "follow_up_s", 5.0),
    ("turn", "reply_timeout_s", 30.0),
    ("stt", "timeout_s", 20.0),
    ("tts", "timeout_s", 10.0),
)

# unix(7): sun_path holds 108 bytes with the terminating zero.
_MAX_SOCKET_BYTES = 107
# hassil: {values}, or {values:name} to give the slot another name in the action.
_SLOT = re.compile(r"\{([A-Za-z0-9_]+)(?::([A-Za-z0-9_]+))?\}")
_BRACES = re.compile(r"\{([^{}]*)\}")
_FILLED = re.compile(r"\{([a-z0-9_]+)\}")


def check_rules(
    data: dict[str, Any], spoiled: set[KeyPath], view: View, get_facts: GetFacts
) -> Iterator[Finding]:
    """Check ``data`` against every rule; ``spoiled`` are the keys that do not fit the schema.

    ``view`` says which files can be used, ``get_facts`` returns the facts about providers.
    """
    settings = Settings(data, spoiled)
    for rule in (
        _channel,
        _wake_words,
        _engines,
        _leds,
        _pins,
        _button,
        _endpoint,
        _languages,
        _times,
        _sockets,
        _commands,
        check_prices,
    ):
        yield from rule(settings)
    # Apart from the others: these alone need facts about the installed vendors.
    yield from check_providers(settings, get_facts)
    yield from check_files(settings, view)


def _channel(settings: Settings) -> Iterator[Finding]:
    channels, channel = settings.get("audio", "channels"), settings.get("audio", "channel")
    if channels is not None and channel is not None and channel >= channels:
        message = f"channel {channel} does not exist: {channels} channels are numbered from 0"
        yield error(("audio", "channel"), message, f"channel = {channels - 1}")


def _wake_words(settings: Settings) -> Iterator[Finding]:
    agents = settings.get("agents") or {}
    seen: set[str] = set()
    words = settings.elements("wake", "words")
    for path, word in words:
        name, model = word.get("name"), word.get("model", "")
        if name in seen:
            yield error((*path, "name"), f'the wake word "{name}" is defined twice', "remove one of them")
        if name is not None:
            seen.add(name)
        # A built-in word may have a model too: one that the user has trained better.
        if model == "" and name is not None and name not in BUILTIN_WORDS:
            hint = did_you_mean(name, BUILTIN_WORDS) or 'set its file: model = "/path/word.tflite"'
            yield error((*path, "name"), f'"{name}" is not built in and has no model', hint)
        if model and not model.endswith((".tflite", ".onnx")):
            yield error((*path, "model"), "a wake word model is a .tflite or .onnx file", "use such a file")
        agent = word.get("agent", "default")
        if agent is not None and agent not in agents:
            hint = did_you_mean(agent, tuple(agents)) or f"add [agents.{agent}]"
            where = (*path, "agent") if "agent" in word else path
            yield error(where, f'unknown agent "{agent}"', hint)
    if settings.get("wake", "words") is not None and not any(word.get("enabled", True) for _, word in words):
        message = "no wake word is enabled: only the button and voxctl start a turn"
        yield warning(("wake", "words"), message, "enabled = true")


def _engines(settings: Settings) -> Iterator[Finding]:
    for section, group in ENGINE_GROUPS.items():
        engine = settings.get(section, "engine")
        # The usual "auto" needs no look at the installed packages, which takes 5 ms on a server core.
        if engine in (None, "auto"):
            continue
        known = sorted(("auto", *find_entry_points(group)))
        if engine not in known:
            message = f"expected one of {', '.join(map(toml_value, known))}, got {toml_value(engine)}"
            hint = did_you_mean(engine, known) or "install the package that provides it"
            yield error((section, "engine"), message, hint)


def _leds(settings: Settings) -> Iterator[Finding]:
    kind, pins = settings.get("leds", "kind"), settings.get("leds", "pins")
    if kind is None or pins is None or not all(isinstance(pin, int) for pin in pins):
        return
    if kind not in LINES_OF_LEDS:
        # An installed back end checks its own pins when it is opened.
        if kind not in (installed := find_entry_points("voxd.leds")):
            hint = did_you_mean(kind, ("none", *installed)) or f"use one of none, {', '.join(installed)}"
            yield error(("leds", "kind"), f'unknown LED back end "{kind}"', hint)
        return
    wanted = LINES_OF_LEDS[kind]
    if not wanted and pins:
        yield warning(("leds", "pins"), 'pins are not used: leds.kind is "none"', 'kind = "led"')
    elif len(pins) != wanted:
        example = "[17, 27, 22]" if wanted == 3 else "[17]"
        message = f'leds.kind "{kind}" needs {wanted} pin{"s" * (wanted > 1)}, got {len(pins)}'
        yield error(("leds", "pins"), message, f"pins = {example}")
    if len(set(pins)) < len(pins):
        yield error(("leds", "pins"), "the same pin is defined twice", "use a different pin for each colour")
    for key in ("pin", "mute_switch_pin"):
        if wanted and settings.get("button", key) in pins:
            message = f"GPIO {settings.get('button', key)} is already used by an LED"
            yield error(("button", key), message, "choose another pin")


def _pins(settings: Settings) -> Iterator[Finding]:
    # Pins of another back end, or of none, are not these lines.
    leds = (settings.get("leds", "pins") or ()) if settings.get("leds", "kind") in ("led", "rgbled") else ()
    pins: list[tuple[KeyPath, str, Any]] = [
        (("leds", "pins", index), "pins", pin) for index, pin in enumerate(leds)
    ]
    pins += [(("button", key), key, settings.get("button", key)) for key in ("pin", "mute_switch_pin")]
    for path, key, pin in pins:
        if not isinstance(pin, int):
            continue
        if pin > LAST_LINE:
            # An error: on a Pi these lines drive the memory card and the radio.
            message = f"GPIO {pin} is not on the header of a Raspberry Pi, which has GPIO 0 to {LAST_LINE}"
            yield error(path, message, hint_for(pin, key))
        elif pin in USES:
            message = f"GPIO {pin} is used by {USES[pin]}: nothing else can be there when that is in use"
            yield warning(path, message, f"choose another line, such as {_FREE_LINE}")


def _button(settings: Settings) -> Iterator[Finding]:
    pin, switch = settings.get("button", "pin"), settings.get("button", "mute_switch_pin")
    if pin is not None and pin == switch:
        yield error(
            ("button", "mute_switch_pin"), f"GPIO {pin} is already used by the button", "choose another pin"
        )
    hold_ms, long_ms = settings.get("button", "hold_ms"), settings.get("button", "long_ms")
    if hold_ms is not None and long_ms is not None and hold_ms >= long_ms:
        message = f"a long press ({long_ms} ms) must be longer than push to talk ({hold_ms} ms)"
        yield error(("button", "long_ms"), message, f"long_ms = {hold_ms + 1000}")


def _endpoint(settings: Settings) -> Iterator[Finding]:
    longest = settings.get("endpoint", "max_s")
    for key in ("silence_s", "start_s"):
        value = settings.get("endpoint", key)
        if longest is not None and value is not None and value >= longest:
            message = f"{value} s is not less than the longest utterance, max_s = {longest}"
            yield error(("endpoint", key), message, f"{key} = {0.7 if key == 'silence_s' else 0.3}")


def _languages(settings: Settings) -> Iterator[Finding]:
    language, model = settings.get("stt", "whisper", "language"), settings.get("stt", "whisper", "model")
    # OpenAI's model card of Whisper: the models named .en are trained on English only.
    is_code = isinstance(language, str) and is_known(language)
    if (
        is_code
        and base_code(language) != "en"
        and isinstance(model, str)
        and model.removesuffix(".bin").endswith(".en")
    ):
        hint = f'model = "{model.replace(".en", "")}"'
        yield warning(("stt", "whisper", "language"), f"{model} supports only English", hint)
    reply_language = settings.get("tts", "language")
    for path, written, others in (
        (("stt", "whisper", "language"), language, ("auto",)),
        (("tts", "language"), reply_language, ()),
    ):
        if isinstance(written, str) and written not in others and not is_known(written):
            code = meant_code(written)
            hint = f'language = "{code}"' if code else "use a code of ISO 639-1, such as en, de or fr"
            yield error(path, f'"{written}" is not the code of a language', hint)
    voice = settings.get("tts", "piper", "voice")
    spoken = re.match(r"([a-z]{2,3})_[A-Z]{2}-", voice) if isinstance(voice, str) else None
    if (
        settings.get("tts", "engine") == "piper"
        and spoken
        and isinstance(reply_language, str)
        and (is_known(reply_language) and base_code(reply_language) != spoken[1])
    ):
        message = f'the voice {voice} speaks "{spoken[1]}", and tts.language is "{reply_language}"'
        yield warning(("tts", "language"), message, f'language = "{spoken[1]}"')
    if settings.get("tts", "engine") == "flite" and reply_language not in {None, "en"}:
        yield warning(("tts", "engine"), "flite supports only English", 'engine = "espeak"')


def _times(settings: Settings) -> Iterator[Finding]:
    """Find seconds that were probably written in milliseconds: a hundred times the default and more."""
    for section, key, default in _SECONDS_WITHOUT_LIMIT:
        value = settings.get(section, key)
        if isinstance(value, int | float) and value >= 100 * default:
            message = f"{value:g} s is {value / 60:.0f} minutes; the key is in seconds"
            yield warning((section, key), message, f"{key} = {value / 1000:g}")


def _sockets(settings: Settings) -> Iterator[Finding]:
    main, read_only = settings.get("control", "socket"), settings.get("control", "read_socket")
    if main and main == read_only:
        message = "the read-only socket cannot be the control socket"
        yield error(("control", "read_socket"), message, 'read_socket = ""')
    for key, path in (("socket", main), ("read_socket", read_only)):
        if path and len(path.encode()) > _MAX_SOCKET_BYTES:
            message = f"the path of a socket is limited to {_MAX_SOCKET_BYTES} bytes"
            yield error(("control", key), message, f'{key} = ""')


def _commands(settings: Settings) -> Iterator[Finding]:
    seen: set[str] = set()
    for path, command in settings.elements("skills", "commands"):
        name = command.get("name")
        if name in seen:
            yield error((*path, "name"), f'the command "{name}" is defined twice', "rename one of them")
        if name is not None:
            seen.add(name)
        yield from _slots(path, command)
        action = command.get("action")
        url, headers = value_at(action, ("url",)), value_at(action, ("headers",))
        for name, value in headers.items() if isinstance(headers, dict) else ():
            yield from check_secret_header((*path, "action", "headers"), name, value)
        if isinstance(url, str) and not re.match(r"https?://[^/\s]", url):
            where = (*path, "action", "url")
            yield error(where, "expected http:// or https://", "write the complete address")


def _slots(path: KeyPath, command: dict[str, Any]) -> Iterator[Finding]:
    sentences, defined = command.get("sentences"), command.get("slots", {})
    if not isinstance(sentences, list) or not isinstance(defined, dict):
        return
    lists: set[str] = set()
    spoken: set[str] = set()
    for index, sentence in enumerate(sentences):
        for values, name in _SLOT.findall(sentence.lower()) if isinstance(sentence, str) else ():
            if values not in defined and values not in lists and values not in READ_SLOTS:
                yield _slot_without_values((*path, "sentences", index), values, tuple(defined))
            lists.add(values)
            spoken.add(name or values)
    yield from _unknown_slots(path, command, spoken)
    for slot in defined:
        if slot not in lists:
            yield warning((*path, "slots", slot), "no sentence uses this slot", f"write {{{slot}}} in one")


def _unknown_slots(path: KeyPath, command: dict[str, Any], spoken: set[str]) -> Iterator[Finding]:
    """Yield the slots of the action and of the reply that no sentence has."""
    replies = ["reply", "text"]
    for where, text in (
        *_texts(command.get("action"), (*path, "action")),
        *_texts(command.get("reply"), (*path, "reply")),
    ):
        # What is spoken has no other use for braces: there {Room} and { room } are slots too.
        pattern = _BRACES if where[-1] in replies else _FILLED
        for slot in pattern.findall(text):
            if slot not in spoken:
                hint = did_you_mean(slot, spoken) or "use it in a sentence"
                yield error(where, f"no sentence has the slot {{{slot}}}", hint)


def _slot_without_values(path: KeyPath, slot: str, defined: tuple[str, ...]) -> Finding:
    if hint := did_you_mean(slot, defined):
        return error(path, f"the slot {{{slot}}} has no values", hint)
    message = f"the slot {{{slot}}} has no values: it matches any words, which needs Whisper"
    return warning(path, message, f'slots = {{ {slot} = ["..."] }}')


def _texts(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    """Yield the texts of an action in which slots are replaced."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, (*path, index))
    elif isinstance(value, dict):
        for key, item in value.items():
            # A header is sent as it is written: its value may be a secret, which must not depend on speech.
            if key != "headers":
                yield from _texts(item, (*path, key))
