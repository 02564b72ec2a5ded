"""What `control` needs to speak to callers and to understand them through Microsoft's SDK, which is imported on first use.

Facts: acs.md sections 1.4 (play sources, recognise options) and 1.5.
"""

from collections.abc import Sequence
from typing import Any

from shared.calls.control_parts import TONES
from shared.config.ivr import AudioFile, Choice, Collect, Prompt


def play_sources(prompts: Sequence[Prompt], voice: str) -> list[Any]:
    """Texts, spoken by one of Azure's voices (`en-US-JennyNeural`), and recordings."""
    from azure.communication.callautomation import FileSource, TextSource

    return [
        FileSource(prompt.audio)
        if isinstance(prompt, AudioFile)
        else TextSource(text=prompt, voice_name=voice)
        for prompt in prompts
    ]


def recognition(step: Collect | Choice, language: str) -> dict[str, Any]:
    """Keywords of `start_recognizing_media` for a question; `language` is what callers speak (`en-US`)."""
    from azure.communication.callautomation import RecognitionChoice

    if isinstance(step, Collect):
        return {
            "input_type": "dtmf",
            "initial_silence_timeout": step.silence_s,
            "dtmf_inter_tone_timeout": step.between_keys_s,
            "dtmf_max_tones_to_collect": step.max_digits + len(step.terminator),
            "dtmf_stop_tones": [TONES[step.terminator]] if step.terminator else None,
        }
    if not all(option.phrases for option in step.options.values()):
        return {
            "input_type": "dtmf",
            "initial_silence_timeout": step.silence_s,
            "dtmf_max_tones_to_collect": 1,
        }
    choices = [
        RecognitionChoice(label=name, phrases=option.phrases, tone=TONES[option.key] if option.key else None)
        for name, option in step.options.items()
    ]
    return {
        "input_type": "choices",
        "initial_silence_timeout": step.silence_s,
        "choices": choices,
        "speech_language": language,
    }
