"""From the words of a sentence to what is done: numbers, times, templates and certainty."""
