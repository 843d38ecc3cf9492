"""The skill that controls the device itself: volume, silence, microphone, last reply, status."""

from collections.abc import Mapping

from voxd.skills import replies
from voxd.skills.contract import Handler, Skill, SkillContext, SkillReply, Slots
from voxd.skills.numbers import number_words

_STEP_PERCENT = 10
_DEFAULT_PERCENT = 50


class DeviceSkill(Skill):
    """Voice commands for the device."""

    def __init__(self, context: SkillContext) -> None:
        super().__init__(context)
        self._device = context.device
        self._volume_before = _DEFAULT_PERCENT

    def handlers(self) -> Mapping[str, Handler]:
        """Return what each intent of the skill does."""
        return {
            "stop": self._stop,
            "never_mind": self._never_mind,
            "volume_up": lambda slots: self._change_volume(slots.get("number", _STEP_PERCENT)),
            "volume_down": lambda slots: self._change_volume(-slots.get("number", _STEP_PERCENT)),
            "volume_set": self._set_volume,
            "volume_max": lambda slots: self._set_volume({"number": 100}),
            "volume_get": lambda slots: self._change_volume(0),
            "sound_off": self._sound_off,
            "sound_on": self._sound_on,
            "mic_mute": self._mute_microphone,
            "repeat": self._repeat,
            "status": self._status,
        }

    async def _stop(self, slots: Slots) -> SkillReply:
        self._device.stop()
        return SkillReply("")

    async def _never_mind(self, slots: Slots) -> SkillReply:
        has_silenced = self.context.timers.stop_ringing("voice") > 0
        return SkillReply("" if has_silenced else replies.OKAY)

    async def _change_volume(self, percent: int) -> SkillReply:
        level = self._device.volume()
        if percent:
            level = self._device.set_volume(level + percent)
        return _volume(level)

    async def _set_volume(self, slots: Slots) -> SkillReply:
        if slots["number"] > 100:
            return SkillReply("The volume goes from zero to one hundred percent.")
        return _volume(self._device.set_volume(slots["number"]))

    async def _sound_off(self, slots: Slots) -> SkillReply:
        self._volume_before = self._device.volume() or self._volume_before
        self._device.set_volume(0)
        return SkillReply("")

    async def _sound_on(self, slots: Slots) -> SkillReply:
        if self._device.volume() == 0:
            self._device.set_volume(self._volume_before)
        return _volume(self._device.volume())

    async def _mute_microphone(self, slots: Slots) -> SkillReply:
        self._device.mute()
        return SkillReply("")

    async def _repeat(self, slots: Slots) -> SkillReply:
        return SkillReply(self._device.last_reply() or "I have not said anything yet.")

    async def _status(self, slots: Slots) -> SkillReply:
        return SkillReply(self._device.summary())


def _volume(percent: int) -> SkillReply:
    return SkillReply(f"Volume {number_words(percent)} percent.")
