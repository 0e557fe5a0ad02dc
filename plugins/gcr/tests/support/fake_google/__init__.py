"""Google's identity services on this machine: they check what they are shown, and refuse as Google does.

`Cloud` holds who exists and who may what, and answers; `Internet` is the way to it: TLS under Google's own host names
behind a proxy, and the metadata server.
"""

from fake_google.cloud import SCOPE, Cloud, PoolProvider, Token
from fake_google.keys import KeyPair
from fake_google.servers import Internet, MetadataServer

__all__ = ["SCOPE", "Cloud", "Internet", "KeyPair", "MetadataServer", "PoolProvider", "Token"]
