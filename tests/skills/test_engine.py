"""A conversation with the device: it does what it says, asks for what is missing, and is honest."""

import pytest

from tests.shared import MODELS, needs_shared
from tests.skills.talk import NOT_UNDERSTOOD, Talk
from voxd.config import schema
from voxd.config.commands import Command, ReplyAction
from voxd.errors import ConfigError
from voxd.skills.contract import SkillReply
from voxd.skills.engine import QUESTION_OPEN_S
from voxd.skills.replies import say
from voxd.skills.understanding.grammar import Grammar
from voxd.skills.understanding.language import load_language
from voxd.skills.understanding.speech import load_speech
from voxd.skills.understanding.understander import Understander

NOT_HEARD = say("not_heard")
NEEDS_MODEL = say("needs_model")


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("What time is it?", "It is three oh five p m."),
        ("What day is it?", "It is Friday, November 20th."),
        ("What's the date?", "It is Friday, November 20th."),
        ("how much time is left", "No timer is running."),
        ("cancel the alarm", "No alarm is set."),
        ("list my reminders", "You have no reminders set."),
        ("cancel everything", "You have no timers, alarms or reminders set."),
        ("set a timer for zero seconds", "Sorry, I can set timers from one second to seven days."),
        ("set the volume to 150 percent", "The volume goes from zero to one hundred percent."),
        ("repeat that", "I have not said anything yet."),
        ("how are you", "I am well."),
        ("what is seven divided by two", "It is three point five."),
        ("what is one divided by zero", "Nothing can be divided by zero."),
        ("what is two minus nine", "It is minus seven."),
        ("turn on the light", "Sorry, I can't control lights, doors or heating."),
        ("never mind", "Okay."),
        ("", NOT_HEARD),
        ("...", NOT_HEARD),
        ("colourless green ideas sleep furiously", NOT_UNDERSTOOD),
        ("set a timer for the colourless if it rains", 'Sorry, I did not understand "colourless if rains".'),
        ("who wrote hamlet", NEEDS_MODEL),
        # No length of time alone is a request, but it may be one.
        ("five minutes", "Set a timer for five minutes?"),
    ],
)
async def test_one_sentence_one_answer(talk: Talk, text: str, reply: str) -> None:
    assert await talk.says(text) == reply


@needs_shared
async def test_every_command_of_the_closed_set_has_an_answer(talk: Talk) -> None:
    lines = (MODELS / "whisper_closed_set" / "commands.txt").read_text().splitlines()
    unanswered = []
    silent = []
    for line in lines:
        reply = await talk.ask(line)
        if not reply.intent or reply.text == NOT_UNDERSTOOD:
            unanswered.append(line)
        if not reply.text:
            silent.append(line)
    assert unanswered == []
    assert silent == ["Mute.", "Stop."]


async def test_what_is_not_understood_has_no_intent(talk: Talk) -> None:
    assert (await talk.ask("colourless green ideas")).intent == ""


async def test_a_timer_is_set_listed_and_cancelled(talk: Talk) -> None:
    assert await talk.says("set a five minute pizza timer") == "Pizza timer set for five minutes."
    await talk.clock.advance(30)
    assert (
        await talk.says("how much time is left") == "Four minutes and thirty seconds left on the pizza timer."
    )
    assert await talk.says("what timers do I have") == (
        "You have one timer: pizza, four minutes and thirty seconds left."
    )
    assert await talk.says("cancel the egg timer") == (
        "No such timer is set. There is: pizza, four minutes and thirty seconds left."
    )
    assert await talk.says("cancel the pizza timer") == "Pizza timer cancelled."
    assert talk.timers.list() == []


async def test_a_missing_duration_is_asked_for(talk: Talk) -> None:
    reply = await talk.ask("set a pizza timer")
    assert (reply.text, reply.expects_answer) == ("Set a timer for how long?", True)
    reply = await talk.ask("Five minutes.")
    assert (reply.text, reply.expects_answer) == ("Pizza timer set for five minutes.", False)
    assert await talk.says("five minutes") == "Set a timer for five minutes?"


async def test_a_question_is_forgotten_after_a_while(talk: Talk) -> None:
    await talk.ask("set a timer")
    await talk.clock.advance(QUESTION_OPEN_S + 1)
    assert await talk.says("five minutes") == "Set a timer for five minutes?"


@pytest.mark.parametrize(
    ("text", "reply"),
    [("never mind", "Okay."), ("no", "Okay."), ("what time is it", "It is three oh five p m.")],
)
async def test_a_question_need_not_be_answered(talk: Talk, text: str, reply: str) -> None:
    await talk.ask("set a timer")
    assert await talk.says(text) == reply
    assert await talk.says("five minutes") == "Set a timer for five minutes?"
    assert talk.timers.list() == []


async def test_a_reminder_asks_for_the_time(talk: Talk) -> None:
    reply = await talk.ask("Remind me to call my mother.")
    assert (reply.text, reply.expects_answer) == ("When should I remind you?", True)
    assert await talk.says("at five") == "I will remind you to call your mother at five p m."
    assert [(entry.kind, entry.name) for entry in talk.timers.list()] == [("reminder", "call my mother")]


