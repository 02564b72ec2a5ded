"""One examination: what is known of the subject so far, and how its parts are asked."""

import asyncio
import email.utils
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from cli.doctor.arm import Arm
from cli.doctor.finding import Finding, unknown
from cli.doctor.subject import Subject
from shared.config.document import Config
from shared.errors import PatchcordError
from shared.security.key_document import Document
from shared.security.secrets import Secrets
from shared.settings import FunctionAppSettings, is_loopback
from shared.store.entities import EntityStore

ANSWER_S = 8.0
BODY_LIMIT = 2 << 20  # bytes


class NoAnswer(PatchcordError):
    """Somebody did not answer; the text says why, as the end of a sentence."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def json(self) -> Any:
        """The body as JSON; None if it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    @property
    def code(self) -> str:
        """Our envelope's error code; "" without one."""
        body = self.json()
        error = body.get("error") if isinstance(body, dict) else None
        return str(error.get("code", "")) if isinstance(error, dict) else ""


@dataclass(slots=True)
class Examination:
    """What is known so far; the links are looked at in order, and each may add to it.

    Attributes:
        env: the subject's settings; of a deployment, what it really has.
        known_settings: as the function app would read them, with stand-ins for the wrong ones; None before the first link.
        wrong: settings that are wrong or not known, and why; what needs them is not checked.
        config: patchcord.yaml; None when it is wrong or not known.
        secrets: reads references of patchcord.yaml.
        store: None until it was found to work.
        signing: the private key document; None unless it could be read.
        no_token: scopes for which no token was to be had.
        clocks: how far others' clocks are ahead of ours, by who (s).
        acs_numbers: what the ACS resource says that it owns, number by number its calling capability; None if it does not say.
        api: the function app's OpenAPI document.
        hidden: variables that are set where we cannot read them.
        is_unread: the deployment's settings could not be read, so any variable may be set there.
        secret_values: further values that must not be shown.
    """

    subject: Subject
    http: aiohttp.ClientSession
    now: Callable[[], float]
    env: dict[str, str] = field(repr=False)
    secrets: Secrets
    known_settings: FunctionAppSettings | None = None
    wrong: dict[str, str] = field(default_factory=dict)
    config: Config | None = None
    store: EntityStore | None = None
    signing: Document | None = None
    credential: Any = None
    no_token: set[str] = field(default_factory=set)
    arm: Arm | None = None
    clocks: dict[str, float] = field(default_factory=dict)
    acs_numbers: Mapping[str, str] | None = None
    api: Any = None
    hidden: set[str] = field(default_factory=set)
    is_unread: bool = False
    secret_values: set[str] = field(default_factory=set, repr=False)

    @property
    def settings(self) -> FunctionAppSettings:
        """`known_settings`, for the links behind the first one.

        Raises:
            RuntimeError: the first link was not looked at.
        """
        if self.known_settings is None:
            raise RuntimeError("the link `settings` comes before all that need settings")
        return self.known_settings

    @property
    def is_public(self) -> bool:
        """Whether the function app's address is known, and is not on this machine."""
        if self.known_settings is None or "CALLBACK_EVENTS_URI" in self.wrong:
            return False
        return not is_loopback(urlsplit(self.settings.callback_base).hostname or "")

    def hides(self, reference: str) -> bool:
        """Whether a reference to a secret names a variable that cannot be read from here."""
        variable = reference.removeprefix("env:")
        return variable != reference and (
            variable in self.hidden or (self.is_unread and not self.env.get(variable))
        )

    def without(self, check: str, *names: str) -> Finding | None:
        """`check` cannot be made, because one of the settings `names` is wrong; None if they are fine."""
        for name in names:
            if name in self.wrong:
                return unknown(check, f"{name} {self.wrong[name]}")
        return None

    async def ask(
        self,
        method: str,
        url: str,
        *,
        who: str = "",
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
    ) -> Answer:
        """The answer of a service; redirects are not followed. `who` notes its clock under this name.

        Raises:
            NoAnswer: none came.
        """
        before = self.now()
        try:
            async with (
                asyncio.timeout(ANSWER_S),
                self.http.request(
                    method, URL(url, encoded=True), headers=headers, data=data, allow_redirects=False
                ) as response,
            ):
                body = await response.content.read(BODY_LIMIT)
                while len(body) < BODY_LIMIT and (
                    more := await response.content.read(BODY_LIMIT - len(body))
                ):
                    body += more
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise NoAnswer(why(error, url)) from None
        if who and (date := response.headers.get("Date")):
            self.note_clock(who, date, (before + self.now()) / 2)
        return Answer(response.status, body, response.headers)

    def note_clock(self, who: str, date: str, at: float) -> None:
        """Remember that `who` said `date` (RFC 9110) when it was `at` by our clock. The header counts whole seconds."""
        try:
            said = email.utils.parsedate_to_datetime(date).timestamp() + 0.5
        except (ValueError, OverflowError):
            return  # no date is no clock
        self.clocks[who] = said - at


def why(error: BaseException, url: str) -> str:
    """Why nobody answered at `url`, as the end of a sentence; of the address only host and port are shown."""
    where = urlsplit(url).netloc.rpartition("@")[2]
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return f"the certificate of {where} is not trusted"
        case aiohttp.ClientConnectorSSLError() | aiohttp.ClientSSLError():
            return f"{where} does not speak TLS as it should"
        case aiohttp.ClientConnectorDNSError():
            return f"nobody knows the name {where}"
        case aiohttp.ClientConnectorError():
            return f"nothing listens at {where}"
        case TimeoutError():
            return f"{where} did not answer within {ANSWER_S:g} s"
    return f"{where} broke off ({type(error).__name__})"
