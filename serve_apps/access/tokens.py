"""The format of a key: `sc_<id>_<secret><checksum>`, like GitHub's tokens, so that secret scanners recognize it.

The id (12 of 0-9a-z) is public: it appears in logs and names the key's file. The secret is 32 base-62 characters,
190 bits. The last six are a CRC-32 of the rest, which detects mistyped keys without a lookup.
"""

import hashlib
import hmac
import re
import secrets
import string
import zlib

ID_ALPHABET = string.digits + string.ascii_lowercase
ALPHABET = ID_ALPHABET + string.ascii_uppercase
ID_CHARACTERS, SECRET_CHARACTERS, CHECK_CHARACTERS = 12, 32, 6
ID = re.compile(rf"[0-9a-z]{{{ID_CHARACTERS}}}")
_TOKEN = re.compile(rf"sc_({ID.pattern})_[0-9A-Za-z]{{{SECRET_CHARACTERS + CHECK_CHARACTERS}}}")


def new_id() -> str:
    """A key's public id."""
    return "".join(secrets.choice(ID_ALPHABET) for _ in range(ID_CHARACTERS))


def new_token(key_id: str) -> str:
    """A complete key with a new secret; only its hash is stored."""
    body = f"sc_{key_id}_" + "".join(secrets.choice(ALPHABET) for _ in range(SECRET_CHARACTERS))
    return body + checksum(body)


def checksum(body: str) -> str:
    """CRC-32 of the body as six base-62 characters."""
    number, digits = zlib.crc32(body.encode()), []
    for _ in range(CHECK_CHARACTERS):
        number, digit = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))


def key_id_of(token: str) -> str | None:
    """The id of a well-formed key; None if it is malformed or mistyped."""
    found = _TOKEN.fullmatch(token)
    if found is None:
        return None
    body, check = token[:-CHECK_CHARACTERS], token[-CHECK_CHARACTERS:]
    return found.group(1) if hmac.compare_digest(check, checksum(body)) else None


def digest(token: str) -> str:
    """The stored hash of a key: SHA-256, in hex.

    Slow hashes (scrypt, Argon2) protect guessable passwords. 190 random bits aren't guessable: half of them take 10^37
    years at 10^12 guesses per second. A slow hash would only delay every request and make flooding easier.
    """
    return hashlib.sha256(b"showcases key 1\0" + token.encode()).hexdigest()
