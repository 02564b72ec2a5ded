"""Was that speech, or a cough? Where a caller's speech has to be confirmed, the host listens as well as the agent."""

from media_host.barge_in import BargeIn
from media_host.caller_audio import CallerAudio
from shared.config.agent import Agent, ConversationalAgent


def second_opinion(config: Agent, audio: CallerAudio, barge_in: BargeIn) -> None:
    """Let the host's own ear listen for as long as the call lasts, if a prompt of this agent wants confirmation.

    Without it a model's report would do alone, and a model tells of the end of speech only after a pause of its own (500 ms):
    every cough would last long enough.
    """
    modes = (config.barge_in, config.greeting_barge_in) if isinstance(config, ConversationalAgent) else ()
    if "confirmed" not in modes:
        return
    from media_host.listening import EAR_HANG_MS, Onsets, voice_activity  # it decodes every frame

    if (vad := voice_activity(audio.codec)) is not None:
        vad.hang_ms = EAR_HANG_MS
        barge_in.has_ear(EAR_HANG_MS)
        audio.add(Onsets(vad, barge_in.ear_heard, barge_in.ear_silent).feed)
