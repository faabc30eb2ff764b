"""The packages that the commands need besides the core's."""


def what_is_missing(error: ModuleNotFoundError) -> str:
    """Say which extra to install.

    Raises:
        ModuleNotFoundError: The module is one of ours, which every installation has.
    """
    name = (error.name or "").partition(".")[0]
    if name in ("rqmon", "scheduler"):
        raise error
    return f"The commands need {name}, which is not installed: run pip install 'rqmon[stack]'"
