"""Who answers for which registry, and how the answer reaches the client that asks."""
