"""Which address of Redis counts: the command line's, then the environment's, then that of `.env`.

In rq-exporter's own order a URL beats a host and a port, wherever either comes from.
"""

import os
from collections.abc import Collection, Sequence

# A URL, or several, say all of it; the options say it in parts.
_URLS = ("RQ_REDIS_URL", "RQ_REDIS_URLS")
_PARTS = ("RQ_REDIS_HOST", "RQ_REDIS_PORT", "RQ_REDIS_DB", "RQ_SENTINEL_HOST")
_URL_OPTION = "--redis-u"  # argparse takes an option's first letters too
_OPTIONS = ("--redis-", "--sentinel-")


def drop_outranked(arguments: Sequence[str], *, in_environment: Collection[str]) -> None:
    """Remove from this process's environment the URLs that something stronger outranks.

    Args:
        arguments: The command line's.
        in_environment: The names of what was set before `.env` was read.
    """
    options = [word for word in arguments if word.startswith(_OPTIONS)]
    if any(option.startswith(_URL_OPTION) for option in options):
        outranked = {"RQ_REDIS_URLS"}
    elif options:
        outranked = set(_URLS)
    elif any(name in in_environment for name in (*_URLS, *_PARTS)):
        outranked = {name for name in _URLS if name not in in_environment}
    else:
        return
    for name in outranked:
        os.environ.pop(name, None)
