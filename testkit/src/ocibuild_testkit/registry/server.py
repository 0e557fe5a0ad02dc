"""A real registry: CNCF distribution in a process of its own, on this machine alone."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from ocibuild_testkit.registry.auth import NoAuth, RegistryAuth
from ocibuild_testkit.registry.client import RegistryClient
from ocibuild_testkit.registry.errors import RegistryError
from ocibuild_testkit.registry.process import ServerProcess, find_registry_binary
from ocibuild_testkit.registry.requests_log import Request, read_requests

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from ocibuild_testkit.registry.images import Content, Image, PushedImage
    from ocibuild_testkit.registry.tls import Authority

_START_SECONDS = 20.0
_LISTENING = re.compile(r'"msg":"listening on \S+?:(\d+)[",]')
_HTTPS_PORT = 443
_BY_NAME = ("127.0.0.1", "localhost", "::1")


class RegistryServer:
    """A registry that lives as long as its `with` block.

        with RegistryServer(auth=PasswordAuth({"alice": "s3cret"}), tls=Authority()) as registry:
            registry.push_image("team/base:1", files={"etc/motd": b"hello"})
            print(registry.reference("team/base:1"))

    Args:
        auth: how it asks who is there.
        tls: speak TLS with a certificate of this authority; None is plain HTTP.
        host: what clients call it; stands in `address` and in its certificate.
        port: 0 takes a free one.
        bind: the address to listen on, when `host` is a name that the caller maps to it (`/etc/hosts`, a proxy).
        names: further names and addresses for the certificate.
        directory: where it keeps everything; None is a temporary directory that goes when it stops.
        binary: the program; None finds it (`ocibuild-registry`, PATH).
    """

    def __init__(
        self,
        *,
        auth: RegistryAuth | None = None,
        tls: Authority | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        bind: str | None = None,
        names: tuple[str, ...] = (),
        directory: Path | None = None,
        binary: Path | None = None,
    ) -> None:
        self.host = host
        self.authority = tls
        self.auth = auth or NoAuth()
        self._wanted_port = port
        self._bind = bind or host
        self._names = names
        self._given_directory = directory
        self._binary = binary
        self._directory: Path | None = None
        self._process: ServerProcess | None = None
        self._port = 0
        self._last_log = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until it listens. Raises `RegistryError` with its log when it does not."""
        if self._process:
            raise RegistryError(f"the registry {self.address} runs already")
        binary = self._binary or find_registry_binary()
        self._directory = self._given_directory or Path(tempfile.mkdtemp(prefix="ocibuild-registry-"))
        self._directory.mkdir(parents=True, exist_ok=True)
        try:
            self._start(binary, self._directory)
        except BaseException:
            # One that has died is what is being raised here already.
            with suppress(RegistryError):
                self.stop()
            raise

    def stop(self) -> None:
        """End it, and remove its temporary directory; harmless when it is not running.

        Raises `RegistryError` with the end of its log when it had died before.
        """
        process, self._process = self._process, None
        try:
            if process:
                process.stop()
        finally:
            self._last_log = process.log_text() if process else self._last_log
            self.auth.stop()
            if self._directory and not self._given_directory:
                shutil.rmtree(self._directory, ignore_errors=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._port

    @property
    def address(self) -> str:
        """`host:port`, as references name it; without the port when it is the one that `https` means."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.authority and self._port == _HTTPS_PORT else f"{host}:{self._port}"

    @property
    def url(self) -> str:
        """Scheme and address, without a slash at the end."""
        return f"{'https' if self.authority else 'http'}://{self.address}"

    @property
    def pid(self) -> int:
        """The process id of the registry itself."""
        return self._running().pid

    @property
    def requests(self) -> tuple[Request, ...]:
        """All that it was asked by others than the testkit itself, in order."""
        requests = read_requests(self.log_text().splitlines())
        return tuple(one for one in requests if one.user_agent != RegistryClient.user_agent)

    def log_text(self) -> str:
        """Its own log, also after its end."""
        return self._process.log_text() if self._process else self._last_log

    def reference(self, name: str) -> str:
        """The reference of an image in it: `team/base:1` becomes `127.0.0.1:5000/team/base:1`."""
        return f"{self.address}/{name}"

    def client(self) -> RegistryClient:
        """A client that may do everything here."""
        connect_to = (_loopback(self._bind), self._port)
        return RegistryClient(
            self.address, connect_to=connect_to, authority=self.authority, authorize=self.auth.own_authorization
        )

    def push_image(
        self, name: str, *, files: Mapping[str, Content] | None = None, config: Mapping[str, object] | None = None
    ) -> PushedImage:
        """Put an image of one layer with these files under `name` (`team/base:1`).

        Args:
            name: repository and tag.
            files: by path inside the image; see `images.layer`.
            config: what the image's config says of its process (`Env`, `Cmd`, `User`, …), as Docker spells it.
        """
        from ocibuild_testkit.registry.images import build_image

        return self.push(name, build_image(files or {}, config=config))

    def push(self, name: str, image: Image) -> PushedImage:
        """Put an image (or an index of several platforms) under `name`."""
        from ocibuild_testkit.registry.images import push

        return push(self.client(), self.address, name, image)

    def buildkitd_toml(self, name: str | None = None) -> str:
        """What buildkitd.toml needs so that BuildKit can talk to it: its authority, or that it is plain HTTP.

        Args:
            name: what references call it, when that is not `address` (a name that a proxy maps to it).
        """
        table = f"[registry.{json.dumps(name or self.address)}]\n"
        if self.authority is None:
            return f"{table}http = true\n"
        # BuildKit takes every loopback address for plain HTTP unless it is told (moby/buildkit, util/resolver).
        return f"{table}http = false\nca = [{json.dumps(str(self.ca_file))}]\n"

    @property
    def ca_file(self) -> Path:
        """The file with the authority's certificate. Raises `RegistryError` without TLS."""
        if self.authority is None or self._directory is None:
            raise RegistryError("this registry has no TLS certificate: give it `tls=Authority()`, and start it")
        return self._directory / "ca.crt"

    def _start(self, binary: Path, directory: Path) -> None:
        if self.authority:
            self.authority.write(directory / "ca.crt")
        auth = self.auth.start(directory, host=self.host, authority=self.authority)
        configuration = directory / "config.json"
        # The registry reads YAML, of which JSON is a part.
        configuration.write_text(json.dumps(self._configuration(directory, auth), indent=1))
        self._process = ServerProcess(
            [str(binary), "serve", str(configuration)],
            log=directory / "registry.log",
            # It would look for a collector of traces on this machine otherwise.
            env={"PATH": "/usr/bin:/bin", "HOME": str(directory), "OTEL_TRACES_EXPORTER": "none"},
        )
        self._process.start()
        self._port = int(self._process.wait_for_line(_listening_port, seconds=_START_SECONDS))

    def _configuration(self, directory: Path, auth: Mapping[str, object]) -> dict[str, object]:
        return {
            "version": "0.1",
            "log": {"level": "info", "formatter": "json", "accesslog": {"disabled": True}},
            "storage": {
                "filesystem": {"rootdirectory": str(directory / "data")},
                "delete": {"enabled": True},
                "maintenance": {"uploadpurging": {"enabled": False}},
            },
            "http": {"secret": secrets.token_hex(16), **self._listener(directory)},
            **({"auth": auth} if auth else {}),
        }

    def _listener(self, directory: Path) -> dict[str, object]:
        """Where and how the registry's process listens: a part of its configuration's section `http`."""
        address = {"addr": f"{_bracketed(self._bind)}:{self._wanted_port}"}
        if self.authority is None:
            return dict(address)
        certificate, key = self.authority.issue(self._certificate_names()).write(directory)
        return {**address, "tls": {"certificate": str(certificate), "key": str(key)}}

    def _certificate_names(self) -> tuple[str, ...]:
        return (self.host, self._bind, *self._names, *_BY_NAME)

    def _running(self) -> ServerProcess:
        if self._process is None:
            raise RegistryError("the registry is not running: use it in a `with` block")
        return self._process


def _listening_port(line: str) -> str | None:
    found = _LISTENING.search(line)
    return found[1] if found else None


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _loopback(bind: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bind, bind)  # noqa: S104  # read, not bound
