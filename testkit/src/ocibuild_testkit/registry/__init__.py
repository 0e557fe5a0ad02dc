"""A real registry for tests, demos and scripts; works without pytest.

Example:
    from ocibuild_testkit.registry import Authority, PasswordAuth, RegistryServer

    with RegistryServer(auth=PasswordAuth({"alice": "s3cret"}), tls=Authority()) as registry:
        registry.push_image("team/base:1", files={"etc/motd": "hello"})
"""

from ocibuild_testkit.registry.accounts import Accounts, Identity
from ocibuild_testkit.registry.auth import NoAuth, PasswordAuth, RegistryAuth, TokenAuth
from ocibuild_testkit.registry.basic import basic_credentials, basic_header
from ocibuild_testkit.registry.client import RegistryClient, digest_of
from ocibuild_testkit.registry.errors import RegistryError
from ocibuild_testkit.registry.gate import GatedRegistry, GateManners, Refusal
from ocibuild_testkit.registry.images import (
    Content,
    File,
    Image,
    PushedImage,
    build_image,
    build_index,
    busybox_files,
    layer,
    own_platform,
)
from ocibuild_testkit.registry.issued import Issued, IssuedPasswords
from ocibuild_testkit.registry.realm import TokenRequest
from ocibuild_testkit.registry.requests_log import Request
from ocibuild_testkit.registry.server import RegistryServer
from ocibuild_testkit.registry.tls import Authority, ServerCertificate

__all__ = [
    "Accounts",
    "Authority",
    "Content",
    "File",
    "GateManners",
    "GatedRegistry",
    "Identity",
    "Image",
    "Issued",
    "IssuedPasswords",
    "NoAuth",
    "PasswordAuth",
    "PushedImage",
    "Refusal",
    "RegistryAuth",
    "RegistryClient",
    "RegistryError",
    "RegistryServer",
    "Request",
    "ServerCertificate",
    "TokenAuth",
    "TokenRequest",
    "basic_credentials",
    "basic_header",
    "build_image",
    "build_index",
    "busybox_files",
    "digest_of",
    "layer",
    "own_platform",
]
