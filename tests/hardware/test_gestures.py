import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from voxd.config import schema
from voxd.hardware.gestures import Gesture, GestureKind, GestureReader

CONFIG = schema.Button(pin=17, bounce_ms=20, hold_ms=400, double_ms=300, long_ms=3000)
DOWN, UP = True, False
LATER_S = 60.0


def read(edges: list[tuple[bool, float]], ticks: list[float] | None = None) -> list[tuple[str, float]]:
    """The gestures of ``edges`` (level, seconds) with wake-ups at ``ticks`` and one at the very end."""
    reader = GestureReader(CONFIG)
    moments = [(at_s, level) for level, at_s in edges] + [(at_s, None) for at_s in ticks or []]
    gestures: list[Gesture] = []
    for at_s, level in sorted(moments, key=lambda moment: moment[0]):
        gestures += reader.tick(at_s) if level is None else reader.edge(level, at_s)
    gestures += reader.tick(LATER_S)
    return [(gesture.kind.value, round(gesture.at_s, 3)) for gesture in gestures]


@pytest.mark.parametrize(
    ("edges", "gestures"),
    [
        pytest.param([(DOWN, 1.0), (UP, 1.1)], [("short", 1.0)], id="short"),
        pytest.param([(DOWN, 1.0), (UP, 1.399)], [("short", 1.0)], id="just short of a hold"),
        pytest.param([(DOWN, 1.0), (UP, 2.5)], [("talk_start", 1.0), ("talk_end", 2.5)], id="hold to talk"),
        pytest.param([(DOWN, 1.0), (UP, 4.5)], [("talk_start", 1.0), ("mute", 1.0)], id="long, nothing said"),
        pytest.param([(DOWN, 1.0)], [("talk_start", 1.0), ("mute", 1.0)], id="never let go"),
        pytest.param(
            [(DOWN, 1.0), (UP, 1.1), (DOWN, 1.3), (UP, 1.4)], [("short", 1.0), ("repeat", 1.3)], id="double"
        ),
        pytest.param(
            [(DOWN, 1.0), (UP, 1.1), (DOWN, 1.5), (UP, 1.6)], [("short", 1.0), ("short", 1.5)], id="two"
        ),
        pytest.param(
            [(DOWN, 1.0), (UP, 1.1), (DOWN, 1.2), (UP, 1.3), (DOWN, 1.4), (UP, 1.5)],
            [("short", 1.0), ("repeat", 1.2), ("short", 1.4)],
            id="triple",
        ),
        pytest.param(
            [(DOWN, 1.0), (UP, 1.1), (DOWN, 1.3), (UP, 9.0)],
            [("short", 1.0), ("repeat", 1.3)],
            id="double, held",
        ),
        pytest.param(
            [(DOWN, 1.0), (UP, 2.0), (DOWN, 2.1), (UP, 2.2)],
            [("talk_start", 1.0), ("talk_end", 2.0), ("short", 2.1)],
            id="a short press after a hold is not a double press",
        ),
        pytest.param([(DOWN, 1.0), (UP, 1.015)], [], id="spike"),
        pytest.param(
            [(DOWN, 1.0), (UP, 1.003), (DOWN, 1.006), (UP, 1.2), (DOWN, 1.203), (UP, 1.207)],
            [("short", 1.006)],
            id="chatter at both ends",
        ),
        pytest.param(
            [(DOWN, 1.0), (UP, 1.9), (DOWN, 1.91), (UP, 2.4)],
            [("talk_start", 1.0), ("talk_end", 2.4)],
            id="a loose contact does not end the hold",
        ),
        pytest.param(
            [(DOWN, 1.0), (UP, 1.395), (DOWN, 1.405), (UP, 2.0)],
            [("talk_start", 1.0), ("talk_end", 2.0)],
            id="chatter at the very moment of the hold",
        ),
    ],
)
def test_edges_become_gestures(edges: list[tuple[bool, float]], gestures: list[tuple[str, float]]) -> None:
    assert read(edges) == gestures


def test_a_short_press_is_told_as_soon_as_the_contact_has_settled() -> None:
    reader = GestureReader(CONFIG)
    reader.edge(DOWN, 1.0)
    assert reader.edge(UP, 1.1) == []
    assert reader.deadline_s == pytest.approx(1.12)
    assert [gesture.kind for gesture in reader.tick(1.12)] == [GestureKind.SHORT]
    assert reader.deadline_s is None


def test_a_hold_is_told_when_it_is_one_not_when_it_ends() -> None:
    reader = GestureReader(CONFIG)
    reader.edge(DOWN, 1.0)
    assert reader.tick(1.399) == []
    assert reader.deadline_s == pytest.approx(1.4)
    assert [gesture.kind for gesture in reader.tick(1.4)] == [GestureKind.TALK_START]


def test_speech_turns_a_long_hold_into_a_long_sentence() -> None:
    reader = GestureReader(CONFIG)
    reader.edge(DOWN, 1.0)
    reader.tick(2.0)
    reader.speech_heard()
    assert reader.deadline_s is None
    assert reader.tick(8.0) == []
    reader.edge(UP, 8.0)
    assert [gesture.kind for gesture in reader.tick(9.0)] == [GestureKind.TALK_END]


def test_speech_of_an_earlier_hold_does_not_prevent_muting() -> None:
    reader = GestureReader(CONFIG)
    reader.speech_heard()
    reader.edge(DOWN, 1.0)
    assert [gesture.kind for gesture in reader.tick(9.0)] == [GestureKind.TALK_START, GestureKind.MUTE]


gaps = st.lists(st.integers(1, 4000).map(lambda ms: ms / 1000), max_size=12)


@examples(100)
@given(gaps, st.lists(st.floats(0, 50), max_size=20))
def test_when_it_is_woken_changes_nothing(between_s: list[float], ticks: list[float]) -> None:
    edges, now_s = [], 0.0
    for index, gap_s in enumerate(between_s):
        now_s += gap_s
        edges.append((index % 2 == 0, now_s))
    assert read(edges, ticks) == read(edges)


@examples(100)
@given(gaps)
def test_every_talk_that_starts_ends_once(between_s: list[float]) -> None:
    edges, now_s = [], 0.0
    for index, gap_s in enumerate(between_s[: len(between_s) // 2 * 2]):
        now_s += gap_s
        edges.append((index % 2 == 0, now_s))
    talking = False
    for kind, _ in read(edges):
        assert talking == (kind in ("talk_end", "mute"))
        talking = kind == "talk_start"
    assert not talking
