"""Asks models of Hugging Face through their router, which speaks as OpenAI does."""

from voxd.net.endpoint import require_key
from voxd.net.transport import Access
from voxd.providers.vendors.openai.llm import OpenAIChatLlm


class HuggingFaceLlm(OpenAIChatLlm):
    """The router of Hugging Face (reference/providers.md, section 10).

    A model is "org/name", with ":provider", ":fastest" or ":cheapest" behind it if wanted. The key needs the
    scope "inference providers".
    """

    default_model = "openai/gpt-oss-20b:fastest"
    default_endpoint = "https://router.huggingface.co/v1"

    def _at(self, access: Access) -> Access:
        require_key(self.name, access.key)
        return super()._at(access)
