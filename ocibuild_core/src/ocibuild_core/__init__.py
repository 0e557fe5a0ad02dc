"""Build a Dockerfile into an OCI image with BuildKit, logged in through auth plugins.

Plugin authors import `ocibuild_core.plugin`; everything else in this package is private.
"""

HOST_DISTRIBUTION = "ocibuild-core"
"""What pip installs; the host's own exporters come through the hook of plugins like anybody's."""
__version__ = "0.1.0"
