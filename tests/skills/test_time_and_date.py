"""Time, dates, weeks, and how long it is until something: said on Friday, November 20th 2026 at 15:05."""

import pytest

from tests.skills.talk import Talk
from voxd.skills.replies import say


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("what time is it", "It is three oh five p m."),
        ("could you tell me the time please", "It is three oh five p m."),
        ("what time is it in tokyo", "In Tokyo it is eleven oh five p m."),
        ("what's the time in new york", "In New York it is nine oh five a m."),
        ("what time is it in atlantis", "Sorry, I do not know the time in atlantis."),
        ("what day is it", "It is Friday, November 20th."),
        ("what's today's date", "It is Friday, November 20th."),
        ("what date is it tomorrow", "That is Saturday, November 21st."),
        ("what day is december 24th", "That is Thursday, December 24th."),
        ("what is the date next monday", "That is Monday, November 23rd."),
        ("what day is february 30th", say("no_such_date")),
        ("what week of the year is it", "It is week forty seven of the year."),
        ("how many days until christmas eve", "It is thirty four days until then."),
        ("how many days until december 24th", "It is thirty four days until then."),
        ("how long until tomorrow", "It is one day until then."),
        ("how long until 6 pm", "It is two hours and fifty five minutes until then."),
        ("how long until midnight", "It is eight hours and fifty five minutes until then."),
    ],
)  # fmt: skip
async def test_answers_about_time(talk: Talk, text: str, reply: str) -> None:
    assert await talk.says(text) == reply
    assert talk.state() == []
