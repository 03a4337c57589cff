"""The entry of the command line: every failure becomes one line on standard error and an exit status.

The libraries are imported within the functions, so that Ctrl-C during their import is such a line too.
"""

import logging
import os
import re
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from sightline.errors import SightlineError, Stopped
from sightline.logger import LOGGER

if TYPE_CHECKING:
    from typer import TyperException

COMPLETE = "_SIGHTLINE_COMPLETE"
"""The environment variable by which the shell's completion script asks for completions."""

_SOURCES = "--data once for each (--data A.tar --data B.tar), or a pattern in quotes (--data '*.tar')"


def run() -> None:
    """The console script. Ends the process without taking torch and Lance apart, which takes longer than a search."""
    _in_utf8()
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # the calling process closed it
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 (for the rest of the process)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else the calling process ignores Ctrl-C
        signal.signal(signal.SIGINT, _interrupt)
    status = main()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # the reading process has ended
            stream.flush()
    os._exit(status)


def _in_utf8() -> None:
    """Start again in Python's UTF-8 mode where the locale has another encoding for names of files: the libraries that
    read images, videos and tables know UTF-8 alone. What is printed stays in the encoding of the terminal."""
    if os.name != "posix" or sys.flags.utf8_mode or sys.getfilesystemencoding() == "utf-8":
        return
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    environment = {"PYTHONIOENCODING": encoding} | dict(os.environ) | {"PYTHONUTF8": "1"}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)


def _interrupt(signal_number: int, frame: FrameType | None) -> None:
    """Ctrl-C. During an import the process ends at once: some libraries swallow a KeyboardInterrupt there."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            with suppress(OSError):
                os.write(2, b"sightline: stopped\n")
            os._exit(Stopped.exit_code)
        frame = frame.f_back
    raise KeyboardInterrupt


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line (without the program's name) and return its exit status.

    0: done; 1: failed; 2: wrong use; 130: stopped by Ctrl-C.
    """
    args = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        # Characters that the terminal's encoding lacks are written as escapes.
        getattr(stream, "reconfigure", lambda **_: None)(errors="backslashreplace")
    try:
        with _warnings_shown():
            status = _run(args)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # The process that read the output has ended (`| head`): the rest of it goes to the null device.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return _fail(str(Stopped()), Stopped.exit_code)
    except Exception as error:
        # Looked for in the arguments as they stand: reading them may be what failed.
        if "--debug" in args:
            traceback.print_exc()
        return _fail(*_explain(error))


class _Lines(logging.Handler):
    """Each warning as a line on standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        from sightline.cli.output import one_line

        with suppress(OSError, ValueError):  # closed
            print(f"sightline: {one_line(record.getMessage())}", file=sys.stderr)


@contextmanager
def _warnings_shown() -> Iterator[None]:
    """Within, the logger's warnings are shown."""
    lines = _Lines(logging.WARNING)
    LOGGER.addHandler(lines)
    try:
        yield
    finally:
        LOGGER.removeHandler(lines)


def _run(args: list[str]) -> int:
    import typer

    from sightline.cli.program import app

    command = typer.main.get_command(app)
    if instruction := os.environ.get(COMPLETE):
        from typer.completion import shell_complete

        return shell_complete(command, {}, "sightline", COMPLETE, instruction)
    try:
        with command.make_context("sightline", list(args)) as context:
            command.invoke(context)
    except typer.Exit as exit:
        return exit.exit_code
    except SystemExit as exit:  # typer's way out of --install-completion and --show-completion
        return int(exit.code or 0)
    return 0


def _fail(message: str, status: int) -> int:
    from sightline.cli.output import one_line

    print(f"sightline: {one_line(message)}", file=sys.stderr)
    return status


def _explain(error: Exception) -> tuple[str, int]:
    """The message and the exit status of an error."""
    if isinstance(error, SightlineError):
        return str(error), error.exit_code

    from typer import TyperException

    if isinstance(error, TyperException):
        return _usage(error), error.exit_code

    hint = "run again with --debug for the traceback"
    if isinstance(error, (ImportError, AttributeError)):
        from sightline.distribution import clash

        hint = clash() or hint
    return f"{_unexpected(error)}; {hint}", 1


def _usage(error: "TyperException") -> str:
    message = _wrong_value(error) or error.format_message().rstrip(".")
    context = getattr(error, "ctx", None)  # of the command that refused its arguments
    command = "sightline" if context is None else context.command_path
    hint = f"see `{command} --help`"
    if message.startswith("No such option") and command == "sightline search":
        hint = 'a text that begins with a dash goes after "--", options before it; ' + hint
    if message.startswith("Got unexpected extra argument") and command == "sightline search":
        hint = 'a text of several words needs quotes: sightline search "a dog"; ' + hint
    if message.startswith("Got unexpected extra argument") and command == "sightline train":
        hint = f"several sources: {_SOURCES}; {hint}"
    return f"{message} ({hint})"


def _wrong_value(error: "TyperException") -> str | None:
    """The value and what to give in its place, "-k x: give a whole number"; None if the error is of another kind.

    The parser's values are checked by pydantic, whose words are for programmers.
    """
    param, errors = getattr(error, "param", None), getattr(error.__cause__, "errors", None)
    if param is None or errors is None:
        return None
    details = errors()[0]
    kind, limits, message = details["type"], details.get("ctx", {}), str(details["msg"])
    _, is_choice, choices = message.rpartition(" is not one of ")
    if is_choice:
        *others, last = re.findall(r"'([^']*)'", choices)
        wanted = f"choose {', '.join(others)} or {last}" if others else f"only {last} is possible"
    elif kind.startswith("int_"):
        wanted = "give a whole number"
    elif kind.startswith("float_"):
        wanted = "give a number"
    elif kind == "greater_than_equal":
        wanted = f"give at least {limits['ge']}"
    elif kind == "less_than_equal":
        wanted = f"give at most {limits['le']}"
    else:
        wanted = message.removeprefix("Value error, ").rstrip(".")
    name = param.opts[0] if param.param_type_name == "option" else param.metavar
    return f"{name} {details['input']}: {wanted}"


def _unexpected(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
