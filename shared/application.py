"""The function app's composition root: settings in, handlers out.

`function_app.py` opens it on first use (one per process) and calls one method per function. Nothing here talks to a
network before it is needed, so that a cold start costs little.
"""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from shared.calls.answering import Answering
from shared.calls.callbacks import Callbacks
from shared.calls.controls import CallControls
from shared.calls.grid_door import GridDoor
from shared.calls.grid_trigger import GridTrigger
from shared.calls.lifecycle import report
from shared.calls.moving import Moves
from shared.calls.outbound import Outbound
from shared.calls.outbound_door import OutboundApi
from shared.calls.queueing import WaitingLine
from shared.calls.records_door import RecordsApi
from shared.calls.recovery import Recovery
from shared.calls.repository import Calls
from shared.calls.sweeping import Sweeper
from shared.config.document import Config, load_config
from shared.conversations.conversations import Conversations
from shared.doors import HttpDoors
from shared.errors import InvalidInput, PatchcordError
from shared.http import Reply, degraded, json_reply
from shared.ivr.runner import IvrRunner
from shared.openapi.described import Described
from shared.publishing.outbox import Outbox
from shared.publishing.publisher import Publisher
from shared.publishing.topic import Topic
from shared.security.acs_signature import AcsSignature
from shared.security.audiences import Audience
from shared.security.jwks import JwksFetcher
from shared.security.keyring import KeyRing, KeySource, ensure_keys, open_key_source, rotate_keys
from shared.security.near_expiry import is_near_expiry
from shared.security.secrets import Secrets
from shared.security.tenants import TenantDoor
from shared.security.tokens import TokenMinter, TokenVerifier
from shared.settings import FunctionAppSettings, function_app_settings
from shared.store import open_store
from shared.store.entities import EntityStore
from shared.telemetry import protect_logging
from shared.telemetry.logs import write_json
from shared.telemetry.setup import FUNCTIONS, Running, start
from shared.transfers.desk import TransferDesk
from shared.transfers.door import TransferApi
from shared.transfers.numbers import NumberPool
from shared.transfers.transfers import LIFETIME_S, Transfers
from shared.twilio.door import TwilioDoor
from shared.twilio.engagements import Engagements
from shared.twilio.settle import Settling
from shared.twilio.signed import Signatures
from shared.wire.acs_events import grid_event_from_dict

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Application(HttpDoors):
    """Everything a function needs, wired once."""

    config: Config
    store: EntityStore
    calls: Calls
    control: CallControls
    secrets: Secrets
    answering: Answering
    trigger: GridTrigger
    sweeper: Sweeper
    publisher: Publisher | None
    keys: KeyRing
    signing: KeySource
    verification: KeySource
    fetcher: JwksFetcher
    telemetry: Running | None
    now: Callable[[], float]

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
        if settings.telemetry.log_format == "json":
            write_json()
        config = load_config(settings.config)
        store = open_store(settings.store, settings.managed_identity)
        signing = open_key_source(settings.signing_keys, settings.managed_identity)
        verification = open_key_source(settings.verification_keys, settings.managed_identity)
        if settings.signing_keys.startswith("file:"):
            await ensure_keys(signing, verification, now())
        keys = KeyRing(signing, now)
        fetcher = JwksFetcher()
        outbox = Outbox(store, now) if settings.events_topic else None
        calls = Calls(store, now, outbox)
        secrets = Secrets(settings.managed_identity, now)
        control = CallControls.from_config(settings.acs, settings.managed_identity, config.tenants, secrets)
        door = TenantDoor(store, settings.environment, now)
        pool = NumberPool(store, now)
        transfers = {
            tenant: Transfers(
                store,
                pool,
                calls,
                now,
                lifetime_s=config.call_transfers[tenant].lifetime_s
                if tenant in config.call_transfers
                else LIFETIME_S,
            )
            for tenant in {*config.call_transfers, *config.twilio}
        }
        desk = TransferDesk(config.call_transfers, pool, transfers)
        conversations = Conversations(store, calls, now)
        minter = TokenMinter(keys, now)
        outbound = Outbound(settings, config, store, calls, control, minter, conversations, now)
        moves = Moves(config, store, calls, now)
        waiting = WaitingLine(config, store, calls, control, settings.max_concurrent_calls, now)
        recovery = Recovery(config, calls, control, moves, now)
        ivr = IvrRunner(config.ivrs, store, calls, control, conversations, recovery, now)
        answering = Answering(
            settings, config, store, calls, control, minter, desk, conversations, ivr, moves, waiting, now
        )
        signatures = Signatures(settings.callback_base, config, secrets)
        settling = Settling(store, calls, transfers, Engagements(store, now), now)
        twilio = TwilioDoor(settings, config, store, calls, minter, signatures, settling, now)
        signature = AcsSignature(settings.acs_jwt, fetcher.fetch, now, own=config.acs_resources)
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
            twilio=twilio,
            grid=GridDoor(answering, door),
            trigger=GridTrigger(store, answering, now),
            callbacks=Callbacks(
                store, calls, TokenVerifier(keys, now), signature, recovery, ivr, waiting, now
            ),
            sweeper=Sweeper(store, config, calls, recovery, ivr, moves, waiting, now),
            publisher=publisher,
            keys=keys,
            signing=signing,
            verification=verification,
            fetcher=fetcher,
            telemetry=start(
                settings.telemetry,
                service=FUNCTIONS,
                instance=_instance(env),
                environment=settings.environment,
            ),
            records=RecordsApi(calls),
            described=Described(settings),
            now=now,
        )

    async def close(self) -> None:
        """Give back connections; idempotent."""
        if self.publisher is not None:
            await self.publisher.close()
        await self.control.close()
        await self.secrets.close()
        await self.fetcher.close()
        await self.verification.close()
        await self.keys.close()
        await self.store.close()
        if self.telemetry is not None:
            await self.telemetry.close()

    async def incoming_call(self, event: Mapping[str, object], request_id: str) -> None:
        """One event of our own Event Grid subscription. Returns for every event that will not become better.

        Raises:
            PatchcordError: a retryable one only, so that Event Grid delivers again.
        """
        await self.trigger.incoming(event, request_id)

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
        ours = (self.settings.signing_keys, self.settings.verification_keys)
        if not is_near_expiry(parsed, ours):
            return False
        return await rotate_keys(self.signing, self.verification, self.now())

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

    async def health(self) -> Reply:
        """Whether the store and the keys can be read: `ok` or `degraded`, and no word more."""
        try:
            await self.store.get("calls", "health", "health")
            await self.keys.signing_key(Audience.ACS_CALLBACK)
        except PatchcordError as error:
            logger.warning("health: %s", error.message)
            return degraded()
        return json_reply({"status": "ok"})


def _instance(env: Mapping[str, str]) -> str:
    """This process among others: by the platform's name of its instance, else by the machine's."""
    return f"{env.get('WEBSITE_INSTANCE_ID') or socket.gethostname()}-{os.getpid()}"


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
