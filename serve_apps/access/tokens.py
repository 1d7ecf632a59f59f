"""The form of a key: `sc_<id>_<secret><checksum>`, as GitHub's tokens: a scanner knows one when it sees it.

The id (12 of 0-9a-z) is public: it stands in logs and names the key's file. The secret is 32 characters of base 62,
190 bits. Six more are the CRC-32 of what comes before: a mistyped key is told from an unknown one without a look-up.
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
    """A whole key with a new secret, the only time that it exists here."""
    body = f"sc_{key_id}_" + "".join(secrets.choice(ALPHABET) for _ in range(SECRET_CHARACTERS))
    return body + checksum(body)


def checksum(body: str) -> str:
    """Six characters of base 62 for what comes before them."""
    number, digits = zlib.crc32(body.encode()), []
    for _ in range(CHECK_CHARACTERS):
        number, digit = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))


def key_id_of(token: str) -> str | None:
    """The id in a well-formed key; None where it isn't one, e.g. mistyped."""
    found = _TOKEN.fullmatch(token)
    if found is None:
        return None
    body, check = token[:-CHECK_CHARACTERS], token[-CHECK_CHARACTERS:]
    return found.group(1) if hmac.compare_digest(check, checksum(body)) else None


def digest(token: str) -> str:
    """What is kept of a key: SHA-256, in hex.

    A slow hash (scrypt, Argon2) makes up for passwords that can be guessed. 190 random bits can't be: at 10^12 guesses
    a second, half of them take 10^37 years. A slow hash would cost every request its time, and give a flooder a lever.
    """
    return hashlib.sha256(b"showcases key 1\0" + token.encode()).hexdigest()
