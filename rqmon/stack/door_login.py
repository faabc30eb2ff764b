"""The login between the doors and what is behind them: made once, known to nobody else.

No person or program needs it: they ask at the doors. It is there because a page may also ask what is behind,
on its port natively, by its address in the containers' network.
"""

import base64
import secrets
from pathlib import Path

import bcrypt

from rqmon.stack.environment import StackConfig

FILES = ("door_header", "web.yml")
_USER = "doors"
# The lowest: the password has 192 random bits, which no number of rounds makes harder to guess.
_BCRYPT_ROUNDS = 4


def write_login(config: StackConfig, *, mode: int) -> Path:
    """Write the login, unless it is there; the same one stays, because what runs has read it.

    Args:
        config: Where: `secrets` in the state directory, which only its owner may enter.
        mode: Of the files; a container's user is another than their owner.

    Returns:
        The folder: `door_header` has the Authorization header's value, and `web.yml` is the web configuration
        of Prometheus and Alertmanager.
    """
    folder = config.state_dir / "secrets"
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    if not all((folder / name).exists() for name in FILES):
        password = secrets.token_urlsafe(24)
        login = base64.b64encode(f"{_USER}:{password}".encode()).decode()
        digest = bcrypt.hashpw(password.encode(), bcrypt.gensalt(_BCRYPT_ROUNDS)).decode()
        texts = (f"Basic {login}", f"basic_auth_users:\n  {_USER}: {digest}\n")
        for name, text in zip(FILES, texts, strict=True):
            (folder / name).touch(0o600)
            (folder / name).write_text(text)
    for name in FILES:
        (folder / name).chmod(mode)
    return folder
