"""Every door of the function app: parse, call one method of `shared.application`, answer. No logic.

The heavy parts are imported on first use, so that indexing and cold starts are quick. HTTP functions authenticate their
callers themselves (API credentials, or a token and ACS's signature), so their key level is anonymous.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import azure.functions as func

if TYPE_CHECKING:
    from shared.application import Application
    from shared.http import Reply, Request

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

logger = logging.getLogger(__name__)

type _Handler = Callable[["Application", "Request"], Awaitable["Reply"]]


async def _application() -> "Application":
    from shared.application import shared_application

    return await shared_application()


async def _serve(
    req: func.HttpRequest, context: func.Context, handle: _Handler, *, is_health: bool = False
) -> func.HttpResponse:
    from shared.errors import PatchcordError
    from shared.http import blank_params, degraded, error_reply, request

    try:
        application = await _application()
    except PatchcordError as error:
        logger.error("the function app cannot start: %s", error.message)
        unready = error_reply(PatchcordError("not configured"), context.invocation_id)
        reply = degraded() if is_health else unready
    else:
        params = blank_params(req.url) | dict(req.params)
        query = urlsplit(req.url).query
        asked = request(context.invocation_id, dict(req.headers), req.get_body(), params, query)
        reply = await handle(application, asked)
    return func.HttpResponse(reply.body, status_code=reply.status, headers=dict(reply.headers))


def _event(event: func.EventGridEvent | func.CloudEvent) -> dict[str, object]:
    """The event as it came, in its own schema (the SDK has parsed it)."""
    if isinstance(event, func.CloudEvent):
        time = event.time.isoformat() if event.time else None
        return {
            "specversion": event.specversion,
            "id": event.id,
            "type": event.type,
            "subject": event.subject,
            "time": time,
            "data": event.get_json(),
        }
    time = event.event_time.isoformat() if event.event_time else None
    return {
        "id": event.id,
        "eventType": event.event_type,
        "subject": event.subject,
        "eventTime": time,
        "data": event.get_json(),
    }


@app.function_name("incoming_call")
@app.event_grid_trigger(arg_name="event")
async def incoming_call(event: func.EventGridEvent, context: func.Context) -> None:
    """`Microsoft.Communication.IncomingCall` from our own subscription: answer the call."""
    await (await _application()).incoming_call(_event(event), context.invocation_id)


@app.function_name("call_lifecycle")
@app.event_grid_trigger(arg_name="event")
async def call_lifecycle(event: func.EventGridEvent) -> None:
    """Calls started and ended, participants, recording files: reporting only."""
    await (await _application()).call_lifecycle(_event(event))


@app.function_name("rotate_signing_keys")
@app.event_grid_trigger(arg_name="event")
async def rotate_signing_keys(event: func.EventGridEvent) -> None:
    """`Microsoft.KeyVault.SecretNearExpiry`: new signing keys, with an overlap."""
    await (await _application()).rotate_signing_keys(_event(event))


@app.function_name("sweep")
@app.timer_trigger(arg_name="timer", schedule="*/15 * * * * *", run_on_startup=False)
async def sweep(timer: func.TimerRequest) -> None:
    """Every 15 s: calls that nobody looks after any more, expired rows."""
    await (await _application()).sweep()


async def _acs_events(
    req: func.HttpRequest, context: func.Context, *, compatible: bool = False
) -> func.HttpResponse:
    options = req.method == "OPTIONS"
    return await _serve(
        req, context, lambda app, asked: app.acs_events(asked, options=options, compatible=compatible)
    )


@app.function_name("acs_events")
@app.route("api/acs-events", methods=["POST", "OPTIONS"])
async def acs_events(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """A tenant's own Event Grid subscription posts here, with its API credentials in two headers."""
    return await _acs_events(req, context)


