"""Makes the task image: what a Concourse task runs. `python -m taskimage --help`; used by `make image`."""
