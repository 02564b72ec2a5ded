"""What is valid Bicep and still wrong for Patchcord: secrets, roles, delivery of events, scaling."""

import re
from collections.abc import Iterator

from tests.infra.checker.reading import Declared, Finding, Project, Source, entry, literal, named, text, walk
from tests.infra.checker.roles import ASSIGNED, KNOWN
from tests.infra.checker.values import Node, elements

SECRET = re.compile(
    r"(?i)(secret|password|apikey|accesskey|connectionstring|credential)$|^apiId$|^operatorSettings$"
)
"""Names of params that hold a secret; the name of a secret ends in Name."""
SECRET_MEMBER = re.compile(
    r"(?i)^(list\w+|connectionstring|instrumentationkey|\w*(password|sharedkey|primarykey))$"
)
GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

MUST = {
    ("Microsoft.App/containerApps", "properties.configuration.ingress.allowInsecure"): "false",
    ("Microsoft.App/containerApps", "properties.configuration.ingress.external"): "true",
    ("Microsoft.App/containerApps", "properties.configuration.ingress.stickySessions.affinity"): "'none'",
    ("Microsoft.App/containerApps", "properties.configuration.ingress.transport"): "'http'",
    ("Microsoft.CognitiveServices/accounts", "properties.disableLocalAuth"): "true",
    ("Microsoft.Communication/communicationServices", "properties.disableLocalAuth"): "true",
    ("Microsoft.ContainerRegistry/registries", "properties.adminUserEnabled"): "false",
    ("Microsoft.EventGrid/topics", "properties.disableLocalAuth"): "true",
    ("Microsoft.EventGrid/topics", "properties.inputSchema"): "'CloudEventSchemaV1_0'",
    ("Microsoft.Insights/components", "properties.DisableLocalAuth"): "true",
    ("Microsoft.KeyVault/vaults", "properties.enableRbacAuthorization"): "true",
    ("Microsoft.OperationalInsights/workspaces", "properties.features.disableLocalAuth"): "true",
    ("Microsoft.Storage/storageAccounts", "properties.allowBlobPublicAccess"): "false",
    ("Microsoft.Storage/storageAccounts", "properties.allowSharedKeyAccess"): "false",
    ("Microsoft.Storage/storageAccounts", "properties.minimumTlsVersion"): "'TLS1_2'",
    ("Microsoft.Web/sites", "properties.httpsOnly"): "true",
}
"""Values that must stand there as they are."""


def findings(source: Source, project: Project) -> Iterator[Finding]:
    """All of it for one file."""
    yield from _secrets(source, project)
    for node in source.nodes:
        if node.type == "string_content" and source.path != "modules/roles.bicep" and GUID.search(text(node)):
            yield source.finding(node, "role", "ids of roles stand in modules/roles.bicep only")
    if source.path == "modules/roles.bicep":
        yield from _role_ids(source)
    for one in source.of("resource"):
        if one.existing or one.value is None:
            continue
        kind = one.type.split("@")[0]
        for (of, path), wanted in MUST.items():
            found = entry(one.value, *path.split("."))
            if of == kind and (found is None or text(found) != wanted):
                yield source.finding(one.node, "must", f"{kind}: {path} must be {wanted}")
        if kind == "Microsoft.Authorization/roleAssignments":
            yield from _role(one, source)
        elif kind.endswith("eventSubscriptions"):
            yield from _subscription(one, source)
        elif kind == "Microsoft.App/containerApps":
            yield from _host(one, source, project)


def _secrets(source: Source, project: Project) -> Iterator[Finding]:
    secure = {one.name for one in source.of("param") if "secure" in one.decorators}
    for one in source.of("param"):
        if SECRET.search(one.name) and one.name not in secure:
            yield source.finding(one.node, "secret", f"param {one.name} needs @secure()")
        if one.name in secure and one.value is not None and text(one.value) not in ("{}", "''"):
            yield source.finding(one.node, "secret", f"@secure() param {one.name} has a default")
    tainted = set(secure)
    for _ in source.of("var") if secure else ():  # a variable may be made of another one
        tainted |= {
            one.name for one in source.of("var") if one.value is not None and _mentions(one.value, tainted)
        }
    for one in source.of("output"):
        value = one.value
        if value is not None and tainted and _mentions(value, tainted):
            yield source.finding(one.node, "secret", f"output {one.name} gives a secure param away")
        for node in walk(value) if value is not None else ():
            if node.type in ("property_identifier", "identifier") and SECRET_MEMBER.search(text(node)):
                yield source.finding(one.node, "secret", f"output {one.name} gives {text(node)} away")
    for one in source.of("module") if tainted else ():
        other, params = project.beside(source, one.type), entry(one.value, "params")
        for child in named(params) if other is not None and params is not None else ():
            name, value = text(named(child)[0]), named(child)[-1]
            target = other.symbols.get(name) if other is not None else None
            if target is not None and _mentions(value, tainted) and "secure" not in target.decorators:
                yield source.finding(
                    child, "secret", f"a secret goes to param {name}, which is not @secure()"
                )


