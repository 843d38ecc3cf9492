"""How a reply is cut into pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from voxd.spoken.speech_filter import MAX_HELD_CHARS
from voxd.text import (
    FIRST_PIECE_CHARS,
    MAX_PIECE_CHARS,
    MIN_CLAUSE_CHARS,
    UNSPEAKABLE,
    ClauseSplitter,
    Piece,
    sentences,
    speakable,
    strip_markdown,
)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", []),
        ("... ?!", []),
        ("Hello.", ["Hello."]),
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("It is 3.5 degrees. Bring a coat.", ["It is 3.5 degrees.", "Bring a coat."]),
        ("At 9.30 a.m. the train leaves.", ["At 9.30 a.m. the train leaves."]),
        ("Dr. Smith met Mr. T. He ran.", ["Dr. Smith met Mr. T. He ran."]),
        ("So do I. You too.", ["So do I.", "You too."]),
        ("See e.g. the U.S. report.", ["See e.g. the U.S. report."]),
        ('She said "no." Then left.', ['She said "no."', "Then left."]),
        ("Wait... what?", ["Wait...", "what?"]),
        ("First line\nSecond line", ["First line", "Second line"]),
        ("A\nlist:\n1. milk\n2. bread", ["A", "list:", "1. milk", "2. bread"]),
        ("# Title\n\n- **milk**\n- *bread*", ["Title", "milk", "bread"]),
        ("Use `ls` or [the docs](https://x.y/z).", ["Use ls or the docs."]),
        ("你好。再见。", ["你好。", "再见。"]),
        (
            "The timer for the eggs, which you set this morning, has three minutes left.",
            ["The timer for the eggs,", "which you set this morning, has three minutes left."],
        ),
    ],
)
def test_a_reply_is_cut_where_a_speaker_would_pause(text: str, pieces: list[str]) -> None:
    assert sentences(text) == pieces


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("two * three * four", "two * three * four"),
        ("snake_case_name", "snake_case_name"),
        ("***bold***", "bold"),
        ("---", ""),
    ],
)
def test_markdown_is_not_read_aloud(text: str, read: str) -> None:
    assert strip_markdown(text) == read


plain = st.text(alphabet="ab c,.!?;:12\n'", max_size=600)


@examples(50)
@given(plain)
def test_no_word_is_lost_or_moved(text: str) -> None:
    def letters(given: str) -> str:
        return "".join(letter for letter in given if letter.isalnum())

    assert letters("".join(sentences(text))) == letters(text)


@examples(50)
@given(plain)
def test_no_piece_is_empty_or_too_long(text: str) -> None:
    for piece in sentences(text):
        assert any(letter.isalnum() for letter in piece)
        assert len(piece) <= MAX_PIECE_CHARS


@examples(50)
@given(st.lists(st.text(alphabet="abcdefgh", min_size=1, max_size=12), min_size=1, max_size=40))
def test_words_survive_whole(words: list[str]) -> None:
    assert " ".join(sentences(", ".join(words))).replace(",", "").split() == words


def test_the_first_piece_of_a_long_sentence_is_short() -> None:
    first = sentences("Well, I think that, all things considered, we had better wait for the next bus.")[0]
    assert len(first) <= FIRST_PIECE_CHARS


def pieces_of(text: str, size: int | None = None) -> tuple[list[Piece], str]:
    """The pieces that are to be spoken, and the written text behind the last."""
    clauses, pieces, taken_back = ClauseSplitter(), list[Piece](), 0
    chunks = [text] if size is None else [text[at : at + size] for at in range(0, len(text), size)]
    for chunk in (*chunks, None):
        found = clauses.finish() if chunk is None else clauses.feed(chunk)
        if clauses.retractions > taken_back:
            taken_back = clauses.retractions
            pieces = []
        pieces += found
    return pieces, clauses.unspoken


def cut(text: str, size: int | None = None) -> list[str]:
    return [piece.spoken for piece in pieces_of(text, size)[0]]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", []),
        ("... ?!", []),
        ("Yes.", ["Yes."]),
        ("Sure! Here it is.", ["Sure!", "Here it is."]),
        (
            "The timer for the eggs, which you set today, has a minute left. It rings soon, I think.",
            ["The timer for the eggs,", "which you set today, has a minute left.", "It rings soon, I think."],
        ),
        ("Well, yes, it does.", ["Well, yes, it does."]),
        ("It is 3.14, or 1,000. Or 10:30.", ["It is 3.14, or 1,000.", "Or 10:30."]),
        ("Dr. Smith met J. R. Tolkien. He ran.", ["Dr. Smith met J. R. Tolkien.", "He ran."]),
        ("At 9.30 a.m. the U.S. train leaves.", ["At 9.30 a.m. the U.S. train leaves."]),
        ("So do I. You too.", ["So do I.", "You too."]),
        ("Wait... what?", ["Wait...", "what?"]),
        ('He said "no." Then left.', ['He said "no."', "Then left."]),
        (
            "See https://a.example/x.html?y=1, or not. Bye.",
            ["See, or not.", "Bye."],
        ),
        ("See [the docs. All](https://x.y/z.a) now. Bye.", ["See the docs. All now.", "Bye."]),
        ("Use [this](https://x.y/z). Bye.", ["Use this.", "Bye."]),
        (
            "# Title\n\n- **milk**\n- *bread*\n1. eggs\n2. ham",
            ["Title", "milk", "bread", "1. eggs", "2. ham"],
        ),
        ("**Note. This matters.** Then go.", ["Note.", "This matters.", "Then go."]),
        ("Use `ls` in snake_case_dir. 2 * 3 is 6.", ["Use ls in snake_case_dir.", "2 * 3 is 6."]),
        ("Code:\n```python\nx = 1\n```\nDone.", ["Code:", "Done."]),
        ("```ls -l``` lists. Bye.", ["ls -l lists.", "Bye."]),
        (
            "| Day | High. Low |\n|---|:--:|\n| Mon | 3 |\nEnd.",
            ["Day, High. Low", "Mon, 3", "End."],
        ),
        ("Hi \U0001f600! It is 20 °C. \U0001f44d\U0001f3fd", ["Hi !", "It is 20 °C."]),
        ("你好。再见！好", ["你好。", "再见！", "好"]),  # noqa: RUF001
        ("First line\nSecond line", ["First line", "Second line"]),
        ("We went out - and came back. Yes.", ["We went out -", "and came back.", "Yes."]),
    ],
)
def test_an_answer_is_cut_where_a_speaker_would_pause(text: str, pieces: list[str]) -> None:
    assert cut(text) == pieces


def test_the_first_clause_goes_out_before_the_sentence_is_written() -> None:
    clauses = ClauseSplitter()
    assert clauses.feed("In that case,") == []
    assert clauses.feed(" ") == [Piece("In that case,", "In that case, ")]
    assert clauses.feed("I would, if I were you, go") == []
    assert clauses.rest == "I would, if I were you, go"


def test_nothing_is_held_back_for_ever() -> None:
    clauses = ClauseSplitter()
    assert clauses.feed("word " * 60)
    assert ClauseSplitter().feed("[" + "word " * (MAX_HELD_CHARS // 5))
    assert clauses.feed("x" * (MAX_PIECE_CHARS + 1))


ANYTHING = st.text(alphabet='ab 1,.!?;:()[]|`*_#->~\n。é\U0001f600<$\\{}"/&h【】†', max_size=500)
PLAIN = st.text(alphabet="ab cdE,.!?;:12|*_\n-'\"", max_size=700)


@examples(50)
@given(ANYTHING, st.integers(1, 40))
def test_the_pieces_do_not_depend_on_how_the_letters_come(text: str, size: int) -> None:
    assert cut(text, size) == cut(text)


@examples(50)
@given(PLAIN)
def test_joined_the_pieces_hold_every_word(text: str) -> None:
    def letters(given: str) -> str:
        return "".join(letter for letter in given if letter.isalnum())

    assert letters("".join(cut(text))) == letters(text)


@examples(50)
@given(
    st.lists(st.text(alphabet="abcdefgh", min_size=1, max_size=12), min_size=1, max_size=60),
    st.integers(1, 9),
)
def test_words_survive_the_clause_splitter(words: list[str], size: int) -> None:
    assert " ".join(cut(", ".join(words), size)).replace(",", "").split() == words


@examples(50)
@given(ANYTHING)
def test_no_clause_is_empty_or_too_long(text: str) -> None:
    for piece in cut(text):
        assert any(letter.isalnum() for letter in piece)
        assert len(piece) <= MAX_HELD_CHARS


def test_a_first_clause_is_never_a_stump() -> None:
    assert len(cut("No, I would not do that, if I were you, friend.")[0]) >= MIN_CLAUSE_CHARS


SPOKEN = [
    # Thoughts and control tokens, whatever the model.
    ("I should greet. Then go.</think>Hello there.", ["Hello there."]),
    ("Hello. <think>A plan. Really?</think> World.", ["Hello.", "World."]),
    ("<thinking>\nLong. Very.\n</thinking>\n\nYes.", ["Yes."]),
    ("<THINK>x</Think>Yes.", ["Yes."]),
    ("<think>never closed. At all.", []),
    ("<reasoning effort='high'>x</reasoning>Yes.", ["Yes."]),
    ("[THINK]One. Two.[/THINK]It is noon.", ["It is noon."]),
    ("◁think▷Hm. So.◁/think▷It is noon.", ["It is noon."]),
    ("<|begin_of_thought|>Hm. So.<|end_of_thought|>It is noon.", ["It is noon."]),
    ("<|START_THINKING|>Hm.<|END_THINKING|><|START_RESPONSE|>It is noon.<|END_RESPONSE|>", ["It is noon."]),
    (
        "<|channel|>analysis<|message|>User asks. Hm.<|end|>"
        "<|start|>assistant<|channel|>final<|message|>It is noon.<|return|>",
        ["It is noon."],
    ),
    ('<|channel|>commentary to=functions.f <|constrain|>json<|message|>{"a": "b. c"}<|call|>', []),
    ("analysisThe user asks. We say noon.assistantfinalIt is noon.", ["It is noon."]),
    ("<|im_start|>assistant\nHello.<|im_end|>", ["Hello."]),
    ("<|start_header_id|>assistant<|end_header_id|>\n\nHello.<|eot_id|>", ["Hello."]),
    ("<bos>Hello.</s><eos><|endoftext|>", ["Hello."]),
    ("<s>[INST] Hi. [/INST] Hello.</s>", ["Hi.", "Hello."]),
    ("Hello.<｜end▁of▁sentence｜>", ["Hello."]),  # noqa: RUF001
    # Calls of tools as text.
    ('Let me see.<tool_call>{"name": "f", "arguments": {}}</tool_call>', ["Let me see."]),
    ('{"name": "get_time", "arguments": {"zone": "U. T. C."}}', []),
    ('Sure. {"name": "f", "parameters": {"a": [1, "}"]}} Done.', ["Sure.", "Done."]),
    ('[{"name": "f", "arguments": {}}]', []),
    ('[TOOL_CALLS][{"name": "f", "arguments": {}}]', []),
    ('<function=f>{"a": 1}</function>Done.', ["Done."]),
    (
        "<function_calls><invoke name='f'><parameter name='a'>1. 2.</parameter></invoke></function_calls>Ok.",
        ["Ok."],
    ),
    ("<|tool_calls_section_begin|>x. y<|tool_calls_section_end|>Ok.", ["Ok."]),
    ("<|python_tag|>f.call(query='a. b')<|eom_id|>Ok.", ["Ok."]),
    ("<start_of_turn>model\nHello.<end_of_turn>", ["Hello."]),
    ("<|turn>model\nHello.<turn|>", ["Hello."]),
    ("<|channel>thought\nA plan. Really?<channel|>Hello.", ["Hello."]),
    ("A plan. Really?<channel|>Hello.", ["Hello."]),
    ("<|tool_call>call:get_time{zone: U. T}<tool_call|>Done.", ["Done."]),
    ("Hello.<|im_", ["Hello."]),
    ("[get_time(zone='U. T'), stop()]", []),
    ('Let me see. [get_time(zones=["a", "b"])]', ["Let me see."]),
    ("```tool_code\nprint(get_time())\n```\nDone.", ["Done."]),
    ('```json\n{"name": "get_time", "arguments": {}}\n```\nDone.', ["Done."]),
    ("<use_mcp_tool><server_name>a</server_name></use_mcp_tool>Done.", ["Done."]),
    ('Noon.<grok:render card_id="1"><argument name="c">0</argument></grok:render> Yes.', ["Noon.", "Yes."]),
    # Code.
    ("So:\n\n```python\nprint('hi. ho')\n```\n\nThat is it.", ["So:", "That is it."]),
    ("1. Run:\n   ```\n   ls -l\n   ```\n2. Done", ["1. Run:", "2. Done"]),
    ("~~~\nx = 1\n~~~\nok", ["ok"]),
    ("```\nnever closed. x", []),
    ("```markdown\n# Title\nText here.\n```", ["Title", "Text here."]),
    ('Use `ls` or `print("x. y")`, then `foo()`.', ["Use ls or, then foo."]),
    # Addresses.
    ("See https://a.b/c?d=e.f, or (https://x.y/z_(a)).", ["See, or."]),
    ("Go to www.example.com/x. Or to example.com now.", ["Go to.", "Or to example.com now."]),
    (
        "Ask bob@x.org now, <ann@x.org> or mailto:joe@x.de.",
        ["Ask bob@x.org now,", "ann@x.org or joe@x.de."],
    ),
    ("[docs](https://x.y) and ![a fox](https://x.y/a.png) and <https://x.y>.", ["docs and a fox and."]),
    ('[1]: https://x.y "Title"\nHi.', ["Hi."]),
    ("Sources:\n1. https://a.b/c\n2. https://d.e/f", ["Sources:"]),
    # Citations.
    ("So it is【4:0†source】. Or so 【12†L1-L5】.", ["So it is.", "Or so."]),
    ("Water boils [1]. It freezes [2, 3] too[^4].", ["Water boils.", "It freezes too."]),
    ("As said [[1]](https://x.y). Or [2](https://x.y).", ["As said.", "Or."]),
    ("Yes\ue200cite\ue202turn0search1\ue201.", ["Yes."]),
    (":contentReference[oaicite:0]{index=0}Yes.", ["Yes."]),
    # TeX.
    (r"The area is \(\pi r^2\). And \[ a^2 + b. c \] too.", ["The area is.", "And too."]),
    (r"So $E = mc^2$ holds. $$\frac{1}{2}. x$$ ends.", ["So holds.", "ends."]),
    ("If $x$ is 5, $n+1$ is not.", ["If x is 5, n+1 is not."]),
    (r"It is \boxed{42}.", ["It is 42."]),
    # HTML.
    ("<p>One <b>two</b>.</p><br/>Tom &amp; Jerry&nbsp;run.", ["One two.", "Tom & Jerry run."]),
    ('<a href="https://x.y. z">Here</a> it is.<!-- no. no -->', ["Here it is."]),
    ("<script>var a = 1. b;</script>Hi.", ["Hi."]),
    ('<speak><prosody rate="slow">Hi.</prosody></speak>', ["Hi."]),
    ("<details><summary>More</summary>It rains.</details>Hello.", ["More It rains.", "Hello."]),
    # Characters without a sound.
    ("\ufeffHel\x00lo \u202eyou\u202c, caf\ufffd\u200b.", ["Hello you,", "caf."]),
    # Stage directions and tasks.
    ("*laughs* Hello! *clears throat softly* It is *really* good.", ["Hello!", "It is really good."]),
    ("- [ ] milk\n- [x] bread", ["milk", "bread"]),
]

PROSE = [
    "a < b and 5 > 3, and x<y but y>z.",
    "It costs $5 and $6, or $20/month, and 5$ more.",
    "Between $5-$10, $HOME and $PATH.",
    'He wrote "teh" [sic] and [laughs].',
    "I love <3 you <- truly -> always.",
    "AT&T and R&D said so.",
    "Replace <your name> here.",
    "A set {1, 2} and {name}.",
    "At 10:30:15 the ratio is 3:4:5.",
    r"C:\Users\bob is a folder.",
    "【重要】 is a heading.",
    "The user manual is here.",
    "What is 2 * 3 * 4?",
    "See [the list (of two)] and [sic (x)] or f(x=1).",
    "ha, hat, www, and mail are words.",
]


@pytest.mark.parametrize(("text", "spoken"), SPOKEN)
def test_what_is_not_for_the_ear_is_not_spoken_but_written(text: str, spoken: list[str]) -> None:
    for size in (None, 1, 2, 3, 7):
        pieces, rest = pieces_of(text, size)
        assert [piece.spoken for piece in pieces] == spoken
        assert text.endswith("".join(piece.written for piece in pieces) + rest)


@pytest.mark.parametrize("text", PROSE)
def test_prose_that_resembles_markup_is_spoken(text: str) -> None:
    assert " ".join(cut(text)) == text


@examples(100)
@given(st.lists(st.sampled_from([text for text, _ in SPOKEN] + PROSE), max_size=4), st.integers(1, 30))
def test_no_division_of_a_text_changes_what_is_spoken(texts: list[str], size: int) -> None:
    text = "\n".join(texts)
    assert cut(text, size) == cut(text, 1) == cut(text)


@examples(100)
@given(ANYTHING)
def test_all_that_was_written_is_kept(text: str) -> None:
    clauses = ClauseSplitter()
    pieces = clauses.feed(text) + clauses.finish()
    assert "".join(piece.written for piece in pieces) + clauses.unspoken == text


def test_an_answer_that_cannot_be_spoken_says_so() -> None:
    assert sentences("```\nx = 1\n```") == [UNSPEAKABLE]
    assert sentences("https://x.y") == [UNSPEAKABLE]
    assert sentences("\U0001f44d") == [UNSPEAKABLE]
    assert sentences('```json\n{"answer": 5}\n```') == [UNSPEAKABLE]
    assert sentences('```json\n{"name": "get_time", "arguments": {}}\n```') == []
    assert sentences("... ?!") == []
    assert [speakable(text) for text in ("`42`", "$42$", r"\boxed{42}", "<b>42</b>")] == ["42"] * 4
    assert speakable("**Hi**, `x = 1` there.") == "Hi, there."


def test_a_thought_that_was_not_marked_at_its_beginning_is_not_begun() -> None:
    clauses, thought = ClauseSplitter(), "Okay, the user asks for the time. It is noon. So: </think>"
    assert clauses.feed(thought) == []
    assert clauses.feed("It is noon. ") == [Piece("It is noon.", f"{thought}It is noon. ")]
    assert clauses.retractions == 1


def test_what_only_looks_like_a_thought_is_spoken_at_the_end() -> None:
    clauses = ClauseSplitter()
    assert clauses.feed("The user is always right. Yes. ") == []
    assert [piece.spoken for piece in clauses.finish()] == ["The user is always right.", "Yes."]
