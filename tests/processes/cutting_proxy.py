"""A proxy for a Redis that cuts connections, answers in its place, or makes something happen first."""

import contextlib
import socket
import threading
from collections.abc import Callable

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

READONLY = "READONLY You can't write against a read only replica."
BEFORE, AFTER = "before", "after"  # cut before Redis is asked, or after it has answered
Command = list[bytes]
# What to do with a request (a command or a transaction): nothing, one of the above, or an error's text.
Rule = Callable[[list[Command]], str | None]


def commands_in(buffer: bytes) -> tuple[list[Command], int]:
    """Return the complete commands at the start of a buffer, and where they end."""
    found, end = [], 0
    while buffer[end : end + 1] == b"*":
        command, position = [], buffer.find(b"\r\n", end) + 2
        for _ in range(int(buffer[end + 1 : position or len(buffer)] or 0) if position > 1 else 0):
            line = buffer.find(b"\r\n", position) + 2
            if line < 2:
                return found, end
            size = int(buffer[position + 1 : line])
            if len(buffer) < line + size + 2:
                return found, end
            command.append(buffer[line : line + size])
            position = line + size + 2
        if not command:
            return found, end
        found.append(command)
        end = position
    return found, end


class CuttingProxy:
    """Passes each request to a rule, a transaction as a whole."""

    def __init__(self, target_port: int, rule: Rule) -> None:
        self.target_port, self.rule = target_port, rule
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def client(self, direct: Redis) -> Redis:
        """Return a client like this one through the proxy, but without the retries of newer redis-py."""
        server = direct.connection_pool.connection_kwargs
        retry = Retry(NoBackoff(), 0)
        return Redis(port=self.port, db=server["db"], password=server.get("password"), retry=retry)

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
                server = socket.create_connection(("127.0.0.1", self.target_port))
            except OSError:
                return
            answers_dropped = threading.Event()
            for serve in (self._requests, self._answers):
                threading.Thread(target=serve, args=(client, server, answers_dropped), daemon=True).start()

    def _requests(self, client: socket.socket, server: socket.socket, dropped: threading.Event) -> None:
        buffer = b""
        with contextlib.suppress(OSError):
            while data := client.recv(1 << 20):
                buffer += data
                commands, end = commands_in(buffer)
                if not commands or (commands[0] == [b"MULTI"] and commands[-1] != [b"EXEC"]):
                    continue
                request, buffer = buffer[:end], buffer[end:]
                action = self.rule(commands)
                if action == BEFORE:
                    break
                if action == AFTER:
                    dropped.set()
                if action in (None, AFTER):
                    server.sendall(request)
                else:
                    client.sendall(b"".join(_refuse(command, action) for command in commands))
        _cut(client, server)

    def _answers(self, client: socket.socket, server: socket.socket, dropped: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while (data := server.recv(1 << 20)) and not dropped.is_set():
                client.sendall(data)
        _cut(client, server)


def _refuse(command: Command, error: str) -> bytes:
    if command == [b"MULTI"]:
        return b"+OK\r\n"
    if command == [b"EXEC"]:
        error = "EXECABORT Transaction discarded because of previous errors."
    return f"-{error}\r\n".encode()


def _cut(*sockets: socket.socket) -> None:
    for each in sockets:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()
