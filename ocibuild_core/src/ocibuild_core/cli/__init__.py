"""The programs: thin edges that turn arguments into settings and errors into exit codes."""
