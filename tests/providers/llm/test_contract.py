"""Every built-in language model keeps the contract."""

from tests.providers.llm.contract import FullContract, ProtocolContract, StreamingContract
from tests.servers.anthropic import Messages
from tests.servers.chat import Chat
from tests.servers.ollama import OllamaChat
from tests.servers.own_http import OwnHttp
from tests.servers.responses import Responses
from voxd.providers.llm.anthropic import Anthropic
from voxd.providers.llm.custom import CustomHttp
from voxd.providers.llm.huggingface import HuggingFace
from voxd.providers.llm.ollama import Ollama
from voxd.providers.llm.openai import OpenAIChat
from voxd.providers.llm.openai_responses import OpenAIResponses


class TestOpenAIChat(FullContract):
    model = OpenAIChat
    kind = "openai"

    def dialect(self) -> Chat:
        return Chat()


class TestOpenAIResponses(FullContract):
    model = OpenAIResponses
    kind = "openai_responses"

    def dialect(self) -> Responses:
        return Responses()


class TestHuggingFace(FullContract):
    model = HuggingFace
    kind = "huggingface"

    def dialect(self) -> Chat:
        return Chat()


class TestAnthropic(FullContract):
    model = Anthropic
    kind = "anthropic"
    path = ""

    def dialect(self) -> Messages:
        return Messages()


class TestOllama(FullContract):
    model = Ollama
    kind = "ollama"
    path = ""
    tells_cached = False

    def dialect(self) -> OllamaChat:
        return OllamaChat()


class TestCustomText(StreamingContract):
    model = CustomHttp
    kind = "custom"
    path = "/ask"

    def dialect(self) -> OwnHttp:
        return OwnHttp()


class TestCustomJson(ProtocolContract):
    model = CustomHttp
    kind = "custom"
    path = "/ask"
    options = {"stream": False}  # noqa: RUF012
    tells_cached = False

    def dialect(self) -> OwnHttp:
        return OwnHttp(streams=False)
