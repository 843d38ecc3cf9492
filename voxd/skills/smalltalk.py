"""Answers that never change: greetings, and what this device says honestly it cannot do."""

FIXED: dict[str, str] = {
    "hello": "Hello.",
    "good_morning": "Good morning.",
    "good_night": "Good night.",
    "goodbye": "Goodbye.",
    "thanks": "You are welcome.",
    "who": "I am voxd, the voice of this device.",
    "where": "I am right here. I run on this device, without the cloud.",
    "yes": "Okay.",
    "no": "Okay.",
    "help": (
        "I can tell the time and the date, set timers, alarms and reminders, change the volume, "
        "and repeat what I said."
    ),
    "no_home": "Sorry, I can't control lights, doors or heating.",
    "no_weather": "Sorry, I can't know the weather. I am not connected to a weather service.",
    "no_news": "Sorry, I can't get the news. I work offline.",
    "no_music": "Sorry, I can't play music yet.",
    "no_list": "Sorry, I can't keep lists yet.",
    "no_call": "Sorry, I can't send messages or make calls.",
}
"""Reply by intent."""

JOKES: tuple[str, ...] = (
    "Why did the clock go to school? To learn how to tell time.",
    "I would tell you a joke about silence, but there is nothing to hear.",
    "What did the timer say to the egg? Your time is up.",
)
"""Told in turn."""
