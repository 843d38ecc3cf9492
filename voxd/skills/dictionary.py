"""Which words pocketsphinx can pronounce: it refuses a whole grammar for one word that it cannot."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path


def pronunciation_test() -> Callable[[str], bool]:
    """Return a test for words of the dictionary in the pocketsphinx wheel (3 MB, read while it is used).

    Where pocketsphinx is not installed nothing can refuse the grammar, so every word passes.
    """
    spec = find_spec("pocketsphinx")
    if spec is None or spec.origin is None:
        return lambda word: True
    file = Path(spec.origin).parent / "model" / "en-us" / "cmudict-en-us.dict"
    if not file.is_file():
        return lambda word: True
    pronounced = b"\n" + file.read_bytes()
    checked: dict[str, bool] = {}

    def known(word: str) -> bool:
        if word not in checked:
            checked[word] = f"\n{word} ".encode() in pronounced
        return checked[word]

    return known
