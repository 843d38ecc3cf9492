"""Chat models through Hugging Face's router, which has OpenAI's chat completions API."""

from voxd.net.endpoint import require_key
from voxd.net.transport import Access
from voxd.providers.pipeline.stages.chat_completions import ChatCompletionsLlm


class HuggingFaceLlm(ChatCompletionsLlm):
    """Hugging Face's router.

    The model is "org/name", with an optional suffix ":provider", ":fastest" or ":cheapest". The key needs the
    scope "inference providers".
    """

    default_endpoint = "https://router.huggingface.co/v1"

    def headers(self, access: Access) -> dict[str, str]:
        """Return the headers. Raises `AuthenticationError` without a key, which every endpoint here needs."""
        require_key(self.name, access.key)
        return super().headers(access)
