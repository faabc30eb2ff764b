"""supervisord's configuration, generated from the services' records.

It contains no paths or commands: they come from the environment, so nothing in them can break its syntax.
"""

from collections.abc import Iterable

from rqmon.stack.services import Service

PROJECT = "RQMON_PROJECT"
# supervisord's tries before it gives a program up; the watch then restarts it.
START_RETRIES = 100

# "." is the state directory, where supervisord is started: paths are expanded twice, which breaks any with a
# %. No program starts by itself: rqmon starts Redis first, and the others once it answers.
_HEAD = """\
[supervisord]
logfile = ./logs/supervisord.log
logfile_maxbytes = 5MB
logfile_backups = 2
pidfile = ./supervisord.pid
childlogdir = ./logs
directory = .
umask = 077

[unix_http_server]
file = ./supervisor.sock
chmod = 0600

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

; Restarts what supervisord has given up, and counts unexpected ends.
[eventlistener:watch]
command = %(ENV_{watch})s
events = PROCESS_STATE_FATAL,PROCESS_STATE_BACKOFF,PROCESS_STATE_EXITED
buffer_size = 100
startretries = {retries}
stderr_logfile = ./logs/watch.log
stderr_logfile_maxbytes = 5MB
stderr_logfile_backups = 2
"""
_PROGRAM = """
[program:{name}]
command = %(ENV_{command})s
{directory}autostart = false
autorestart = true
startretries = {retries}
stopwaitsecs = {stop_seconds}
redirect_stderr = true
stdout_logfile = ./logs/{name}.log
stdout_logfile_maxbytes = 5MB
stdout_logfile_backups = 2
"""
# Our programs run in the project's folder; others use file names relative to the state directory.
_IN_PROJECT = f"directory = %(ENV_{PROJECT})s\n"


def command_variable(name: str) -> str:
    """Return the name of the variable with a program's command, quoted as for a shell."""
    return f"RQMON_COMMAND_{name.upper()}"


def configuration(services: Iterable[Service], *, start_retries: int = START_RETRIES) -> str:
    """Return the text of `supervisord.conf` for these services."""
    programs = (
        _PROGRAM.format(
            name=service.name,
            command=command_variable(service.name),
            directory=_IN_PROJECT if service.command else "",
            retries=start_retries,
            stop_seconds=service.stop_seconds,
        )
        for service in services
    )
    return _HEAD.format(watch=command_variable("watch"), retries=start_retries) + "".join(programs)
