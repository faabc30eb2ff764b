"""Which packages the commands need beside the core's."""


def what_is_missing(error: ModuleNotFoundError) -> str:
    """A sentence on which extra to install.

    Raises:
        ModuleNotFoundError: It is a module of ours, which no installation lacks.
    """
    name = (error.name or "").partition(".")[0]
    if name in ("rqmon", "scheduler"):
        raise error
    return f"The commands need {name}, which is not installed: run pip install 'rqmon[stack]'"
