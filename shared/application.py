"""The function app's composition root: settings in, handlers out.

`function_app.py` opens it on first use (one per process) and calls one method per function. Nothing here talks to a
network before it is needed, so that a cold start costs little.
"""

import asyncio
import logging
import os
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from shared.calls.answering import Answering
from shared.calls.callbacks import Callbacks
from shared.calls.controls import CallControls
from shared.calls.grid_door import COMPATIBLE_HEADERS, GridDoor, authenticate
from shared.calls.lifecycle import report
from shared.calls.outbound import Outbound
from shared.calls.outbound_door import OutboundApi
from shared.calls.poison import put_aside
from shared.calls.recovery import Recovery
from shared.calls.repository import Calls
from shared.calls.sweeping import Sweeper
from shared.config.document import Config, load_config
from shared.conversations.conversations import Conversations
from shared.errors import InvalidInput, MethodNotAllowed, NotFound, PatchcordError
from shared.http import Reply, Request, answer, degraded, json_reply
from shared.ivr.runner import IvrRunner
from shared.publishing.outbox import Outbox
from shared.publishing.publisher import Publisher
from shared.publishing.topic import Topic
from shared.security.acs_signature import AcsSignature
from shared.security.audiences import Audience
from shared.security.jwks import http_fetch
from shared.security.keyring import KeyRing, KeySource, ensure_keys, open_key_source, rotate_keys
from shared.security.secrets import Secrets
from shared.security.tenants import Scope, TenantDoor
from shared.security.tokens import TokenMinter, TokenVerifier
from shared.settings import FunctionAppSettings, function_app_settings
from shared.store import open_store
from shared.store.entities import EntityStore
from shared.telemetry import protect_logging
from shared.transfers.api import BODY_LIMIT
from shared.transfers.desk import TransferDesk
from shared.transfers.door import TransferApi
from shared.transfers.numbers import NumberPool
from shared.transfers.transfers import Transfers
from shared.wire.acs_events import CALLBACK_LIMIT, GRID_LIMIT, INCOMING_CALL, grid_event_from_dict

if TYPE_CHECKING:
    import aiohttp

logger = logging.getLogger(__name__)

NO_BODY = 0
LIST_DEFAULT, LIST_MOST = 50, 500

_NEAR_EXPIRY = "Microsoft.KeyVault.SecretNearExpiry"


