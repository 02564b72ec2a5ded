"""Caller scripts: small YAML files that read like the call.

    from: "+14255550100"
    to: "+18005550000"
    steps:
      - listen
      - say: what is my account balance
      - listen
      - press: "42719#"
      - interrupt: {after_ms: 1200, say: stop}
      - expect_hang_up

Unless a step says otherwise with `within_s`, it may take 20 s.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml

from emulator.faults import parse_faults
from shared.errors import ConfigurationError, InvalidInput

WITHIN_S = 20.0
QUIET_MS = 500
ADDRESS = re.compile(r"\+[1-9][0-9]{6,14}|[48]:\S{1,200}|anonymous")
VOICE = "en-us+f3"


class _Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What all steps have: `within_s`, the time it may take (s)."""

    within_s: float = WITHIN_S


class Listen(_Step, frozen=True, tag="listen"):
    """Wait until the agent has spoken, all of it was heard, and it has been quiet for `quiet_ms`."""

    quiet_ms: int = QUIET_MS


class Say(_Step, frozen=True, tag="say"):
    """Say `text`."""

    text: str


class Press(_Step, frozen=True, tag="press"):
    """Press `keys` (`0`-`9`, `*`, `#`, `A`-`D`), 100 ms apart. Not shown by `repr`: keys may be an account number."""

    keys: str

    def __repr__(self) -> str:
        """Without the keys."""
        return f"Press({len(self.keys)} keys)"


class Interrupt(_Step, frozen=True, tag="interrupt"):
    """When the agent has been speaking for `after_ms`, say `say` over it, and measure how soon it falls silent."""

    say: str
    after_ms: int = 1000


class Wait(_Step, frozen=True, tag="wait_ms"):
    """Do nothing for `ms`."""

    ms: int


class Tone(_Step, frozen=True, tag="tone"):
    """Send a sine tone of `hz` for `seconds`."""

    hz: float
    seconds: float


class HangUp(_Step, frozen=True, tag="hang_up"):
    """Hang up."""


class ExpectHangUp(_Step, frozen=True, tag="expect_hang_up"):
    """Wait until the other side ends the call (hangs up or transfers it).

    With `or_hang_up` it is the caller who hangs up when that has not happened `within_s`.
    """

    or_hang_up: bool = False


class Play(_Step, frozen=True, tag="play"):
    """Play a WAV file (PCM, 16 bit; several channels are mixed) as if it were said; relative paths begin at the script's folder."""

    file: str


class MakeFault(_Step, frozen=True, tag="fault"):
    """From now on the call has these faults (see `Faults`): `fault: {media_fault: abort}`."""

    knobs: dict[str, Any]


type Step = Listen | Say | Press | Interrupt | Wait | Tone | Play | MakeFault | HangUp | ExpectHangUp

SHORT_FORMS: Mapping[str, tuple[type[_Step], str | None]] = {
    "listen": (Listen, None),
    "say": (Say, "text"),
    "press": (Press, "keys"),
    "interrupt": (Interrupt, None),
    "wait_ms": (Wait, "ms"),
    "tone": (Tone, None),
    "play": (Play, "file"),
    "fault": (MakeFault, None),
    "hang_up": (HangUp, None),
    "expect_hang_up": (ExpectHangUp, None),
}
"""The steps by name, with the field that a plain value fills (`say: hello`)."""

KEYS = frozenset("0123456789*#ABCD")