def _mentions(node: Node, names: set[str]) -> bool:
    return any(one.type == "identifier" and text(one) in names for one in walk(node))


def _role_ids(source: Source) -> Iterator[Finding]:
    table = source.symbols["roleIds"].value if "roleIds" in source.symbols else None
    for child in named(table) if table is not None else ():
        name, value = text(named(child)[0]), literal(named(child)[-1])
        if name not in KNOWN:
            yield source.finding(child, "role", f"no known role {name}")
        elif value != KNOWN[name][1]:
            yield source.finding(child, "role", f"{name}: the id of {KNOWN[name][0]} is another")


def _role(one: Declared, source: Source) -> Iterator[Finding]:
    scope, principal = entry(one.value, "scope"), entry(one.value, "properties", "principalId")
    found = re.search(
        r"roleDefinitions', roleIds\.(\w+)\)$",
        text(entry(one.value, "properties", "roleDefinitionId") or one.node),
    )
    if scope is None or principal is None or found is None:
        yield source.finding(one.node, "role", "a role assignment names scope, principal and roleIds.ROLE")
        return
    key = (source.path, text(scope), text(principal), found[1])
    if key not in ASSIGNED:
        yield source.finding(one.node, "role", f"{' · '.join(key[1:])} is not in the table of assignments")
    names = text(entry(one.value, "name") or one.node)
    if found[1] not in names or text(principal).split(".")[0] not in names:
        yield source.finding(
            one.node, "role", "its name is not made of scope, principal and role: two would collide"
        )


def _subscription(one: Declared, source: Source) -> Iterator[Finding]:
    def number(*path: str) -> str:
        return text(found) if (found := entry(one.value, "properties", *path)) is not None else ""

    kind = literal(entry(one.value, "properties", "destination", "endpointType"))
    target = ("destination", "properties")
    if number(*target, "maxEventsPerBatch") != "1":
        yield source.finding(
            one.node, "event", "maxEventsPerBatch must be 1: one failure repeats the whole batch"
        )
    if (
        kind == "AzureFunction"
        and entry(one.value, "properties", *target, "deliveryAttributeMappings") is not None
    ):
        yield source.finding(one.node, "event", "an Event Grid trigger does not see delivery headers")
    if kind == "AzureFunction" and entry(one.value, "properties", "deadLetterWithResourceIdentity") is None:
        yield source.finding(one.node, "event", "what cannot be delivered goes to a dead-letter container")
    types = entry(one.value, "properties", "filter", "includedEventTypes")
    if types is None:
        yield source.finding(one.node, "event", "includedEventTypes is needed: the topic has many kinds")
    elif "Microsoft.Communication.IncomingCall'" in text(types):
        attempts, minutes = (
            number("retryPolicy", name) for name in ("maxDeliveryAttempts", "eventTimeToLiveInMinutes")
        )
        if minutes != "1" or attempts not in ("2", "3"):
            yield source.finding(
                one.node, "event", "IncomingCall: 2 or 3 attempts within 1 minute, while it rings"
            )
    for node in walk(one.value) if kind == "WebHook" and one.value is not None else ():
        static = node.type == "object" and literal(entry(node, "type")) == "Static"
        if static and text(entry(node, "properties", "isSecret") or node) != "true":
            yield source.finding(node, "secret", "a delivery header with a credential needs isSecret: true")


def _host(one: Declared, source: Source, project: Project) -> Iterator[Finding]:
    template = entry(one.value, "properties", "template")
    rules = entry(template, "scale", "rules")
    for rule, _, _ in elements(rules, source, project, {}) if rules is not None else ():
        for wrong in ("http", "tcp"):
            if entry(rule, wrong) is not None:
                yield source.finding(
                    rule, "scale", f"a {wrong} rule does not see how many sockets a replica holds"
                )
    low, high = entry(template, "scale", "minReplicas"), entry(template, "scale", "maxReplicas")
    if low is None or high is None or text(low) == "0":
        yield source.finding(
            one.node, "scale", "minReplicas and maxReplicas are needed, and a host is always there"
        )
    elif "== 'fixed' ? " + text(low) not in text(high):
        yield source.finding(
            one.node, "scale", "with fixed scaling there are as many replicas as there are at least"
        )
    port = entry(one.value, "properties", "configuration", "ingress", "targetPort")
    inside = walk(one.value) if one.value is not None else ()
    probes = [node for node in inside if node.type == "object" and entry(node, "httpGet") is not None]
    wanted = {"Startup": "/healthz", "Liveness": "/healthz", "Readiness": "/readyz"}
    for probe in probes:
        kind, path = literal(entry(probe, "type")), literal(entry(probe, "httpGet", "path"))
        if wanted.pop(kind or "", None) != path:
            yield source.finding(probe, "probe", f"{kind} asks {path}")
        if port is None or text(entry(probe, "httpGet", "port") or probe) != text(port):
            yield source.finding(probe, "probe", f"{kind} asks another port than the ingress")
    if wanted:
        yield source.finding(one.node, "probe", f"missing: {', '.join(wanted)}")
