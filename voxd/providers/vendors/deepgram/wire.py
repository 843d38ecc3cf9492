"""Deepgram's error codes, shared by speech-to-text and text-to-speech."""

from voxd.net.faults import BAD_KEY, NO_CREDIT, SLOW_DOWN, ErrorMeaning, RefusalReader, refusal_reader

refused: RefusalReader = refusal_reader(
    {
        "INVALID_AUTH": BAD_KEY,
        "INSUFFICIENT_PERMISSIONS": BAD_KEY,
        "ASR_PAYMENT_REQUIRED": NO_CREDIT,
        "PAYMENT_REQUIRED": NO_CREDIT,
        "TOO_MANY_REQUESTS": SLOW_DOWN,
        "INVALID_MODEL": ErrorMeaning(
            "model_not_found", hint="set the provider's model to one of Deepgram's"
        ),
    }
)
"""Turns an HTTP error response of Deepgram into an error."""
