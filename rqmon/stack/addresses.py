"""What may be written where alerts are told: URLs, mail addresses, a mail server, a key.

Stricter than Alertmanager, which ends at its start over one that it can't read. A message never has what was
written: a URL or a key is a secret, and anything else may be one in the wrong place.
"""

import ipaddress
import re

from scheduler.errors import ConfigError

_ESCAPED = "%[0-9A-Fa-f]{2}"
# What RFC 3986 allows in every part. It has no braces, which would begin one of Alertmanager's templates.
_LITERAL = r"\-A-Za-z0-9._~!$&'()*+,;="
_URL = re.compile(
    rf"https?://(?:(?:[{_LITERAL}:]|{_ESCAPED})*@)?(?P<server>[^/?#@]+)"
    rf"(?:/(?:[{_LITERAL}:@/]|{_ESCAPED})*)?"
    rf"(?:\?(?:[{_LITERAL}:@/?\[\]]|{_ESCAPED})*)?"
    rf"(?:#(?:[{_LITERAL}:@/?]|{_ESCAPED})*)?"
)
_SERVER = re.compile(r"(?P<host>[A-Za-z0-9._-]+|\[(?P<ipv6>[0-9A-Fa-f:.]+)\])(?::(?P<port>[0-9]{1,5}))?")
_WORD = r"[A-Za-z0-9!#$%&'*+/=?^_`|~-]+"
_MAIL = rf"{_WORD}(?:\.{_WORD})*@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?"
_NAMED = rf'(?:{_MAIL}|(?:"[\w .,()&\'-]+"|{_WORD}(?: {_WORD})*) *<{_MAIL}>)'
_MAIL_FORMS = "use team@example.org, or Team <team@example.org>"


def check_url(name: str, value: str) -> None:
    """Refuse what is no http(s) URL.

    Raises:
        ConfigError: It is none.
    """
    found = _URL.fullmatch(value)
    if not found or not _is_server(found["server"]):
        raise ConfigError(
            f"{name} is no URL: use https://host/path, in ASCII, and special characters as %XX, as in %20"
        )


def check_mail(name: str, value: str) -> None:
    """Refuse what is no mail address.

    Raises:
        ConfigError: It is none.
    """
    if not re.fullmatch(_NAMED, value):
        raise ConfigError(f"{name} is no mail address: {_MAIL_FORMS}")


def check_mails(name: str, value: str) -> None:
    """Refuse what is neither a mail address nor several, with commas between.

    Raises:
        ConfigError: It is none.
    """
    if not re.fullmatch(rf"{_NAMED}(?: *, *{_NAMED})*", value):
        raise ConfigError(f"{name} is no mail address: {_MAIL_FORMS}, and commas between several")


def check_mail_server(name: str, value: str) -> None:
    """Refuse what is no host with a port.

    Raises:
        ConfigError: It is none.
    """
    if not _is_server(value, with_port=True):
        raise ConfigError(f"{name} is no mail server: use host:port, as in mail.example.org:587")


def check_key(name: str, value: str) -> None:
    """Refuse what is no key.

    Raises:
        ConfigError: It has something else than letters, digits, - and _.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]+", value):
        raise ConfigError(f"{name} is no key: use letters, digits, - and _ only")


def check_login(name: str, value: str) -> None:
    """Refuse what no file of Alertmanager's can have.

    Raises:
        ConfigError: It has a control character, or another that shows nothing.
    """
    if not value.isprintable():
        raise ConfigError(f"{name} has a character that can't be printed: use none")


def _is_server(text: str, *, with_port: bool = False) -> bool:
    """Whether it is a host or an IP address, IPv6 in brackets, and a port where one is given or needed."""
    found = _SERVER.fullmatch(text)
    if not found or (with_port and not found["port"]) or not 0 < int(found["port"] or 1) < 65_536:
        return False
    if found["ipv6"]:
        try:
            ipaddress.IPv6Address(found["ipv6"])
        except ValueError:
            return False
    return True
