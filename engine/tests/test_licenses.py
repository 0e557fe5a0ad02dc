from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from gowheel.errors import WheelError
from gowheel.licenses import legal_files, licences_of, spdx_identifiers

if TYPE_CHECKING:
    from pathlib import Path

MIT = "Permission is hereby granted, free of charge, to any person obtaining a copy of this software"
BSD = "Redistribution and use in source and binary forms, with or without modification, are permitted"
NO_ENDORSEMENT = "Neither the name of the holder nor the names of its contributors may be used"


@pytest.mark.parametrize(
    ("text", "identifiers"),
    [
        (f"{MIT}\n", {"MIT"}),
        ("   Apache License\n        Version 2.0, January 2004\n", {"Apache-2.0"}),
        ('Licensed under the Apache License, Version 2.0 (the "License")', {"Apache-2.0"}),
        (BSD, {"BSD-2-Clause"}),
        (f"{BSD}\n   * {NO_ENDORSEMENT}", {"BSD-3-Clause"}),
        ("Mozilla Public License, version 2.0", {"MPL-2.0"}),
        ("Mozilla Public License Version 2.0\n====", {"MPL-2.0"}),
        (
            "Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee",
            {"ISC"},
        ),
        (f"// {MIT.replace(' to any', chr(10) + '// to any')}\n\nApache License\nVersion 2.0", {"MIT", "Apache-2.0"}),
        ("GNU AFFERO GENERAL PUBLIC LICENSE", set()),
        ("All rights reserved.", set()),
    ],
)
def test_a_licence_is_known_by_its_own_words(text: str, identifiers: set[str]) -> None:
    assert spdx_identifiers(text) == identifiers


def test_a_package_is_covered_by_its_own_texts_and_those_above_it(tmp_path: Path) -> None:
    package = tmp_path / "third_party" / "thrift"
    other = tmp_path / "other"
    for directory in (package, other):
        directory.mkdir(parents=True)
    wanted = [package / "LICENSE", tmp_path / "LICENSE.txt", tmp_path / "NOTICE"]
    unwanted = [other / "LICENSE", tmp_path / "license.go", tmp_path / "README.md", package / "licenser.txt"]
    for path in (*wanted, *unwanted):
        path.write_text(MIT)
    assert sorted(legal_files(package, tmp_path)) == sorted(wanted)


def test_a_licence_that_nobody_has_read_stops_the_build(tmp_path: Path) -> None:
    (tmp_path / "LICENSE").write_text("You may do as you are told.")
    with pytest.raises(WheelError, match=r"example\.org/x@v1: .*LICENSE is a licence that .* does not know"):
        licences_of("example.org/x@v1", [tmp_path / "LICENSE"])


@pytest.mark.parametrize("names", [(), ("NOTICE",), ("LICENSE.docs",)])
def test_a_module_without_a_licence_of_its_code_stops_the_build(tmp_path: Path, names: tuple[str, ...]) -> None:
    files = [tmp_path / name for name in names]
    for path in files:
        path.write_text(MIT)
    with pytest.raises(WheelError, match="has no licence file"):
        licences_of("example.org/x@v1", files)