@app.function_name("acs_events_compatible")
@app.route("mg-genagent-acs/v1/acs-events", methods=["POST", "OPTIONS"])
async def acs_events_compatible(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """The same for existing subscriptions, whose headers have other names (requirements 3 and 4)."""
    return await _acs_events(req, context, compatible=True)


@app.function_name("acs_events_callbacks")
@app.route("api/callbacks", methods=["POST", "OPTIONS"])
async def acs_events_callbacks(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """The same under the name that set-up guides use (requirement 66); same credentials."""
    return await _acs_events(req, context)


@app.function_name("acs_events_incoming")
@app.route("incoming", methods=["POST", "OPTIONS"])
async def acs_events_incoming(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """The same under the name that articles use (requirement 85); same credentials."""
    return await _acs_events(req, context)


@app.function_name("create_call")
@app.route("api/v1/calls", methods=["POST"])
async def create_call(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """A tenant has us call somebody."""
    return await _serve(req, context, lambda app, asked: app.create_call(asked))


@app.function_name("create_call_transfer")
@app.route("api/v1/call-transfers", methods=["POST"])
async def create_call_transfer(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """A tenant lends us a caller."""
    return await _serve(req, context, lambda app, asked: app.create_call_transfer(asked))


@app.function_name("get_call_transfer")
@app.route("api/v1/call-transfers/{id}", methods=["GET"])
async def get_call_transfer(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """What has become of a transfer."""
    transfer_id = req.route_params.get("id", "")
    return await _serve(req, context, lambda app, asked: app.get_call_transfer(transfer_id, asked))


@app.function_name("create_call_transfer_compatible")
@app.route("generativeagent/v1/call-transfers", methods=["POST"])
async def create_call_transfer_compatible(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """The same under the path and header names of an existing client (requirement 113)."""
    return await _serve(req, context, lambda app, asked: app.create_call_transfer(asked, compatible=True))


@app.function_name("get_call_transfer_compatible")
@app.route("generativeagent/v1/call-transfers/{id}", methods=["GET"])
async def get_call_transfer_compatible(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """The same under the path and header names of an existing client (requirement 129)."""
    transfer_id = req.route_params.get("id", "")
    return await _serve(
        req, context, lambda app, asked: app.get_call_transfer(transfer_id, asked, compatible=True)
    )


@app.function_name("twilio_media_stream_url")
@app.route("api/v1/twilio-media-stream-url", methods=["GET"])
async def twilio_media_stream_url(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """A tenant gets an address for its Twilio streams."""
    return await _serve(req, context, lambda app, asked: app.twilio_media_stream_url(asked))


@app.function_name("twilio_media_stream_url_compatible")
@app.route("mg-genagent/v1/twilio-media-stream-url", methods=["GET"])
async def twilio_media_stream_url_compatible(
    req: func.HttpRequest, context: func.Context
) -> func.HttpResponse:
    """The same under the path and header names of an existing client (requirement 139)."""
    return await _serve(req, context, lambda app, asked: app.twilio_media_stream_url(asked, compatible=True))


@app.function_name("twilio_engage")
@app.route("api/twilio/engage", methods=["POST"])
async def twilio_engage(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """A call comes in at Twilio: TwiML that streams it to us."""
    return await _serve(req, context, lambda app, asked: app.twilio_engage(asked))


@app.function_name("twilio_call_complete")
@app.route("api/twilio/call-complete", methods=["POST"])
async def twilio_call_complete(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """The stream of a Twilio call is over: TwiML for what comes next."""
    return await _serve(req, context, lambda app, asked: app.twilio_call_complete(asked))


@app.function_name("twilio_transfer_state")
@app.route("api/twilio/transfer-state", methods=["POST"])
async def twilio_transfer_state(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """What a Twilio call has come to, as JSON for a Studio flow."""
    return await _serve(req, context, lambda app, asked: app.twilio_transfer_state(asked))


@app.function_name("twilio_stream_status")
@app.route("api/twilio/stream-status", methods=["POST"])
async def twilio_stream_status(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """Twilio reports that a stream has begun, ended or failed."""
    return await _serve(req, context, lambda app, asked: app.twilio_stream_status(asked))


@app.function_name("call_events")
@app.route("api/call-events/{token}", methods=["POST"])
async def call_events(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """ACS's callbacks: the token in the path and ACS's signature let them in."""
    token = req.route_params.get("token", "")
    return await _serve(req, context, lambda app, asked: app.call_events(token, asked))


@app.function_name("list_calls")
@app.route("api/calls", methods=["GET"])
async def list_calls(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """The tenant's newest calls (`?limit=1..500`)."""
    return await _serve(req, context, lambda app, asked: app.list_calls(asked))


@app.function_name("get_call")
@app.route("api/calls/{id}", methods=["GET"])
async def get_call(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """One call of the tenant, with timeline and transcript."""
    call_id = req.route_params.get("id", "")
    return await _serve(req, context, lambda app, asked: app.get_call(call_id, asked))


@app.function_name("health")
@app.route("api/health", methods=["GET"])
async def health(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """`ok` or `degraded`."""
    return await _serve(req, context, lambda app, asked: app.health(), is_health=True)


@app.function_name("openapi")
@app.route("api/openapi.json", methods=["GET"])
async def openapi(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """What all these doors take and answer, as OpenAPI 3.1; for everybody."""
    return await _serve(req, context, lambda app, asked: app.openapi())


async def _elsewhere(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """Other methods and other paths: 405 and 404 in our envelope. The host itself would answer 404 without a word."""
    path = urlsplit(req.url).path
    return await _serve(req, context, lambda app, asked: app.elsewhere(path, asked))


# Never a catch-all at the root: it would hide the host's own /runtime and /admin.
for _name, _root in (
    ("elsewhere", "api"),
    ("elsewhere_compatible_transfers", "generativeagent"),
    ("elsewhere_compatible_events", "mg-genagent-acs"),
    ("elsewhere_compatible_twilio", "mg-genagent"),
    ("elsewhere_incoming", "incoming"),
):
    app.function_name(_name)(app.route(f"{_root}/{{*path}}")(_elsewhere))
