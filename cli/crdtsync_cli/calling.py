"""What a command is called with: settings, streams, and the way to a session.

One `Call` per run of the program; commands get it from typer's context.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from crdtsync.catalog import Catalog, Entry
from crdtsync.errors import CrdtSyncError, SessionNotFound, UsageError
from crdtsync.sanitize import clean_text
from crdtsync_cli.printer import write_out
from crdtsync_cli.routing import Routed
from crdtsync_cli.settings import Settings, load

if TYPE_CHECKING:
    from crdtsync.session import Session
    from crdtsync.session.opening import Mode

__all__ = ["Call"]


class Call:
    """One run of the program.

    Attributes:
        flags: The global options as given; None where they were not.
    """

    def __init__(self) -> None:
        self.flags: Mapping[str, str | None] = {}
        self._handler: logging.Handler | None = None

    @cached_property
    def settings(self) -> Settings:
        """The settings; reading them tells people what is odd about the file."""
        settings = load(self.flags, os.environ)
        for warning in settings.warnings:
            self.say(f"warning: {warning}")
        return settings

    @property
    def catalog(self) -> Catalog:
        """The sessions of the data folder."""
        return Catalog(self.settings.data)

    def find(self, session: str) -> Entry:
        """The session a person means.

        Raises:
            SessionNotFound: There is none of that name or id.
        """
        return self.catalog.find(session)

    def knows(self, routed: Routed) -> bool:
        """Whether the bare word is a session of the data folder asked for."""
        words = iter(routed.before)
        self.flags = {w[2:]: next(words, None) for w in words if w == "--data"}
        try:
            self.find(routed.bare)
        except SessionNotFound:
            return False
        finally:
            del self.settings
        return True

    @asynccontextmanager
    async def open(
        self, session: str, mode: Mode = "reader"
    ) -> AsyncGenerator[Session]:
        """Open a session that exists; for most commands unseen by the others.

        The link of a session that is not here joins it first.
        """
        from crdtsync.session.opening import open_session  # noqa: PLC0415 - slow to import
        from crdtsync_cli.linking import local_name  # noqa: PLC0415 - likewise

        async with open_session(
            await local_name(self, session),
            data=self.settings.data,
            name=self.settings.name,
            create=False,
            mode=mode,
        ) as opened:
            yield opened

    def out(self, line: str) -> None:
        """Write a line of the result to stdout, at once."""
        write_out(f"{line}\n")

    def say(self, line: str) -> None:
        """Write a line for people to stderr."""
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    def ask(self, question: str) -> str:
        """Ask a person on stderr; the answer is a line of stdin, "" at its end."""
        sys.stderr.write(question)
        sys.stderr.flush()
        return sys.stdin.readline().strip()

    def tell(self, error: CrdtSyncError) -> None:
        """Tell people of an error on stderr: what, and what to do."""
        self.say(f"error: {clean_text(str(error))}")
        if error.hint:
            self.say(f"hint: {clean_text(error.hint)}")

    @property
    def colors(self) -> bool:
        """Whether stdout gets colours."""
        wanted = self.settings["color"]
        if wanted == "auto":
            plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
            forced = os.environ.get("FORCE_COLOR")
            return bool(forced) or (sys.stdout.isatty() and not plain)
        return wanted == "always"

    def start_log(self) -> None:
        """Send the log to its file, or to stderr where nothing but errors goes.

        Raises:
            UsageError: The file cannot be written.
        """
        level, path = self.settings["log_level"], self.settings["log_file"]
        handler: logging.Handler = logging.StreamHandler()
        if path:
            try:
                handler = logging.FileHandler(Path(path).expanduser())
            except OSError as error:
                raise UsageError(
                    f"the log file {path} cannot be written: {error.strerror}",
                    hint="Choose another one with --log-file.",
                ) from error
        form = "%(asctime)s %(levelname)s %(name)s: %(message)s"
        handler.setFormatter(logging.Formatter(form))
        # Other packages have much to say that helps nobody here.
        logging.getLogger().addHandler(handler)
        self._handler = handler
        for name in ("crdtsync", "crdtsync_cli"):
            logging.getLogger(name).setLevel(level.upper())
        logging.captureWarnings(capture=True)

    def end_log(self) -> None:
        """Close the log; harmless without one."""
        if self._handler is not None:
            logging.getLogger().removeHandler(self._handler)
            self._handler.close()
            self._handler = None
