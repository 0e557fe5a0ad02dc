"""What `RUN --mount=type=cache` leaves, kept in `cache/mounts/` from run to run.

BuildKit has no export of cache mounts, and a mount can be reached from a step alone. So a solve of our own runs one
step with the mounts of the Dockerfile; the program in it is this very Python interpreter, which is there, needs no
registry, and has the architecture of the machine. It speaks through a forwarded socket with us, who write and read the
archives: nothing of it becomes part of the engine's own cache, no file belongs to a user of the engine's name space,
and an engine elsewhere is reached in the same way.
"""
