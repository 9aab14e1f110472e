"""Passwords, as hashes."""

from __future__ import annotations

import hashlib
import hmac
import os


def hashed(password: str, salt: bytes | None = None) -> str:
    salt = salt or os.urandom(8)
    digest = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 1000)
    return f"{salt.hex()}${digest.hex()}"


def matches(password: str, stored: str) -> bool:
    salt, _, _ = stored.partition("$")
    return hmac.compare_digest(hashed(password, bytes.fromhex(salt)), stored)


def strength(password: str) -> str:
    kinds = sum(
        [
            any(each.islower() for each in password),
            any(each.isupper() for each in password),
            any(each.isdigit() for each in password),
            any(not each.isalnum() for each in password),
        ]
    )
    if len(password) < 8 or kinds < 2:
        return "weak"
    if len(password) < 14 and kinds < 3:
        return "fair"
    return "good"
