"""Keys as people paste them: with what does not belong to a key, or the key of another vendor.

No function puts any part of a key into its result but `cleaned`, which returns the key.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

# (prefix, vendor), the longest prefixes first, from the documentation and the console of each vendor.
# A vendor without a prefix (Azure, Deepgram, AssemblyAI) cannot be recognised.
PREFIXES = (
    ("sk-ant-", "Anthropic"),
    ("sk-or-", "OpenRouter"),
    ("sk-proj-", "OpenAI"),
    ("sk-svcacct-", "OpenAI"),
    ("sk-admin-", "OpenAI"),
    ("sk-None-", "OpenAI"),
    ("github_pat_", "GitHub"),
    ("nvapi-", "NVIDIA"),
    ("tgp_v1_", "Together"),
    ("pplx-", "Perplexity"),
    ("AIza", "Google"),
    ("gsk_", "Groq"),
    ("xai-", "xAI"),
    ("csk-", "Cerebras"),
    ("jina_", "Jina"),
    ("ghp_", "GitHub"),
    ("hf_", "Hugging Face"),
    ("r8_", "Replicate"),
    ("fw_", "Fireworks"),
    ("AKIA", "AWS"),
    ("ASIA", "AWS"),
)
# "sk_" and 48 hexadecimal digits are ElevenLabs; other services write "sk_live_..." and the like.
_ELEVENLABS = re.compile(r"sk_[0-9a-f]{40,64}")

# The vendor of each kind whose keys have a prefix, or never have one of another vendor.
_VENDORS: Mapping[str, str] = MappingProxyType(
    {
        "openai": "OpenAI",
        "openai_responses": "OpenAI",
        "openai_live": "OpenAI",
        "openai_realtime": "OpenAI",
        "gpt_live": "OpenAI",
        "anthropic": "Anthropic",
        "gemini": "Google",
        "google": "Google",
        "huggingface": "Hugging Face",
        "elevenlabs": "ElevenLabs",
        "elevenlabs_stream": "ElevenLabs",
        "aws": "AWS",
        "azure": "Azure",
        "deepgram": "Deepgram",
        "deepgram_flux": "Deepgram",
        "assemblyai": "AssemblyAI",
    }
)
_SCHEME = re.compile(
    r"(?:authorization\s*:\s*)?(?:bearer|token|basic|api-?key|x-api-key)\s*:?\s+", re.IGNORECASE
)
_ASSIGNMENT = re.compile(r"(?:export\s+|set\s+)?[A-Z][A-Z0-9_]*(?:KEY|TOKEN|SECRET)\s*=\s*")
_QUOTES = "\"'`\u201c\u201d\u201e\u2018\u2019\u201a\u00ab\u00bb"
_INVISIBLE = re.compile("[\u200b-\u200f\u2060\ufeff\u00ad]")
# What people write where the key belongs.
_PLACEHOLDER = re.compile(
    r"your[-_ ]?.*(?:key|token)|.*(?:key|token)[-_ ]here|<.*>|\$\{?\w+\}?|x{4,}|\.{3,}|sk-[.x]*|changeme",
    re.IGNORECASE,
)


def vendor_of(key: str) -> str:
    """Return the vendor whose keys begin like ``key``, "" if none is known."""
    if _ELEVENLABS.fullmatch(key):
        return "ElevenLabs"
    return next((vendor for prefix, vendor in PREFIXES if key.startswith(prefix)), "")


def looks_like_key(text: str) -> bool:
    """Return whether ``text`` is a key, written where the name or the address of something belongs."""
    key = cleaned(text)[0]
    # Not by the prefix alone: hf_alpha and sk-SK-LukasNeural are voices. Keys are long and have digits.
    if len(key) < 20 or not re.search(r"\d", key) or not re.fullmatch(r"[\w.-]+", key):
        return False
    # Services beside OpenAI give out keys that begin with "sk-" too.
    return bool(vendor_of(key)) or key.startswith("sk-")


def cleaned(text: str) -> tuple[str, list[str]]:
    """Return the key in what was pasted, and what was taken off: "quotes", 'the word "Bearer"', ...

    A text of several lines (a service account, a certificate) only loses blanks at its ends.
    """
    removed: list[str] = []
    key = _note(text.strip(), text.rstrip("\r\n"), "blanks", removed)
    if "\n" in key:
        return key, removed
    key = _note(_INVISIBLE.sub("", key).strip(), key, "invisible characters", removed)
    key = _note(_ASSIGNMENT.sub("", key, count=1), key, "the name of a variable", removed)
    key = _note(key.strip(_QUOTES).strip(), key, "quotes", removed)
    key = _note(_SCHEME.sub("", key, count=1), key, 'the word before it, such as "Bearer"', removed)
    key = _note(key.strip(_QUOTES).strip(), key, "quotes", removed)
    return key, list(dict.fromkeys(removed))


def problem_of_key(key: str, kind: str = "") -> str:
    """Return what is wrong with ``key`` of a provider of ``kind``, "" if nothing is known to be.

    ``kind`` "" is a provider at an address of its own, which takes keys of any vendor.
    """
    right, removed = cleaned(key)
    if not right:
        return "the key is empty"
    if re.match(r"(?:https?|wss?)://", right):
        return "this is an address, not a key"
    if removed:
        return f"the key was pasted with {' and '.join(removed)}"
    if _PLACEHOLDER.fullmatch(right):
        return "this is a placeholder, not a key"
    if "\n" not in right and any(not char.isprintable() or char.isspace() for char in right):
        return "the key has blanks or control characters in it"
    vendor, wanted = vendor_of(right), _VENDORS.get(kind, "")
    if vendor and wanted and vendor != wanted:
        return f"this is a key of {vendor}, and {kind} needs one of {wanted}"
    return ""


def _note(after: str, before: str, what: str, removed: list[str]) -> str:
    if after != before:
        removed.append(what)
    return after