async def test_a_reminder_asks_for_its_subject(talk: Talk) -> None:
    assert await talk.says("remind me in ten minutes") == "What should I remind you of?"
    assert await talk.says("to check the oven") == "I will remind you to check the oven in ten minutes."


async def test_an_alarm_asks_for_the_time(talk: Talk) -> None:
    assert await talk.says("set an alarm") == "Set an alarm for when?"
    assert await talk.says("tomorrow at quarter to seven") == "Alarm set tomorrow at six forty five a m."
    assert await talk.says("wake me at half past six on monday") == "Alarm set on Monday at six thirty a m."
    assert await talk.says("cancel the alarm for six thirty") == "Alarm cancelled."
    assert await talk.says("when is my next alarm") == "Next is your alarm, tomorrow at six forty five a m."


@pytest.mark.parametrize(
    ("answer", "left"),
    [("pizza", [""]), ("the pizza one", [""]), ("the ten minute timer", ["pizza"]), ("all of them", [])],
)
async def test_which_of_several_is_asked(talk: Talk, answer: str, left: list[str]) -> None:
    await talk.ask("set a five minute pizza timer")
    await talk.ask("set a timer for ten minutes")
    reply = await talk.ask("cancel the timer")
    assert reply.expects_answer
    assert reply.text == "You have two timers: pizza, five minutes left and ten minutes left. Which one?"
    await talk.ask(answer)
    assert [entry.name for entry in talk.timers.list()] == left


async def test_stopping_the_timer_silences_what_rings_and_spares_the_others(talk: Talk) -> None:
    await talk.ask("set a timer for one minute")
    await talk.ask("set a timer for ten minutes")
    await talk.clock.advance(61)
    assert await talk.says("stop the timer") == ""
    assert [entry.ringing for entry in talk.timers.list()] == [False]


async def test_missed_timers_are_announced(talk: Talk) -> None:
    await talk.ask("wake me at seven")
    talk.clock.step_wall(20 * 3600.0)
    await talk.clock.advance(1.5)
    assert await talk.says("list my alarms") == "You missed your alarm. You have no alarms set."


async def test_stop_and_mute_reach_the_device_in_silence(talk: Talk) -> None:
    assert await talk.ask("Stop.") == SkillReply("", "stop")
    assert await talk.ask("mute yourself") == SkillReply("", "mic_mute")
    assert talk.device.done == ["stop", "mute"]


async def test_a_correction_after_the_timer_rang_sets_the_new_one(talk: Talk) -> None:
    await talk.ask("set a timer for ten seconds")
    await talk.clock.advance(11)
    talk.timers.stop_ringing("voice")
    assert await talk.says("no, ten minutes") == "Timer set for ten minutes."
    assert talk.state() == ["timer 10m"]


async def test_a_correction_whose_undo_fails_says_so(talk: Talk) -> None:
    await talk.ask("set a timer for five minutes")
    await talk.db.run(lambda connection: connection.execute("DROP TABLE timers"))
    reply = await talk.ask("no, ten minutes")
    assert reply.text.startswith("Sorry, that did not work: the database failed")


async def test_a_store_that_fails_is_said(talk: Talk) -> None:
    await talk.db.run(lambda connection: connection.execute("DROP TABLE timers"))
    reply = await talk.ask("set a timer for five minutes")
    assert reply.text.startswith("Sorry, that did not work: the database failed")
    assert talk.timers.list() == []


async def test_custom_commands_are_run_and_their_output_is_spoken(talk: Talk) -> None:
    party = Command(
        name="party",
        sentences=("start the {room} party",),
        slots={"room": ("attic", "garden")},
        action=ReplyAction(text="Party in the {room}."),
    )
    own = Talk(talk.db, schema.Skills(commands=(party,)))
    assert await own.ask("start the garden party") == SkillReply("Party in the garden.", "command.party")
    assert "start the garden party" in own.skills.jsgf()
    assert "<own>" not in talk.skills.jsgf()


async def test_a_command_that_cannot_be_read_stops_the_start(talk: Talk) -> None:
    broken = Command(name="broken", sentences=("turn (on",), action=ReplyAction(text=""))
    with pytest.raises(ConfigError):
        Talk(talk.db, schema.Skills(commands=(broken,)))


async def test_live_keys_are_applied(talk: Talk, grammar: Grammar) -> None:
    # The other tests share an understander, so this one must not be theirs.
    own = Understander(grammar, load_language(), load_speech(), near_miss=0.8)
    talk = Talk(talk.db, understander=own)
    await talk.ask("hello")
    talk.skills.configure(schema.Skills(clock_24h=True, near_miss=1.0, ring_s=7.0))
    assert await talk.says("what time is it") == "It is fifteen oh five."
    assert await talk.says("what lime is it") == NEEDS_MODEL
    assert talk.timers.ring_s == 7.0
