"""The login between the doors and the servers behind them: made once, known to nobody else.

No person or other program needs it: they use the doors. It is needed because a web page could also reach the
servers behind: natively on their ports, with containers by their addresses in the network.
"""

import base64
import secrets
from pathlib import Path

import bcrypt

from rqmon.stack.environment import StackConfig

FILES = ("door_header", "web.yml")
_USER = "doors"
# The minimum: the password has 192 random bits, which more rounds make no harder to guess.
_BCRYPT_ROUNDS = 4


def write_login(config: StackConfig, *, mode: int) -> Path:
    """Write the login, unless there is one: running programs have read it, so it must stay the same.

    Args:
        config: Gives the state directory; the login is in its folder `secrets`, which only its owner may
            enter.
        mode: The files' mode; a container's user is not their owner.

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