@dataclass(slots=True)
class Application:
    """Everything a function needs, wired once."""

    settings: FunctionAppSettings
    config: Config
    store: EntityStore
    calls: Calls
    control: CallControls
    secrets: Secrets
    door: TenantDoor
    answering: Answering
    transfers: TransferApi
    outbound: OutboundApi
    grid: GridDoor
    callbacks: Callbacks
    sweeper: Sweeper
    publisher: Publisher | None
    keys: KeyRing
    signing: KeySource
    verification: KeySource
    session: "_Session"
    now: Callable[[], float]
    _openapi: list[Reply] = field(default_factory=list)

    @classmethod
    async def open(
        cls, env: Mapping[str, str] = os.environ, *, now: Callable[[], float] = time.time
    ) -> "Application":
        """Read the settings and patchcord.yaml, and wire the parts. Key files of a local set-up are made if absent.

        Raises:
            ConfigurationError: names what is missing or wrong.
            KeysUnavailable: the local key files cannot be written.
        """
        protect_logging()
        settings = function_app_settings(env)
        # Ours only: what the platform and libraries log is for host.json to say.
        logging.getLogger("shared").setLevel(settings.log_level)
        config = load_config(settings.config)
        store = open_store(settings.store, settings.managed_identity)
        signing = open_key_source(settings.signing_keys, settings.managed_identity)
        verification = open_key_source(settings.verification_keys, settings.managed_identity)
        if settings.signing_keys.startswith("file:"):
            await ensure_keys(signing, verification, now())
        keys = KeyRing(signing, now)
        session = _Session()
        outbox = Outbox(store, now) if settings.events_topic else None
        calls = Calls(store, now, outbox)
        secrets = Secrets(settings.managed_identity, now)
        control = CallControls.from_config(settings.acs, settings.managed_identity, config.tenants, secrets)
        door = TenantDoor(store, settings.environment, now)
        pool = NumberPool(store, now)
        transfers = {
            tenant: Transfers(store, pool, calls, now, lifetime_s=entry.lifetime_s)
            for tenant, entry in config.call_transfers.items()
        }
        desk = TransferDesk(config.call_transfers, pool, transfers)
        conversations = Conversations(store, calls, now)
        minter = TokenMinter(keys, now)
        outbound = Outbound(settings, config, store, calls, control, minter, conversations, now)
        recovery = Recovery(store, calls, control, now)
        ivr = IvrRunner(config.ivrs, store, calls, control, conversations, recovery, now)
        answering = Answering(settings, config, store, calls, control, minter, desk, conversations, ivr, now)
        signature = AcsSignature(settings.acs_jwt, session.fetch, now, own=config.acs_resources)
        publisher = None if outbox is None else _publisher(settings, secrets, outbox, calls, transfers, now)
        return cls(
            settings=settings,
            config=config,
            store=store,
            calls=calls,
            control=control,
            secrets=secrets,
            door=door,
            answering=answering,
            transfers=TransferApi(config.call_transfers, transfers, now),
            outbound=OutboundApi(outbound),
            grid=GridDoor(answering, door),
            callbacks=Callbacks(store, calls, TokenVerifier(keys, now), signature, recovery, ivr, now),
            sweeper=Sweeper(store, config, calls, recovery, ivr, now),
            publisher=publisher,
            keys=keys,
            signing=signing,
            verification=verification,
            session=session,
            now=now,
        )

    async def close(self) -> None:
        """Give back connections; idempotent."""
        if self.publisher is not None:
            await self.publisher.close()
        await self.control.close()
        await self.secrets.close()
        await self.session.close()
        await self.verification.close()
        await self.keys.close()
        await self.store.close()

    async def incoming_call(self, event: Mapping[str, object], request_id: str) -> None:
        """One event of our own Event Grid subscription. Returns for every event that will not become better.

        Raises:
            PatchcordError: a retryable one only, so that Event Grid delivers again.
        """
        event_id, event_type = str(event.get("id")), str(event.get("eventType") or event.get("type"))
        reason, detail = "internal", ""
        try:
            parsed = grid_event_from_dict(event)
            if parsed.type == INCOMING_CALL:
                await self.answering.incoming(parsed, tenant=None, request_id=request_id)
            else:
                report(parsed)
            return
        except InvalidInput as error:
            reason, detail = "malformed", error.message
        except PatchcordError as error:
            if error.retryable:
                raise
            reason, detail = error.code, error.message
        except (
            Exception
        ) as error:  # a mistake of ours must not stop Event Grid's later deliveries (design.md, decision 6)
            logger.exception("event %s failed", request_id)
            detail = type(error).__name__
        await put_aside(
            self.store,
            event_id=event_id,
            event_type=event_type,
            reason=reason,
            detail=detail,
            at=self.now(),
        )

    async def call_lifecycle(self, event: Mapping[str, object]) -> None:
        """An event that is only reported; a malformed one is, too."""
        try:
            report(grid_event_from_dict(event))
        except InvalidInput as error:
            logger.warning("lifecycle event: %s", error.message)

    async def rotate_signing_keys(self, event: Mapping[str, object]) -> bool:
        """Key Vault says that a secret nears its expiry: rotate, if it is one of ours; whether new keys were made.

        Raises:
            KeysUnavailable: delivered again, it may go through.
        """
        try:
            parsed = grid_event_from_dict(event)
        except InvalidInput as error:
            logger.warning("key vault event: %s", error.message)
            return False
        if parsed.type != _NEAR_EXPIRY or not self._is_ours(parsed.data):
            return False
        return await rotate_keys(self.signing, self.verification, self.now())

    def _is_ours(self, data: Mapping[str, object]) -> bool:
        vault, name = str(data.get("VaultName")).lower(), str(data.get("ObjectName"))
        for address in (self.settings.signing_keys, self.settings.verification_keys):
            parts = urlsplit(address)
            if parts.path == f"/secrets/{name}" and (parts.hostname or "").split(".")[0] == vault:
                return True
        return False

    async def sweep(self) -> None:
        """One round of the sweep, and of what is still to be published.

        Raises:
            StoreUnavailable: the next round is 15 s away.
        """
        done = await self.sweeper.sweep()
        if done.total() > done["fine"]:
            logger.info("sweep: %s", ", ".join(f"{name} {count}" for name, count in sorted(done.items())))
        if self.publisher is not None and (told := await self.publisher.sweep()):
            logger.info("sweep: published %d events that were left", told)

    async def acs_events(self, asked: Request, *, options: bool, compatible: bool = False) -> Reply:
        """A tenant's own Event Grid subscription posts here; `options` is CloudEvents' handshake."""
        handle = self.grid.handshake if options else self.grid.events
        return await self._answer(
            asked, GRID_LIMIT, lambda asked: handle(asked, compatible=compatible), compatible=compatible
        )

    async def call_events(self, token: str, asked: Request) -> Reply:
        """ACS's callbacks."""
        return await answer(asked, CALLBACK_LIMIT, lambda asked: self.callbacks.receive(token, asked))

    async def list_calls(self, asked: Request) -> Reply:
        """The newest calls of the tenant whose credentials come with the request."""
        return await answer(asked, NO_BODY, self._list_calls)

    async def _list_calls(self, asked: Request) -> Reply:
        tenant = await self._authenticate(asked, Scope.CALLS_READ)
        wanted = asked.params.get("limit", str(LIST_DEFAULT))
        if not re.fullmatch(r"[0-9]{1,3}", wanted) or not 1 <= int(wanted) <= LIST_MOST:
            raise InvalidInput("limit", f"a whole number from 1 to {LIST_MOST}")
        records = await self.calls.list(tenant, int(wanted))
        return json_reply({"calls": [record.to_summary() for record in records]})

    async def get_call(self, call_id: str, asked: Request) -> Reply:
        """One call of the tenant; another tenant's is answered like one that does not exist."""

        async def handle(asked: Request) -> Reply:
            record = await self.calls.get(await self._authenticate(asked, Scope.CALLS_READ), call_id)
            if record is None:
                raise NotFound("no such call")
            return json_reply(record.to_json())

        return await answer(asked, NO_BODY, handle)

    async def create_call(self, asked: Request) -> Reply:
        """A tenant has us call somebody."""

        async def handle(asked: Request) -> Reply:
            tenant = await self._authenticate(asked, Scope.CALLS_CREATE)
            return await self.outbound.create(tenant, asked)

        return await answer(asked, BODY_LIMIT, handle)

    async def create_call_transfer(self, asked: Request, *, compatible: bool = False) -> Reply:
        """A tenant lends us a caller."""

        async def handle(asked: Request) -> Reply:
            tenant = await self._authenticate(asked, Scope.CALL_TRANSFERS, compatible=compatible)
            return await self.transfers.create(tenant, asked, compatible=compatible)

        return await self._answer(asked, BODY_LIMIT, handle, compatible=compatible)

    async def get_call_transfer(self, transfer_id: str, asked: Request, *, compatible: bool = False) -> Reply:
        """A tenant's transfer; another tenant's is answered like one that does not exist."""

        async def handle(asked: Request) -> Reply:
            tenant = await self._authenticate(asked, Scope.CALL_TRANSFERS, compatible=compatible)
            return await self.transfers.get(tenant, transfer_id)

        return await self._answer(asked, NO_BODY, handle, compatible=compatible)

    async def _answer(
        self, asked: Request, limit: int, handle: Callable[[Request], Awaitable[Reply]], *, compatible: bool
    ) -> Reply:
        """`answer`, unless the path is an existing client's and this system serves none of those."""
        if compatible and not self.settings.compatible_api:
            handle = _nothing
        return await answer(asked, limit, handle)

    async def _authenticate(self, asked: Request, scope: Scope, *, compatible: bool = False) -> str:
        names = (self.settings.api_id_header, self.settings.api_secret_header)
        if compatible and asked.header(names[0]) is None:
            names = COMPATIBLE_HEADERS
        return await authenticate(self.door, asked, names, scope)

    async def openapi(self) -> Reply:
        """The OpenAPI document, for everybody; made once."""
        from shared.openapi.document import document

        settings = self.settings
        if not self._openapi:
            self._openapi.append(
                json_reply(
                    document(
                        server=settings.callback_base,
                        id_header=settings.api_id_header,
                        secret_header=settings.api_secret_header,
                        compatible=settings.compatible_api,
                    ),
                    headers={"cache-control": "public, max-age=3600"},
                )
            )
        return self._openapi[0]

    async def elsewhere(self, path: str, asked: Request) -> Reply:
        """No door: another method of one that there is (405), or none at all (404), in our envelope."""
        from shared.openapi.document import methods
        from shared.openapi.operations import paths

        async def handle(asked: Request) -> Reply:
            allowed = methods(path, paths(compatible=self.settings.compatible_api))
            if allowed:
                raise MethodNotAllowed(allowed)
            return await _nothing(asked)

        return await answer(asked, GRID_LIMIT, handle)

    async def health(self) -> Reply:
        """Whether the store and the keys can be read: `ok` or `degraded`, and no word more."""
        try:
            await self.store.get("calls", "health", "health")
            await self.keys.signing_key(Audience.ACS_CALLBACK)
        except PatchcordError as error:
            logger.warning("health: %s", error.message)
            return degraded()
        return json_reply({"status": "ok"})


