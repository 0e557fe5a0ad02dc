"""What can go wrong with a registry of the testkit."""


class RegistryError(RuntimeError):
    """The registry could not be started, died, or refused what the test asked of it."""
