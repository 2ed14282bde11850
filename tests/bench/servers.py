"""The relay and its peers as processes, and one Node load generator for all of them.

Peers come from npm and keep everything in memory; the relay has every update on disk.
It judges nothing: the measurements that use it do.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from crdtsync.sync.conduct import window_hello
from crdtsync.sync.wire import encode

OURS, UVICORN = "crdtsync relay", "the same on uvicorn"
HOCUSPOCUS, Y_WEBSOCKET = "hocuspocus", "y-websocket"
PYCRDT_WEBSOCKET = "pycrdt-websocket"

INSTALL_S = 120.0
START_S = 60.0
STOP_S = 15.0
SOURCE = Path(__file__).parent / "node"
ROOT = Path(__file__).parent.parent.parent
ENTRY = "import sys; from crdtsync_cli.entry import main; main(sys.argv[1:])"


class Missed(Exception):
    """Not every delivery happened."""


@dataclass
class Server:
    """One server on loopback.

    Attributes:
        name: Which.
        command: Its words.
        folder: Where it runs, and the load generator with it.
        port: Where it listens.
        data: The relay's data folder.
        process: While it runs.
    """

    name: str
    command: Sequence[str]
    folder: Path
    port: int
    data: Path
    process: subprocess.Popen[bytes] | None = field(default=None)

    def start(self) -> bool:
        """Start it; tells whether it takes connections."""
        quiet = subprocess.DEVNULL
        # With a group of its own, so that a wrapper's child ends with it.
        self.process = subprocess.Popen(
            self.command,
            cwd=self.folder,
            stdout=quiet,
            stderr=quiet,
            start_new_session=True,
        )
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return True
        return False

    def stop(self) -> None:
        """End it, in peace if it can."""
        if self.process is None:
            return
        group = self.process.pid
        with suppress(subprocess.TimeoutExpired, ProcessLookupError):
            os.killpg(group, signal.SIGTERM)
            self.process.wait(STOP_S)
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        self.process.wait()

    def cpu_s(self) -> float:
        """User and system time of all its threads so far, seconds."""
        assert self.process is not None
        times = psutil.Process(_serving_pid(self.process.pid)).cpu_times()
        return float(times.user + times.system)


@dataclass(frozen=True, slots=True)
class Told:
    """What one load came to.

    Attributes:
        figures: As the load generator printed them.
        cpu_s: What the server took from the first update to the last delivery.
    """

    figures: Mapping[str, Any]
    cpu_s: float

    @property
    def cpu_us(self) -> float:
        """Server time per delivery, microseconds."""
        return self.cpu_s * 1e6 / float(self.figures["deliveries"])


@contextmanager
def servers(*names: str) -> Iterator[dict[str, Server]]:
    """Run servers, without those that cannot be installed or do not come up."""
    if not (shutil.which("node") and shutil.which("npm")):
        yield {}
        return
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = _install(Path(name))
        running = {}
        for one in names:
            server = _server(one, folder)
            stack.callback(server.stop)
            if server.start():
                running[one] = server
        yield running


def load(server: Server, *, window: bool = False, **wish: object) -> Told:
    """Put load on a server.

    Args:
        server: Which runs.
        window: Speak layer 2, which only the relay does.
        wish: What `load.mjs` takes.

    Raises:
        Missed: Not every delivery happened.
    """
    with loading(server, window=window, **wish) as generator:
        return generator.end()


@dataclass
class Generator:
    """The load generator at work, its clients in step with the server."""

    server: Server
    process: subprocess.Popen[bytes]
    started_cpu_s: float

    def figures(self) -> Mapping[str, Any]:
        """Wait for the figures."""
        return _line(self.process, "end")

    def end(self) -> Told:
        """Wait for the figures of a server that ran all the time."""
        figures = self.figures()
        return Told(figures, self.server.cpu_s() - self.started_cpu_s)


@contextmanager
def loading(
    server: Server, *, window: bool = False, **wish: object
) -> Iterator[Generator]:
    """Start the load generator, and go on when its clients are in step."""
    kinds = {HOCUSPOCUS: "hocuspocus"}
    path = "/ws" if server.name in {OURS, UVICORN} else ""
    target = {
        "kind": "window" if window else kinds.get(server.name, "plain"),
        "url": f"ws://127.0.0.1:{server.port}{path}",
        "hello": encode(window_hello("")).hex(),
    }
    words = ["node", "load.mjs", json.dumps({"server": target, **wish})]
    with subprocess.Popen(
        words, cwd=server.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            _line(process, "start")
            yield Generator(server, process, server.cpu_s())
        finally:
            process.kill()


def _line(process: subprocess.Popen[bytes], at: str) -> Mapping[str, Any]:
    assert process.stdout is not None
    assert process.stderr is not None
    line = process.stdout.readline()
    if not line:
        raise Missed(process.stderr.read().decode())
    told: Mapping[str, Any] = json.loads(line)
    if told["at"] != at:
        raise Missed(f"{told['at']} came before {at}")
    return told


def _server(name: str, folder: Path) -> Server:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = int(listener.getsockname()[1])
    data = folder / name.replace(" ", "-")
    command = [word.replace("{port}", str(port)) for word in _command(name, str(data))]
    return Server(name, command, folder, port, data)


def _command(name: str, data: str) -> Sequence[str]:
    """What starts a server; without `uv` those of Python elsewhere do not come up."""
    extra = ["uv", "run", "--no-sync", "--project", str(ROOT), "--directory", str(ROOT)]
    commands: dict[str, Sequence[str]] = {
        OURS: [
            *(sys.executable, "-c", ENTRY, "--data", data),
            *("relay", "--bind", "127.0.0.1:{port}"),
        ],
        HOCUSPOCUS: ["node", "hocuspocus.mjs", "{port}"],
        Y_WEBSOCKET: [
            *("sh", "-c", "HOST=127.0.0.1 PORT=$0 exec node $1", "{port}"),
            "node_modules/@y/websocket-server/src/server.js",
        ],
        UVICORN: [
            *(*extra, "--with", "uvicorn", "--with", "websockets"),
            *("python", "-m", "tests.bench.relay_elsewhere", data, "{port}"),
        ],
        PYCRDT_WEBSOCKET: [
            *(*extra, "--with", "uvicorn", "--with", "websockets"),
            *("--with", "pycrdt-websocket==0.16.5"),
            *("python", "-m", "tests.bench.relay_pycrdt", "{port}"),
        ],
    }
    return commands[name]


def _serving_pid(pid: int) -> int:
    """Of a wrapper that waits for the server, the server."""
    children = psutil.Process(pid).children()
    return children[0].pid if children and "uv" in _name(pid) else pid


def _name(pid: int) -> str:
    return psutil.Process(pid).name()


def _install(folder: Path) -> Path:
    for path in SOURCE.iterdir():
        if path.is_file():
            shutil.copy(path, folder)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    subprocess.run(command, cwd=folder, check=True, timeout=INSTALL_S)
    return folder