async def _nothing(_asked: Request) -> Reply:
    raise NotFound("no such path")


def _publisher(
    settings: FunctionAppSettings,
    secrets: Secrets,
    outbox: Outbox,
    calls: Calls,
    transfers: Mapping[str, Transfers],
    now: Callable[[], float],
) -> Publisher:
    topic = Topic(settings.events_topic, settings.events_key, secrets, settings.managed_identity)
    publisher = Publisher(outbox, topic, calls, transfers, settings.environment, now)
    outbox.added = publisher.soon
    return publisher


class _Session:
    """One aiohttp session, opened on first use (in the loop that uses it)."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self, address: str) -> str:
        """The text at `address`."""
        if self._session is None:
            import aiohttp

            self._session = aiohttp.ClientSession()
        return await http_fetch(self._session)(address)

    async def close(self) -> None:
        """Close it; idempotent."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()


_lock = asyncio.Lock()
_shared: list[Application] = []
_closing: list[asyncio.Task[None]] = []


async def shared_application() -> Application:
    """The process's application, opened once; after a failure the next call tries again.

    Raises:
        ConfigurationError: names what is missing or wrong.
    """
    async with _lock:
        if not _shared:
            application = await Application.open()
            _shared.append(application)
            _closing.append(asyncio.create_task(_close_at_the_end(application)))
        return _shared[0]


async def _close_at_the_end(application: Application) -> None:
    """A worker has no shutdown hook (functions.md 3.3), but the end of its loop cancels what still runs: this task."""
    try:
        await asyncio.Event().wait()
    finally:
        await application.close()
