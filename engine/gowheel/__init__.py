"""Go programs into platform wheels: the build hook that `engine` and `testkit/registry` share.

Build-time code only; nothing here is installed. `hook.py` is what hatchling loads.
"""
