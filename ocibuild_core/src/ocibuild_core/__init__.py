"""Build a Dockerfile into an OCI image with BuildKit, logged in through auth plugins.

Plugin authors import `ocibuild_core.plugin`; everything else in this package is private.
"""

__version__ = "0.1.0"
