"""The parts of `voxd.engine.VoiceEngine`: configuration, hearing, playing, recording, measuring."""
