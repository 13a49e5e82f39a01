"""The command line: `powerpi COMMAND`.

Exit codes are those of sysexits.h where there is one: 0 asked to stop or all is well, 1 a thread died or a check
failed, 2 wrong arguments, 65 a password, a reading or a file will not do, 69 a pin, a port or the mirror cannot be
used or a package is missing, 74 the store refused, 78 the configuration is wrong, 130 interrupted before it had
started, 141 whoever reads what is written had enough.
"""

from __future__ import annotations

import errno
import getpass
import logging
import os
import sys
from collections.abc import Sequence

from powerpi import config
from powerpi.errors import ClosedConfigError, ConfigError, DataError, PowerPiError, StoreError
from powerpi.options import Wishes, parser
from powerpi.user import become_owner

# Of standard output: the store's own are StoreError by then. Without a buffer nothing is left to be tried again.
OUTPUT_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    _fill_streams()
    try:
        try:
            return _main(arguments)
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        _give_up_output()
        return 141  # as a shell tells SIGPIPE
    except OSError as error:
        if not _give_up_output() and (error.filename or error.errno not in OUTPUT_FAULTS):
            raise
        print(f"powerpi: standard output: {error.strerror}", file=sys.stderr)
        return os.EX_IOERR


def _fill_streams() -> None:
    """Have all three streams, also where whoever started this closed some: the next file would take their numbers.

    As with the tools of GNU, reading and writing there fails; what goes to standard error is lost.
    """
    if sys.stdin is None:
        sys.stdin = os.fdopen(os.open(os.devnull, os.O_WRONLY))
    if sys.stdout is None:
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_RDONLY), "w")
    if sys.stderr is None:
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")


def _give_up_output() -> bool:
    """Whether standard output takes no more; then what is left for it is dropped, or the end would try it again."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


def _main(arguments: Sequence[str] | None) -> int:
    wishes = parser().parse_args(arguments)
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", datefmt="%F %T"
    )
    try:
        return COMMANDS[wishes.command](wishes)
    except ConfigError as error:
        print(f"powerpi: {_said(error)}", file=sys.stderr)
        return os.EX_CONFIG
    except StoreError as error:
        if isinstance(error.__cause__, BrokenPipeError):
            raise error.__cause__ from None
        print(f"powerpi: {error}", file=sys.stderr)
        _give_up_output()  # where it is what refused: that is told
        return os.EX_IOERR
    except DataError as error:
        print(f"powerpi: {error}", file=sys.stderr)
        return os.EX_DATAERR
    except PowerPiError as error:
        print(f"powerpi: {error}", file=sys.stderr)
        return os.EX_UNAVAILABLE


def _said(error: ConfigError) -> str:
    if isinstance(error, ClosedConfigError):
        return str(error)
    return "\n".join([f"{error.source} is wrong:", *(f"  {fault}" for fault in error.faults)])


# What a command needs is imported when it runs: `--help` is quick, and the daemon carries no simulation.


def _setup(wishes: Wishes) -> int:
    from powerpi import settling  # noqa: PLC0415

    asked = settling.Wishes._fields
    return settling.run(settling.Wishes(**{name: getattr(wishes, name) for name in asked}))


def _run(wishes: Wishes) -> int:
    from powerpi import daemon, pin  # noqa: PLC0415
    from powerpi.clock import SystemClock  # noqa: PLC0415

    settings = config.load(wishes.config)
    factory = pin.open_factory() if settings.meters else None  # a mirror without meters of its own needs no pins
    return daemon.run(settings, factory, SystemClock(settings.network_time))


def _settings(wishes: Wishes) -> config.Settings:
    """The configuration of a command that uses the state folder: from here on it works as that folder's owner."""
    settings = config.load(wishes.config)
    become_owner(settings.state)
    return settings


def _check(wishes: Wishes) -> int:
    from powerpi import check, report, watching  # noqa: PLC0415

    if wishes.meter and not wishes.watch:
        print("powerpi check: --meter goes with --watch alone; all meters are checked", file=sys.stderr)
        return 2
    if wishes.report:
        return report.run(wishes.config, wishes.seconds)
    return watching.run(_settings(wishes), wishes.meter) if wishes.watch else check.run(wishes.config, wishes.seconds)


def _create(wishes: Wishes) -> int:
    from powerpi import by_hand  # noqa: PLC0415

    return by_hand.create(_settings(wishes))


def _demo(wishes: Wishes) -> int:
    from powerpi import demo  # noqa: PLC0415

    return demo.run(demo.Wishes(wishes.port, wishes.seed, wishes.load, wishes.empty, wishes.state, wishes.mirror))


def _push(wishes: Wishes) -> int:
    from powerpi import by_hand  # noqa: PLC0415

    return by_hand.push(_settings(wishes), wishes.verify, wishes.counter)


def _backup(wishes: Wishes) -> int:
    from powerpi import backup  # noqa: PLC0415

    if wishes.verify:
        return backup.verify(wishes.config, wishes.file)
    return backup.make(wishes.config, wishes.file, wishes.force)


def _export(wishes: Wishes) -> int:
    from powerpi import exporting  # noqa: PLC0415

    wanted = exporting.Wanted(wishes.meter, wishes.step, wishes.start, wishes.end, wishes.output)
    return exporting.run(config.load(wishes.config), wanted)


def _import(wishes: Wishes) -> int:
    from powerpi import importing, source_file  # noqa: PLC0415

    kind = None if wishes.kind == "auto" else wishes.kind
    how = (kind, wishes.times, wishes.overwrite, wishes.dry_run, wishes.skip_bad)
    with source_file.opened(wishes.file) as file:  # before somebody else goes on who may not read it
        return importing.run(_settings(wishes), importing.Wanted(wishes.meter, *how), file)


def _restore(wishes: Wishes) -> int:
    from powerpi import by_hand, restoring  # noqa: PLC0415

    if bool(wishes.file) == wishes.from_mirror:
        print("powerpi restore: wanted either the FILE of a backup or --from-mirror", file=sys.stderr)
        return 2
    if wishes.file:
        return restoring.from_file(wishes.config, wishes.file)
    return by_hand.from_mirror(_settings(wishes))


def _reading(wishes: Wishes) -> int:
    from powerpi import reading_by_hand  # noqa: PLC0415

    asked = reading_by_hand.Typed(**{name: getattr(wishes, name) for name in reading_by_hand.Typed._fields})
    return reading_by_hand.run(_settings(wishes), asked)


def _password(wishes: Wishes) -> int:
    from powerpi import passwords  # noqa: PLC0415

    try:
        print(passwords.hashed(_ask_password(), passwords.QUICK_LOG2_N if wishes.quick else passwords.USUAL_LOG2_N))
    except ValueError as error:
        print(f"powerpi: {error}", file=sys.stderr)
        return os.EX_DATAERR
    return 0


def _ask_password() -> str:
    """A password typed twice, or the first line of what is piped in. Raises ValueError."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    try:
        password, again = getpass.getpass("Password: "), getpass.getpass("Once more: ")
    except EOFError:
        raise ValueError("nothing was typed; nothing was made") from None
    if again != password:
        raise ValueError("the two differ; nothing was made")
    return password


COMMANDS = {
    "setup": _setup,
    "run": _run,
    "check": _check,
    "doctor": _check,
    "create": _create,
    "reading": _reading,
    "push": _push,
    "backup": _backup,
    "export": _export,
    "import": _import,
    "restore": _restore,
    "password": _password,
    "demo": _demo,
}
