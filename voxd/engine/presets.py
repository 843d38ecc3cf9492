"""Sessions for common uses, ready to be passed as ``VoiceEngineConfig(session=...)``."""

from typing import ClassVar

from voxd.providers.settings import SessionConfig


class SessionPresets:
    """Each is a `SessionConfig`; adapt one with ``msgspec.structs.replace``."""

    CONVERSATION: ClassVar = SessionConfig(
        instructions=(
            "You are a friendly conversation partner. Speak naturally, keep answers to a few sentences, and "
            "let the user lead."
        ),
        temperature=0.8,
    )
    ASSISTANT: ClassVar = SessionConfig(
        instructions=(
            "You are a helpful voice assistant. Answer in one or two short sentences, without lists or "
            "formatting. Use your tools when they help. Say so when you do not know."
        ),
        temperature=0.6,
    )
    TRANSCRIPTION: ClassVar = SessionConfig(
        instructions=(
            "Write down exactly what the user says, in the language of the speech. "
            "Add nothing, answer nothing."
        ),
        modalities=("text",),
        temperature=0.6,
    )
    CUSTOMER_SERVICE: ClassVar = SessionConfig(
        instructions=(
            "You are a polite customer service agent. Find out what the problem is, one question at a time, "
            "repeat names and numbers to make sure of them, and never promise what you cannot do yourself."
        ),
        temperature=0.6,
    )
    INTERPRETER: ClassVar = SessionConfig(
        instructions=(
            "You are an interpreter. Repeat what is said in the other of the two languages of the "
            "conversation, in the first person, and add nothing."
        ),
        temperature=0.6,
    )
