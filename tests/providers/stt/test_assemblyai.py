from tests.providers.stt.live import LiveContract


class TestContract(LiveContract):
    kind = "assemblyai"
