"""What differs between two evaluations, in words."""

import json
from typing import Any


def differences(before: Any, now: Any, prefix: str = "") -> str:
    """What differs between two descriptions, in words."""
    if not before:
        return "it doesn't say of what"
    differing = _differing(before, now, prefix)
    # Of another protocol everything else differs too.
    differing = [line for line in differing if line[0] in ("name", "protocol.name")] or differing
    found = [f"{name} {_short(old)} there, {_short(new)} now" for name, old, new in differing]
    return "; ".join(found[:6]) + ("; …" if len(found) > 6 else "")


def _differing(before: Any, now: Any, name: str) -> list[tuple[str, Any, Any]]:
    if before == now:
        return []
    if not (isinstance(before, dict) and isinstance(now, dict)):
        return [(name, before, now)]
    found = []
    for key in sorted(before.keys() | now.keys()):
        below = f"{name}.{key}" if name else key
        found += _differing(before.get(key), now.get(key), below)
    return found


def _short(value: Any) -> str:
    text = "none" if value is None else value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 100 else text[:97] + "…"
