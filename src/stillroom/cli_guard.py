"""What makes a function a command: its example in the help, and each way of stopping with its message and exit code."""

from __future__ import annotations

import functools
import shlex
import sys
from collections.abc import Callable
from typing import NoReturn, ParamSpec

import typer
from rich.console import Console
from rich.text import Text

from stillroom.base.errors import StillroomError, Stopped
from stillroom.cli_output import visible

P = ParamSpec("P")


def command(app: typer.Typer, name: str, example: str) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Make a function a command of `app`: an example in its help; a message and a code for each way of stopping."""

    def decorate(function: Callable[P, None]) -> Callable[P, None]:
        @app.command(name, epilog=f"Example: `{example}`")
        @functools.wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                function(*args, **kwargs)
            except (KeyboardInterrupt, Stopped) as stop:
                say_stopped(stop)
            except StillroomError as error:
                _say_error(error)
            except BrokenPipeError:
                raise  # whoever read the output has enough of it: nothing is wrong
            except MemoryError:
                _say_error(StillroomError("There is no memory left.", "Close other programs, then run it again."))
            except OSError as error:  # a full disk, a folder's rights, a name too long: any of them, anywhere
                _say_error(_refused_by_the_system(error))

        return guarded

    return decorate


def say_stopped(stop: BaseException) -> NoReturn:
    words = Text("Stopped", style="bold yellow")
    words.append(f": {stop.what}" if isinstance(stop, Stopped) else ". What was finished is kept.", style="not bold")
    remedy = stop.remedy if isinstance(stop, Stopped) else ""
    _print_lines(words, remedy, *_notes(stop), _to_go_on())
    # Where Ctrl-C came out of code run from text (a dataclass being made), CPython remembers it and would end as if the
    # signal had killed it, whatever the exit code. Other code run from text makes it forget.
    exec("")
    raise SystemExit(Stopped.exit_code)


def _say_error(error: StillroomError) -> NoReturn:
    words = Text.assemble(("Error", "bold red"), f": {error.what}")
    notes = _notes(error)
    _print_lines(words, error.remedy, *notes, _to_go_on() if notes else "")
    raise SystemExit(error.exit_code)


def _notes(stop: BaseException) -> list[str]:
    """What a stage that was stopped on its way says of where it stands."""
    return list(getattr(stop, "__notes__", []))


def _to_go_on() -> str:
    return f"To go on: {shlex.join(['stillroom', *sys.argv[1:]])}"


def _print_lines(first: Text, *lines: str) -> None:
    """What another server, a file or an argument says may stand in them: it cannot write on the terminal."""
    first.plain = visible(first.plain)  # a character for each, so that styles stay where they are
    _stderr().print(first, *(Text(visible(line)) for line in lines if line), sep="\n", soft_wrap=True)


def _refused_by_the_system(error: OSError) -> StillroomError:
    what = f"{error.filename}: {error.strerror}." if error.filename else f"{error}."
    return StillroomError(what, "Mend the path, its rights or its disk, then run the same command again.")


def _stderr() -> Console:
    return Console(stderr=True, highlight=False)
