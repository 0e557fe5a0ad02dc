from __future__ import annotations

import pytest

# The checks' assertions shall tell as much as those of a test module.
pytest.register_assert_rewrite("bad_input")