class CallerScript(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A scripted call.

    Attributes:
        caller: the caller's address: an E.164 number, a raw id, or `anonymous` (`from` in YAML).
        to: the dialled address.
        voice: of the synthesised caller.
        display_name: `callerDisplayName`.
        voip_headers: arrive as `customContext.voipHeaders`.
        gives_up_ms: hang up when nobody answers within this time (ms), or None to wait.
        limit_s: the whole script may take so long (s).
        faults: knobs of `Faults` for this call, over those of the emulator.
        line: `acs`, or `twilio` for a number of the emulated Twilio account.
        steps: from the answer on; after the last one the caller hangs up.
    """

    steps: tuple[Step, ...]
    caller: str = msgspec.field(name="from", default="+14255550100")
    to: str = "+18005550000"
    voice: str = VOICE
    display_name: str = ""
    voip_headers: dict[str, str] = {}
    gives_up_ms: int | None = None
    limit_s: float = 300.0
    faults: dict[str, Any] = {}
    line: Literal["acs", "twilio"] = "acs"

    def texts(self) -> tuple[str, ...]:
        """All that the caller will say."""
        said = (
            step.text if isinstance(step, Say) else step.say if isinstance(step, Interrupt) else ""
            for step in self.steps
        )
        return tuple(dict.fromkeys(filter(None, said)))

    def files(self) -> tuple[str, ...]:
        """All files that the caller will play."""
        return tuple(dict.fromkeys(step.file for step in self.steps if isinstance(step, Play)))


def step_name(step: Step) -> str:
    """The step's name as written in a script."""
    return next(name for name, (kind, _) in SHORT_FORMS.items() if isinstance(step, kind))


def parse_script(value: object) -> CallerScript:
    """A script from YAML or JSON data.

    Raises:
        InvalidInput: names the wrong place (`steps[3].press`).
    """
    if not isinstance(value, dict):
        raise InvalidInput("script", "a mapping with from, to and steps")
    steps = value.get("steps")
    if not isinstance(steps, list) or not steps:
        raise InvalidInput("steps", "a list with at least one step")
    rest = {key: item for key, item in value.items() if key != "steps"}
    parsed = tuple(_step(step, f"steps[{index}]") for index, step in enumerate(steps))
    script: CallerScript = _convert({**rest, "steps": []}, CallerScript, "script")
    for field, address in (("from", script.caller), ("to", script.to)):
        if not _is_address(address):
            raise InvalidInput(field, 'a number such as "+14255550100" or a raw id such as 8:acs:…')
    parse_faults(script.faults)
    script = msgspec.structs.replace(script, steps=parsed)
    return script


def _is_address(text: str) -> bool:
    return ADDRESS.fullmatch(text) is not None


def _step(value: object, where: str) -> Step:
    names = ", ".join(SHORT_FORMS)
    if isinstance(value, str):
        value = {value: None}
    if not isinstance(value, dict) or len(value) != 1:
        raise InvalidInput(where, f"one of {names}")
    name, content = next(iter(value.items()))
    if name not in SHORT_FORMS:
        raise InvalidInput(where, f"one of {names}")
    kind, plain = SHORT_FORMS[name]
    where = f"{where}.{name}"
    if content is None:
        content = {}
    elif kind is MakeFault:
        content = {"knobs": content}
    elif not isinstance(content, dict):
        if plain is None:
            raise InvalidInput(where, "no plain value but fields")
        content = {plain: content}
    step: Any = _convert(content, kind, where)
    _check(step, where)
    return step  # type: ignore[no-any-return]  # one of the classes in SHORT_FORMS


def _check(step: Step, where: str) -> None:
    if step.within_s <= 0:
        raise InvalidInput(f"{where}.within_s", "more than 0 s")
    if isinstance(step, Press) and (not step.keys or not KEYS.issuperset(step.keys.upper())):
        raise InvalidInput(where, 'keys 0-9, *, #, A-D as text: "42719#"')
    if isinstance(step, MakeFault):
        parse_faults(step.knobs)
    if isinstance(step, Tone) and not (50 <= step.hz <= 7000 and 0 < step.seconds <= 600):
        raise InvalidInput(where, "hz from 50 to 7000 and seconds up to 600")
    if isinstance(step, Say | Interrupt) and not (step.text if isinstance(step, Say) else step.say).strip():
        raise InvalidInput(where, "something to say")


def _convert(value: object, kind: type[Any], where: str) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `$")
        path = path.rstrip("`")
        raise InvalidInput(where if where != "script" or not path else path.lstrip("."), text) from None


def load_script(path: Path) -> CallerScript:
    """A script from a YAML file.

    Raises:
        ConfigurationError: there is no such file, it is no YAML, or a step is wrong; names file and place.
    """
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
        script = parse_script(value)
    except OSError as error:
        raise ConfigurationError(str(path), "a caller script", error.strerror) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(str(path), f"YAML: {error}") from None
    except InvalidInput as error:
        raise ConfigurationError(f"{path.name}: {error.field}", error.expected) from None
    return msgspec.structs.replace(script, steps=tuple(_at(step, path.parent) for step in script.steps))


def _at(step: Step, folder: Path) -> Step:
    """The step with its file's path made absolute."""
    if isinstance(step, Play):
        return msgspec.structs.replace(step, file=str((folder / step.file).resolve()))
    return step
