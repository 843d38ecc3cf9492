"""A user's provider that connects to nothing."""

from voxd.providers.base import BaseProvider


class DeafProvider(BaseProvider):
    """It connects, and takes sound without a reply; a subclass says what becomes of a text."""

    async def connect(self) -> None:
        self.connection = object()

    async def disconnect(self) -> None:
        self.connection = None

    async def send_audio(self, audio_data: bytes) -> None:
        pass
