"""`broker_connection`: which message broker a node uses and how it gets in (protocol job-item.md, section 2.6).

Read as leniently as the Job Manager writes it (numbers as text, empty texts, `secure` in many forms), and more strictly
than the Go worker where a mistake would be dangerous: what is unclear about TLS or credentials is refused.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from job_item.address import Address, host_of, read_address
from job_item.kinds import Seconds
from job_item.quantity import Unfit, shown
from job_item.section import Section

_TRUE = ("true", "yes", "on")
_FALSE = ("", "false", "no", "off")
ROUTING_SUBJECT = "{subject}"
"""What stands for the subject in a `routing_key`."""


def is_secure(value: object) -> bool:
    """Read `secure`: a truth value, a number other than 0, or text that is one of them. Raises `Unfit`."""
    if isinstance(value, (bool, int, float)):
        return bool(value)
    text = value.strip().lower() if isinstance(value, str) else None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    try:
        return float(text or "") != 0
    except ValueError:
        raise Unfit("ERR-CFG-005", f"wants true or false, not {shown(value)}") from None


def _servers(value: object) -> object:
    """Take a list of servers, or one text with commas, as NATS URLs are often written."""
    return tuple(part for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _server(value: str) -> str:
    """Take one server."""
    read_address(value, NatsConnection.PORT)
    return value


def _routing_key(value: str) -> str:
    """Take a routing key: without the subject in it all queues would get all messages."""
    if ROUTING_SUBJECT not in value:
        raise Unfit("ERR-CFG-007", f"must have {ROUTING_SUBJECT} in it, which stands for the subject of a message")
    return value


class Connection(Section):
    """What all brokers have. `key` and `name` are labels; `name` is what the broker is told who connects.

    `delivery` durable: jobs are kept by the broker until their result is known. `lease`: how long a job is a node's
    without a sign of life, in seconds; `dedupe`: how long the broker knows a task id that it has been given.

    Certificates are named by absolute paths once the settings are loaded; `job_item.tlsfiles` finds and proves them.
    """

    PORT: ClassVar[int]
    key: str = ""
    """Accepted as a label."""
    name: str = ""
    """What the server is told who connects (not with Redis). Default: `job_item`."""
    host: Annotated[str, AfterValidator(host_of)] = ""
    """Name or IP address of the server; for NATS `servers` can stand in its place. Default: must be set."""
    port: int | None = Field(default=None, ge=1, le=65535)
    """Its port. Default: 4222, 5672 (with TLS 5671) or 6379."""
    secure: Annotated[bool, BeforeValidator(is_secure)] = False
    """TLS. `true`, `yes`, `1` and every other number but 0 mean yes; text that is neither yes nor no is refused."""
    ca_file: str | None = None
    """PEM file of the authorities that are trusted; a relative path starts at the folder of the file. Default: see
    [TLS](brokers.md#tls).
    """
    cert_file: str | None = None
    """PEM file of the client's certificate. Default: see [TLS](brokers.md#tls)."""
    key_file: str | None = None
    """PEM file of its key. Default: see [TLS](brokers.md#tls)."""
    user: str | None = None
    """User; RabbitMQ wants one."""
    password: SecretStr | None = None
    """Its password; RabbitMQ wants one."""
    password_file: str | None = None
    """File that holds the password, in place of `password`."""
    delivery: Literal["compat", "durable"] = "compat"
    """`compat`: as the Go worker has it. `durable`: the broker keeps jobs until their result is known, see [durable
    delivery](brokers.md#durable-delivery).
    """
    lease: Seconds = Field(default=30.0, ge=1)
    """With `durable`: how long a job is a node's without a sign of life."""
    dedupe: Seconds = Field(default=120.0, ge=1)
    """With `durable`: how long the broker knows a task id that it was given (not RabbitMQ)."""

    @model_validator(mode="before")
    @classmethod
    def _empty_is_absent(cls, content: Any) -> Any:
        """The Job Manager sends empty texts for what it does not have; an empty password is one all the same."""
        if not isinstance(content, dict):
            return content
        return {name: value for name, value in content.items() if value != "" or name == "password"}

    @model_validator(mode="after")
    def _has_a_host(self) -> Connection:
        if not self.addresses:
            raise Unfit("ERR-CFG-006", "host is missing")
        return self

    @property
    def addresses(self) -> tuple[Address, ...]:
        """The servers, in the order in which they are tried."""
        return (Address(self.host, self.port or self.PORT),) if self.host else ()

    @property
    def is_tls(self) -> bool:
        """Whether the connection is made over TLS, and nothing else."""
        return self.secure

    def secrets(self) -> tuple[str, ...]:
        """What must never be shown."""
        return (self.password.get_secret_value(),) if self.password else ()


class NatsConnection(Connection):
    """NATS. `auth_type` says which credentials are used; without it those that are there."""

    PORT: ClassVar[int] = 4222
    type: Literal["nats"]
    """Which broker it is."""
    auth_type: Literal["none", "token", "user_password", "user_password_bcrypt"] | None = None
    """Which credentials are shown; with `user_password_bcrypt` the server has the hash, and here stands the password.
    Default: those that are there.
    """
    token: SecretStr | None = None
    """The token."""
    token_file: str | None = None
    """File that holds the token, in place of `token`."""
    servers: Annotated[tuple[Annotated[str, AfterValidator(_server)], ...], BeforeValidator(_servers)] = ()
    """Further servers of the cluster: `host`, `host:port` or `nats://host:port`. They are tried in turn, after `host`.
    """

    @model_validator(mode="after")
    def _knows_its_credentials(self) -> NatsConnection:
        if self.auth_type is None and self.token and self.user:
            raise Unfit("ERR-CFG-007", "has both user and token", "Set auth_type to `token` or `user_password`.")
        if self.auth == "token" and not self.token:
            raise Unfit("ERR-CFG-006", "token is missing, and auth_type is token")
        if self.auth == "user_password" and (not self.user or self.password is None):
            raise Unfit("ERR-CFG-006", "user or password is missing, and one is of no use without the other")
        return self

    @model_validator(mode="after")
    def _is_clear_about_tls(self) -> NatsConnection:
        """Several servers, one way: a URL that begins with tls:// asks for it."""
        for server in self.servers:
            if read_address(server, self.PORT).is_tls and not self.is_tls:
                raise Unfit("ERR-CFG-007", f"server {shown(server)} asks for TLS, and secure is not set")
        return self

    @property
    def auth(self) -> Literal["none", "token", "user_password"]:
        """Which credentials are shown to the server."""
        match self.auth_type:
            case None:
                return "token" if self.token else "user_password" if self.user or self.password else "none"
            case "user_password_bcrypt":
                return "user_password"  # the server has the hash, the client the password
            case given:
                return given

    @property
    def addresses(self) -> tuple[Address, ...]:
        """The host, then the further servers, each once."""
        further = (read_address(server, self.PORT).address for server in self.servers)
        return tuple(dict.fromkeys((*super().addresses, *further)))

    @property
    def is_tls(self) -> bool:
        """Also with a client certificate alone, as the Go worker takes it (protocol, section 3.3)."""
        return self.secure or bool(self.cert_file and self.key_file)

    def secrets(self) -> tuple[str, ...]:
        """Password and token."""
        return (*super().secrets(), *((self.token.get_secret_value(),) if self.token else ()))


class RabbitmqConnection(Connection):
    """RabbitMQ, AMQP 0.9.1. Without `exchange` a subject is a queue's name, by way of the default exchange.

    `consumer_timeout` is the server's setting of that name: how long a job may go unacknowledged, in seconds.
    """

    PORT: ClassVar[int] = 5672
    TLS_PORT: ClassVar[int] = 5671
    type: Literal["rabbitmq"]
    """Which broker it is."""
    user: str
    """User."""
    password: SecretStr
    """Its password."""
    virtual_host: str = "/"
    """The virtual host."""
    exchange: str = Field(default="", max_length=255)
    """Without one, a subject is the name of a queue and goes there by the default exchange, as in the Go worker."""
    exchange_type: Literal["direct", "topic"] = "direct"
    """The kind of the exchange."""
    routing_key: Annotated[str, AfterValidator(_routing_key)] = ROUTING_SUBJECT
    """Pattern of the routing key with an exchange; `{subject}` stands for the subject."""
    consumer_timeout: Seconds = Field(default=1800.0, ge=2)
    """With `durable`: the server's setting of that name, how long it lets a job be unacknowledged."""

    @property
    def addresses(self) -> tuple[Address, ...]:
        """The one server; TLS has a port of its own."""
        port = self.port or (self.TLS_PORT if self.secure else self.PORT)
        return (Address(self.host, port),) if self.host else ()


class RedisConnection(Connection):
    """Redis. `db` also separates the subjects: not on the server, where they are common to all, but the locks."""

    PORT: ClassVar[int] = 6379
    type: Literal["redis"]
    """Which broker it is."""
    db: int = Field(default=0, ge=0)
    """The database of the locks. Subjects are common to all databases of a server."""

    @model_validator(mode="after")
    def _knows_its_credentials(self) -> RedisConnection:
        if self.user and not self.password:
            raise Unfit("ERR-CFG-006", "password is missing, and a user needs one")
        return self


BrokerConnection = Annotated[NatsConnection | RabbitmqConnection | RedisConnection, Field(discriminator="type")]
"""The section `broker_connection`, told apart by `type`."""
