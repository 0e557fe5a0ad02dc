"""The forms in which a secret can turn up in a log: as it is, escaped, encoded, inside base64."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

from ocibuild_core.auth.needles import to_bytes
from ocibuild_core.records import NamedTuple

SHORTEST = 4
"""Characters. A shorter secret is not searched for on its own: masking every `a` would destroy the log and, by what is
missing, tell the secret. In a base64 of `user:password` it is found whatever its length."""

_SHORTEST_LINE = 8
_SHORTEST_IN_BASE64 = 6
_BASE64_LINE = 76

# What is left as it is: nothing; by Python's `quote`; by Go in a path, a path's segment and user:password (net/url,
# `shouldEscape`).
_SAFE_IN_URLS = ("", "/", "$&+,/:;=@", "$&+=:@", "$&+,;=")


class Needle(NamedTuple):
    """One text to look for.

    Args:
        text: the bytes.
        lead: how many bytes before it hold a part of the secret, too.
        trail: the same, after it.
        phase: None for text; in base64 the place of its first byte, the lead counted, in a group of four: then it is
            masked by as many characters of base64, so that what surrounds it still decodes.
    """

    text: bytes
    lead: int = 0
    trail: int = 0
    phase: int | None = None


def forms(secret: str, username: str = "") -> frozenset[Needle]:
    """Everything to look for, for one secret.

    Args:
        secret: not empty.
        username: who it belongs to: then also the base64 of `user:secret`, as HTTP and docker configs hold it.
    """
    found: set[Needle] = set()
    if len(secret) >= SHORTEST:
        found |= {Needle(text) for text in _texts(secret)}
        found |= _inside_base64(to_bytes(secret)) | _base64_lines(to_bytes(secret))
    if username:
        pair = to_bytes(f"{username}:{secret}")
        found |= _whole_base64(pair) | _base64_lines(pair)
    return frozenset(found)


def _texts(secret: str) -> set[bytes]:
    lines = [line.strip() for line in secret.splitlines()]
    parts = {secret, *(line for line in lines if len(line) >= _SHORTEST_LINE)}
    if len(secret.strip()) >= SHORTEST:
        parts.add(secret.strip())
    return {to_bytes(form) for part in parts for form in (part, *_json_forms(part), *_url_forms(part))}


def _json_forms(text: str) -> set[str]:
    plain = json.dumps(text, ensure_ascii=False)[1:-1]
    # Go's encoder writes these three as escapes (https://pkg.go.dev/encoding/json#HTMLEscape).
    html = plain.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    return {plain, html, json.dumps(text)[1:-1]}


def _url_forms(text: str) -> set[str]:
    raw = to_bytes(text)
    quoted = {quote(raw, safe=safe) for safe in _SAFE_IN_URLS} | {quote_plus(raw)}
    return quoted | {_lower_escapes(form) for form in quoted}


def _lower_escapes(quoted: str) -> str:
    first, *rest = quoted.split("%")
    return first + "".join(f"%{part[:2].lower()}{part[2:]}" for part in rest)


def _inside_base64(secret: bytes) -> set[Needle]:
    """The characters that the secret alone decides, for each of its three places in a group of three bytes."""
    found: set[Needle] = set()
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + secret)
        mixed_first, mixed_last = min(before, 1), (before + len(secret)) % 3 != 0
        start = before + mixed_first
        core = encoded.rstrip(b"=")[start : -1 if mixed_last else None]
        if len(core) >= _SHORTEST_IN_BASE64:
            found |= _both_alphabets(core, lead=mixed_first, trail=int(mixed_last), phase=before)
    return found


def _whole_base64(content: bytes) -> set[Needle]:
    whole = base64.b64encode(content).rstrip(b"=")
    return _both_alphabets(whole) if len(whole) >= _SHORTEST_IN_BASE64 else set()


def _base64_lines(content: bytes) -> set[Needle]:
    """The lines into which base64(1) cuts it."""
    whole = base64.b64encode(content).rstrip(b"=")
    lines = {whole[at : at + _BASE64_LINE] for at in range(0, len(whole), _BASE64_LINE)}
    return {Needle(line, phase=0) for line in lines if len(line) >= _SHORTEST_IN_BASE64}


def _both_alphabets(text: bytes, *, lead: int = 0, trail: int = 0, phase: int = 0) -> set[Needle]:
    url = text.translate(bytes.maketrans(b"+/", b"-_"))
    return {Needle(form, lead=lead, trail=trail, phase=phase) for form in (text, url)}
