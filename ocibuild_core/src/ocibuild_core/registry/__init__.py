"""Registries by name: hosts, image references, patterns of hosts."""
