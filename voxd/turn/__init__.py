"""One utterance and its reply: the machine that decides and the runner that acts."""
