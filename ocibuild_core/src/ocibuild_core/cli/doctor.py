"""`ocibuild doctor`: what a build would trip over on this machine, and what to do about it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import click

from ocibuild_core.cli.setting_flags import setting_flags
from ocibuild_core.places import working_directory
from ocibuild_core.terminal import print_result

if TYPE_CHECKING:
    from collections.abc import Sequence

_SETTINGS = (
    *("dockerfile", "target", "build_args", "login", "login_timeout", "blocked_plugins"),
    *("addr", "tls_dir", "tls_ca", "tls_cert", "tls_key", "tls_server_name"),
    *("state_dir", "start_timeout", "registry_mirrors", "registry_certs", "registry_http", "registry_insecure"),
)
"""The settings of a build that decide what there is to look at."""


@click.command()
@click.argument("hosts", nargs=-1, metavar="[HOST]…")
@setting_flags(*_SETTINGS)
@click.option("--config", type=click.Path(), metavar="FILE", help="File of settings.")
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def doctor(hosts: Sequence[str], *, json_: bool, config: str | None, **values: Any) -> None:  # noqa: ANN401  # click's
    """Look at everything that a build needs of this machine, and say what to do about what is amiss.

    The registries are those named, else those of a Dockerfile (--file; ./Dockerfile when there is one) and of the
    configuration. Exits with 0 when there are warnings at most, else as a build would that trips over the failure.
    """
    from ocibuild_core.doctor.preparation import examine_machine  # noqa: PLC0415  # not for `--help`
    from ocibuild_core.doctor.report import as_json, as_text, exit_code  # noqa: PLC0415

    rows, mask = examine_machine(hosts, values, config=config, env=dict(os.environ), directory=working_directory())
    print_result(mask(json.dumps(as_json(rows), indent=2, ensure_ascii=False) if json_ else as_text(rows)))
    raise click.exceptions.Exit(exit_code(rows))
