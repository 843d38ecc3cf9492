"""The skill that controls the device itself: volume, silence, microphone, last reply, status."""

from collections.abc import Mapping

from voxd.skills.contract import Handler, Skill, SkillContext, SkillReply, Slots
from voxd.skills.replies import say
from voxd.skills.understanding.numbers import number_words

_STEP_PERCENT = 10
_BIG_STEP_PERCENT = 30
_QUIETEST_PERCENT = 10
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
            **self._volume_handlers(),
            "volume_get": lambda slots: self._change_volume(0),
            "sound_off": self._sound_off,
            "sound_on": self._sound_on,
            "mic_mute": self._mute_microphone,
            "mic_on": self._open_microphone,
            "mic_test": self._microphone,
            "repeat": self._repeat,
            "status": self._status,
        }

    def _volume_handlers(self) -> Mapping[str, Handler]:
        return {
            "volume_up": lambda slots: self._change_volume(_STEP_PERCENT),
            "volume_up_much": lambda slots: self._change_volume(_BIG_STEP_PERCENT),
            "volume_up_by": lambda slots: self._change_volume(slots["number"]),
            "volume_up_steps": lambda slots: self._change_volume(_STEP_PERCENT * slots["number"]),
            "volume_down": lambda slots: self._change_volume(-_STEP_PERCENT),
            "volume_down_much": lambda slots: self._change_volume(-_BIG_STEP_PERCENT),
            "volume_down_by": lambda slots: self._change_volume(-slots["number"]),
            "volume_down_steps": lambda slots: self._change_volume(-_STEP_PERCENT * slots["number"]),
            "volume_set": lambda slots: self._set_volume(slots["number"]),
            "volume_half": lambda slots: self._set_volume(50),
            "volume_halve": lambda slots: self._set_volume(self._device.volume() // 2),
            "volume_double": lambda slots: self._set_volume(min(2 * self._device.volume(), 100)),
            "volume_max": lambda slots: self._set_volume(100),
            # The quietest that can still be heard: the answer to it must not be silence.
            "volume_min": lambda slots: self._set_volume(_QUIETEST_PERCENT),
        }

    async def _stop(self, slots: Slots) -> SkillReply:
        self._device.stop()
        return SkillReply("")

    async def _never_mind(self, slots: Slots) -> SkillReply:
        has_silenced = self.context.timers.stop_ringing("voice") > 0
        return SkillReply("" if has_silenced else say("okay"))

    async def _change_volume(self, percent: int) -> SkillReply:
        if not percent:
            return _volume(self._device.volume())
        return await self._set_volume(max(0, min(100, self._device.volume() + percent)))

    async def _set_volume(self, percent: int) -> SkillReply:
        if percent > 100:
            return SkillReply(say("volume_range"))
        before = self._device.volume()
        reply = _volume(await self._device.set_volume(percent))
        self._remember(before)
        return reply

    def _remember(self, before: int) -> None:
        async def restore() -> None:
            await self._device.set_volume(before)

        self.context.recent.remember(restore)

    async def _sound_off(self, slots: Slots) -> SkillReply:
        before = self._device.volume()
        await self._device.set_volume(0)
        self._volume_before = before or self._volume_before
        self._remember(before)
        return SkillReply("")

    async def _sound_on(self, slots: Slots) -> SkillReply:
        if self._device.volume() == 0:
            await self._device.set_volume(self._volume_before)
            self._remember(0)
        return _volume(self._device.volume())

    async def _mute_microphone(self, slots: Slots) -> SkillReply:
        return SkillReply("" if await self._device.mute() else say("microphone_off_for_now"))

    async def _open_microphone(self, slots: Slots) -> SkillReply:
        # "Unmute yourself" means the sound when that is what is muted.
        if self._device.volume() == 0 and not self._device.is_muted():
            return await self._sound_on(slots)
        return await self._microphone(slots)

    async def _microphone(self, slots: Slots) -> SkillReply:
        # A sentence never opens the microphone: a mute stays until the button or its owner lifts it.
        return SkillReply(say("microphone_off" if self._device.is_muted() else "microphone_on"))

    async def _repeat(self, slots: Slots) -> SkillReply:
        return SkillReply(self._device.last_reply() or say("nothing_said"))

    async def _status(self, slots: Slots) -> SkillReply:
        return SkillReply(self._device.summary())


def _volume(percent: int) -> SkillReply:
    return SkillReply(say("volume", percent=number_words(percent)))
