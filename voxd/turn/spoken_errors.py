"""What the device says when it cannot answer: the reason in plain words, by error code."""

from collections.abc import Mapping
from types import MappingProxyType

from voxd.providers.routing.announcements import SETTINGS_CODES

# For ears: no code, no product's name, and what to do where the user can do something. Several codes share a
# sentence where the difference helps an administrator only; the log and `voxctl watch` have the code.
_UNREACHABLE = "Sorry, I can't reach my assistant."
_BROKEN = "Sorry, the connection to my assistant broke off. Please ask again."
_KEY = "Sorry, my assistant does not accept my key. Please check my settings."
_SETTINGS = "Sorry, my assistant does not work as it is set up. Please check my settings."
_ACCOUNT = "Sorry, my assistant's account is used up."

SPOKEN_ERRORS: Mapping[str, str] = MappingProxyType(
    {
        "device_unavailable": "I can't hear you: my microphone is not working.",
        "muted": "I can't hear you: my microphone is off.",
        "engine_failed": "Sorry, something went wrong inside me. Please try again.",
        "model_unavailable": "Sorry, a part of me is missing. Please check my status.",
        "provider_unavailable": _UNREACHABLE,
        "timeout": "Sorry, that took too long.",
        "store_failed": "Sorry, I can't remember that: my memory can't be written.",
        "network_error": _UNREACHABLE,
        "dns_failed": _UNREACHABLE,
        "server_error": _UNREACHABLE,
        "overloaded": _UNREACHABLE,
        "not_connected": _UNREACHABLE,
        "captive_portal": "Sorry, the network wants a log-in before I can reach my assistant.",
        "clock_wrong": "Sorry, my clock is wrong, so I can't reach my assistant.",
        "tls_failed": _UNREACHABLE,
        "tls_untrusted": "Sorry, I can't verify the certificate of my assistant.",
        "half_open": _BROKEN,
        "send_stalled": _BROKEN,
        "going_away": _BROKEN,
        "server_restart": _BROKEN,
        "closed_by_vendor": _BROKEN,
        "session_expired": _BROKEN,
        "stream_failed": _BROKEN,
        "bad_frame": _BROKEN,
        "frame_too_big": _BROKEN,
        "policy": _BROKEN,
        "invalid_api_key": _KEY,
        "rate_limited": "Sorry, my assistant accepts no more questions for now.",
        "queue_full": "Sorry, too many questions are waiting for my assistant.",
        "queue_too_long": "Sorry, my assistant would need too long to get to that.",
        "spend_limit": "Sorry, my assistant has reached today's spending limit.",
        "insufficient_quota": _ACCOUNT,
        "billing_hard_limit_reached": _ACCOUNT,
        **dict.fromkeys(SETTINGS_CODES, _SETTINGS),
        "empty_answer": "Sorry, my assistant had no answer to that. Please ask again.",
        "answer_filtered": "Sorry, my assistant may not answer that.",
        "answer_cut_off": "Sorry, the answer was cut off before it began. Please check my settings.",
        "tool_loop": "Sorry, my assistant got stuck on that. Please ask in other words.",
        "message_stopped": "Sorry, I may not answer that.",
        "not_understood": "Sorry, I did not understand that.",
        "beta_api_shape_disabled": "Sorry, my assistant needs a newer version of me.",
        "context_too_long": "Sorry, our conversation has become too long. Please begin a new one.",
        "audio_too_short": "Sorry, I did not hear anything.",
        "input_audio_buffer_commit_empty": "Sorry, I did not hear anything.",
        "nothing_said": "Sorry, I did not hear anything.",
    }
)

# A code without a sentence, such as one of a third party's provider.
UNKNOWN_REASON = "Sorry, that did not work."


def spoken_error(code: str) -> str:
    """Return the sentence for an error ``code``."""
    return SPOKEN_ERRORS.get(code, UNKNOWN_REASON)
