"""What an app needs to know to use the emulator, as an environment file, and how each language reads it."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from emulator.twilio.config import TwilioConfig


@dataclass(frozen=True, slots=True)
class AppEnvironment:
    """What an app is told.

    Attributes:
        connection_string: `endpoint=…;accesskey=…`; secret.
        endpoint: the emulated resource's address.
        resource_id: audience of its signed requests.
        issuer: issuer of its signed requests.
        jwks_url: where the keys of its signed requests are.
        ca_file: the certificate to trust, or None with plain http.
        bundle_file: that, together with the system's own, or None.
        twilio: the emulated Twilio account, or None.
    """

    connection_string: str
    endpoint: str
    resource_id: str
    issuer: str
    jwks_url: str
    ca_file: Path | None = None
    bundle_file: Path | None = None
    twilio: TwilioConfig | None = None

    def variables(self) -> Mapping[str, str]:
        """All variables; the names of the certificate's are those that runtimes look at by themselves."""
        values = {
            "ACS_CONNECTION_STRING": self.connection_string,
            "ACS_ENDPOINT": self.endpoint,
            "ACS_RESOURCE_ID": self.resource_id,
            "ACS_JWT_ISSUER": self.issuer,
            "ACS_JWKS_URL": self.jwks_url,
        }
        if self.twilio is not None:
            values |= {
                "TWILIO_ACCOUNT_SID": self.twilio.account_sid,
                "TWILIO_AUTH_TOKEN": self.twilio.auth_token,
            }
        if self.ca_file is not None and self.bundle_file is not None:
            values |= {
                "SSL_CERT_FILE": str(self.bundle_file.resolve()),
                "REQUESTS_CA_BUNDLE": str(self.bundle_file.resolve()),
                "NODE_EXTRA_CA_CERTS": str(self.ca_file.resolve()),
            }
        return values

    def file(self) -> str:
        """The environment file: lines of `NAME=value`, quoted for a shell."""
        lines = [f"{name}={shlex.quote(value)}" for name, value in self.variables().items()]
        return "\n".join(
            ["# Written by `patchcord emulate`. Holds the access key of the emulated resource.", *lines, ""]
        )

    def instructions(self, file: Path) -> str:
        """How to start an app in each language with this environment, ready to copy."""
        name = shlex.quote(str(file))
        load = f"set -a; . {name}; set +a"
        rows = [
            ("any shell", load),
            ("Python", f"{load}; python app.py"),
            ("", "    CallAutomationClient.from_connection_string(os.environ['ACS_CONNECTION_STRING'])"),
            ("JavaScript", f"node --env-file={name} app.js"),
            ("", "    new CallAutomationClient(process.env.ACS_CONNECTION_STRING)"),
            (".NET", f"{load}; dotnet run"),
            ("", '    new CallAutomationClient(Environment.GetEnvironmentVariable("ACS_CONNECTION_STRING"))'),
            ("Java", f"{load}; {self._java()}java -jar app.jar"),
            (
                "",
                '    new CallAutomationClientBuilder().connectionString(System.getenv("ACS_CONNECTION_STRING"))',
            ),
        ]
        text = "\n".join(f"  {title:<12}{line}" for title, line in rows)
        if self.ca_file is None:
            text += (
                "\n\nPlain http: connection strings always mean https, so make the client from the endpoint and the key,"
                "\nas in CallAutomationClient(os.environ['ACS_ENDPOINT'], AzureKeyCredential(…));"
                "\nACS_CONNECTION_STRING holds both."
            )
        else:
            text += (
                "\n\nThe certificate: Python and .NET on Linux read SSL_CERT_FILE (and requests REQUESTS_CA_BUNDLE), Node reads"
                "\nNODE_EXTRA_CA_CERTS; the file sets all three. .NET on Windows and macOS, browsers: import the CA file."
            )
        return text

    def _java(self) -> str:
        if self.ca_file is None:
            return ""
        ca = shlex.quote(str(self.ca_file))
        store = shlex.quote(str(self.ca_file.with_name("truststore.p12")))
        return (
            f"keytool -importcert -noprompt -alias patchcord -file {ca} -keystore {store} -storepass changeit; \\\n"
            f"                JAVA_TOOL_OPTIONS=-Djavax.net.ssl.trustStore={store} "
        )
