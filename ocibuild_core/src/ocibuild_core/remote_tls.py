"""Which certificates a `tcp://` address is reached with."""

from __future__ import annotations

from ocibuild_core.errors import UsageError
from ocibuild_core.places import closed, is_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocibuild_core.engine.tls import TlsFiles
    from ocibuild_core.settings.model import BuildSettings

_NAMES = {"tls_ca": "ca.pem", "tls_cert": "cert.pem", "tls_key": "key.pem"}


def tls_files(settings: BuildSettings) -> TlsFiles | None:
    """The files that were named, or those of the directory that was; None without any, or at no `tcp://` address.

    Raises UsageError.
    """
    if not (settings.addr or "").startswith("tcp://"):
        _refuse_flags(settings)
        return None
    files = {name: getattr(settings, name) for name in _NAMES}
    if settings.tls_dir:
        files = {name: path or settings.tls_dir / _NAMES[name] for name, path in files.items()}
    if not any(files.values()) and not settings.tls_server_name:
        return None
    if bool(files["tls_cert"]) != bool(files["tls_key"]):
        missing = "--tlskey" if files["tls_cert"] else "--tlscert"
        raise UsageError("a certificate needs its key, and a key its certificate", do=f"give {missing}, too")
    for name, path in files.items():
        if path and not is_file(path):
            origin = settings.origin(name if getattr(settings, name) else "tls_dir")
            raise UsageError(f"{origin}: there is no file {path}", why=closed(path))
    from ocibuild_core.engine.tls import TlsFiles  # noqa: PLC0415  # most builds have an engine of their own

    return TlsFiles(
        ca=files["tls_ca"], cert=files["tls_cert"], key=files["tls_key"], server_name=settings.tls_server_name
    )


def _refuse_flags(settings: BuildSettings) -> None:
    """Variables may be there for other runs; a flag is meant for this one."""
    origins = (settings.origin(name) for name in (*_NAMES, "tls_dir", "tls_server_name"))
    flag = next((origin for origin in origins if origin.startswith("--")), None)
    if flag:
        at = f"{settings.origin('addr')} {settings.addr} is not of tcp://" if settings.addr else "there is no --addr"
        do = f"leave out {flag}, or give --addr tcp://HOST:PORT"
        raise UsageError(f"{flag} goes with a tcp:// address", why=at, do=do)
