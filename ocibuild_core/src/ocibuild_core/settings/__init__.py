"""Settings: one table of fields, read from the command line, the environment, a request and YAML."""
