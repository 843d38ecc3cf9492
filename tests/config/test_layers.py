from voxd.config.layers import Layer, from_environment, from_overrides, from_toml, merge
from voxd.config.problems import Place


def layer(file: str, text: str) -> Layer:
    read, problems = from_toml(file, text)
    assert problems == []
    return read


def test_a_key_that_is_missing_is_placed_at_its_table() -> None:
    read = layer("f", "[[wake.words]]\nname = 'a'\n\n[[wake.words]]\nname = 'b'\n")
    assert read.place(("wake", "words", 1, "threshold")) == Place("f", 4)
    assert read.place(("nowhere", "at_all")) is None


def test_merging_keeps_what_is_not_replaced_and_changes_no_layer() -> None:
    below = layer("a", "[audio]\nchannels = 1\nring_s = 5\n")
    above = layer("b", "audio.ring_s = 6\n")
    merged = merge([below, above])
    assert merged.data["audio"] == {"channels": 1, "ring_s": 6}
    assert merged.place(("audio", "channels")) == Place("a", 2)
    assert merged.place(("audio", "ring_s")) == Place("b", 1)
    assert below.data == {"audio": {"channels": 1, "ring_s": 5}}


def test_a_replaced_list_takes_the_places_of_its_elements_with_it() -> None:
    below = layer("a", "[[wake.words]]\nname = 'a'\n[[wake.words]]\nname = 'b'\n")
    merged = merge([below, layer("b", "\nwake.words = [{ name = 'c' }]\n")])
    assert merged.place(("wake", "words", 0, "name")) == Place("b", 2)
    assert not any(
        place.file == "a" for path, place in merged.places.items() if path[:2] == ("wake", "words")
    )


def test_variables_name_nested_keys_in_capitals() -> None:
    read = from_environment(
        {"VOXD__STT__WHISPER__THREADS": "3", "VOXD__STT__ENGINE": "auto", "VOXD_SOCKET": "x"}
    )
    assert read.data == {"stt": {"whisper": {"threads": 3}, "engine": "auto"}}
    assert read.place(("stt", "whisper", "threads")) == Place("environment")


def test_a_value_that_smuggles_in_another_key_stays_text() -> None:
    read, _ = from_overrides(["leds.pins=[1]\nother = 2"])
    assert read.data == {"leds": {"pins": "[1]\nother = 2"}}


def test_an_invalid_assignment_is_reported() -> None:
    for malformed in ("audio.channels", "=3", "audio..channels=3"):
        read, problems = from_overrides([malformed])
        assert read.data == {}
        assert [problem.file for problem in problems] == ["--set"]
