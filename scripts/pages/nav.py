"""What the site has: its sections, and where the page of each entry comes from.

A page is named as it is in the site. Most lie in `docs/` under the same name; those that live beside what they describe
(the READMEs of distributions) stand in `FROM_ELSEWHERE`.
"""

from __future__ import annotations

REPOSITORY = "https://github.com/ocibuild/ocibuild"

START = "index.md"

SECTIONS: dict[str, tuple[str, ...]] = {
    "How to": (
        "coming-from.md",
        "howto/ecr-other-account.md",
        "howto/docker-logins.md",
        "howto/many-registries.md",
        "howto/settings-file.md",
        "howto/concourse.md",
        "howto/secrets.md",
        "howto/platforms.md",
        "howto/private-network.md",
        "howto/remote-buildkit.md",
        "recipes.md",
    ),
    "Logins": ("logins.md", "providers/ecr.md", "providers/basic.md", "providers/gcr.md"),
    "Builds": ("outputs.md", "task-image.md"),
    "When it fails": ("troubleshooting.md", "doctor.md"),
    "Reference": ("cli.md", "params.md", "environment.md", "exit-codes.md"),
    "Understand": ("how-it-works.md", "security.md", "benchmarks.md", "design.md"),
    "Write a plugin": (
        "plugins/index.md",
        "plugins/tutorial.md",
        "plugins/reference.md",
        "plugins/testing.md",
        "plugins/testkit.md",
        "plugins/versioning.md",
        "plugins/security.md",
        "plugins/acr.md",
        "plugins/cyclonedx.md",
    ),
    "Parts and project": (
        "parts/core.md",
        "parts/buildkit.md",
        "parts/registry.md",
        "changelog.md",
        "contributing.md",
        "reporting.md",
    ),
}

FROM_ELSEWHERE = {
    "providers/ecr.md": "plugins/ecr/README.md",
    "providers/basic.md": "plugins/basic/README.md",
    "providers/gcr.md": "plugins/gcr/README.md",
    "plugins/testkit.md": "testkit/README.md",
    "plugins/acr.md": "examples/plugins/acr/README.md",
    "plugins/cyclonedx.md": "examples/plugins/cyclonedx/README.md",
    "parts/core.md": "ocibuild_core/README.md",
    "parts/buildkit.md": "engine/README.md",
    "parts/registry.md": "testkit/registry/README.md",
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "reporting.md": "SECURITY.md",
}
