"""`docker-credential-ocibuild`: inside a build it asks the build, on its own it resolves by itself."""

import os
import sys

from ocibuild_core.auth import client


def main() -> None:
    """The program."""
    if client.BROKER_ENV in os.environ:
        sys.exit(client.main())
    from ocibuild_core.auth.standalone import main as alone  # noqa: PLC0415  # the rest of core, only when alone

    sys.exit(alone(sys.argv[1:], os.environ))


if __name__ == "__main__":
    main()
