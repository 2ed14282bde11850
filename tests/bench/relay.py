"""A burst through the relay, beside hocuspocus and y-websocket, in the same run.

One Node load generator for all; it fails unless every client got every update. The
relay has every update on disk, the others keep theirs in memory.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

from tests.bench.rows import Row

CLIENTS = 20
UPDATES = 2000
ROUNDS = 5
DEADLINE_S = 60
INSTALL_S = 120.0
SOURCE = Path(__file__).parent / "node"
ROOT = Path(__file__).parent.parent.parent

OURS, UVICORN = "crdtsync relay", "the same on uvicorn"
HOCUSPOCUS, Y_WEBSOCKET = "hocuspocus", "y-websocket"


def run() -> list[Row]:
    """Measure deliveries per second, the servers in turns."""
    if not (shutil.which("node") and shutil.which("npm")):
        return []
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = _install(Path(name))
        targets = {}
        for server, command in _commands(folder).items():
            port = _free_port()
            words = [word.replace("{port}", str(port)) for word in command]
            if stack.enter_context(_serving(words, folder, port)):
                targets[server] = port
        rates: dict[str, list[float]] = {server: [] for server in targets}
        for number in range(ROUNDS):
            for server, port in targets.items():
                rates[server].append(_burst(folder, server, port, number))
    return _rows({server: median(found) for server, found in rates.items()})


def _rows(rates: Mapping[str, float]) -> list[Row]:
    ours = rates[OURS]
    limits = {HOCUSPOCUS: 2.0, Y_WEBSOCKET: 4.0, UVICORN: 0.0}
    return [
        Row(
            name=f"burst, 1 room x {CLIENTS} clients, beside {server}",
            value=ours,
            unit="deliveries/s",
            floor=rate,
            ratio=ours / rate,
            limit=f">= {limits[server]:g}x" if limits[server] else "",
            ok=ours >= limits[server] * rate,
        )
        for server, rate in rates.items()
        if server != OURS
    ]


def _install(folder: Path) -> Path:
    for path in SOURCE.iterdir():
        if path.is_file():
            shutil.copy(path, folder)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    subprocess.run(command, cwd=folder, check=True, timeout=INSTALL_S)
    return folder


def _commands(folder: Path) -> dict[str, Sequence[str]]:
    module = "import sys; from crdtsync_cli.entry import main; main(sys.argv[1:])"
    data = str(folder / "ours")
    bind = ["relay", "--bind", "127.0.0.1:{port}"]
    commands: dict[str, Sequence[str]] = {
        OURS: [sys.executable, "-c", module, "--data", data, *bind],
        HOCUSPOCUS: ["node", "hocuspocus.mjs", "{port}"],
        Y_WEBSOCKET: [
            *("sh", "-c", "HOST=127.0.0.1 PORT=$0 exec node $1", "{port}"),
            "node_modules/@y/websocket-server/src/server.js",
        ],
    }
    if shutil.which("uv"):
        program = ["python", "-m", "tests.bench.relay_elsewhere"]
        extra = ["uv", "run", "--no-sync", "--with", "uvicorn", "--with", "websockets"]
        here = ["--project", str(ROOT), "--directory", str(ROOT)]
        commands[UVICORN] = [*extra, *here, *program, str(folder / "uvicorn"), "{port}"]
    return commands


@contextmanager
def _serving(command: Sequence[str], folder: Path, port: int) -> Iterator[bool]:
    """Run a server; tells whether it came up."""
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield _comes_up(process, port)
        finally:
            process.terminate()


def _comes_up(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return True
    return False


def _burst(folder: Path, server: str, port: int, number: int) -> float:
    """Deliveries per second of one burst into a new room."""
    kind = "hocuspocus" if server == HOCUSPOCUS else "plain"
    path = "/ws" if server in {OURS, UVICORN} else ""
    url = f"ws://127.0.0.1:{port}{path}"
    words = [kind, url, f"room-{number}", str(CLIENTS), str(UPDATES), str(DEADLINE_S)]
    found = subprocess.run(
        ["node", "load.mjs", *words],
        cwd=folder,
        check=True,
        capture_output=True,
        timeout=DEADLINE_S + 10,
    )
    told = json.loads(found.stdout)
    return float(told["deliveries"]) / float(told["seconds"])


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
