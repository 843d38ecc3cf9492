"""The systemd unit of the daemon: what it says, and which files the service can use under it."""

import grp
import os
import pwd
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from voxd.config.base_dirs import SYSTEM_CREDENTIALS_DIR, UNIT, UNIT_DIRECTORIES
from voxd.config.files.access import (
    EXECUTE,
    READ,
    Account,
    Obstacle,
    OwnView,
    Use,
    View,
    denied,
    kind_obstacle,
    not_a_program,
    obstacle_of,
)
from voxd.config.paths import default_config_file
from voxd.config.secrets import Reading, read_credential, read_source

# systemd.exec(5), "$PATH": what a system service gets.
SERVICE_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")

# systemd.exec(5): what these settings take away.
_HOMES = ("/home", "/root", "/run/user")
_TEMPORARY = ("/tmp", "/var/tmp")

_TRUE = {"yes", "true", "on", "1"}
_SPECIFIERS = {"%S": "/var/lib", "%C": "/var/cache", "%t": "/run", "%E": "/etc", "%%": "%"}


@dataclass(frozen=True, slots=True)
class ServiceUnit:
    """The settings of a unit with its drop-ins; every value of a list setting is in it."""

    settings: Mapping[str, Sequence[str]]

    def one(self, key: str, default: str = "") -> str:
        """Return the last value of ``key``."""
        values = self.settings.get(key) or (default,)
        return values[-1]

    def words(self, key: str) -> list[str]:
        """Return the words of all values of ``key``, without the marks of optional paths."""
        words = [word for value in self.settings.get(key, ()) for word in value.split()]
        return [word.lstrip("-+") for word in words]

    def environment(self, name: str) -> str:
        """Return an environment variable that the unit sets, "" if it sets none."""
        found = [word.partition("=")[2] for word in self.words("Environment") if word.startswith(f"{name}=")]
        return found[-1] if found else ""

    def config_file(self) -> Path | None:
        """Return the file that ``ExecStart`` names with --config."""
        words = self.one("ExecStart").split()
        return next((Path(words[at + 1]) for at, word in enumerate(words[:-1]) if word == "--config"), None)


def installed_unit(root: Path = Path("/")) -> ServiceUnit | None:
    """Return the installed unit of the daemon, None when there is none. Never raises."""
    directories = [root / directory for directory in UNIT_DIRECTORIES]
    main = next((text for each in directories if (text := _text(each / UNIT)) is not None), None)
    if main is None:
        return None
    drop_ins: dict[str, str] = {}
    # In reverse: a drop-in of /etc replaces one of the same name below it.
    for directory in reversed(directories):
        drop_ins |= {file.name: _text(file) or "" for file in directory.glob(f"{UNIT}.d/*.conf")}
    return ServiceUnit(_parse("\n".join((main, *(drop_ins[name] for name in sorted(drop_ins))))))


class ServiceView:
    """The files as the service sees them: its user, its groups and its sandbox."""

    def __init__(self, unit: ServiceUnit, account: Account) -> None:
        self._account = account
        self._home = unit.environment("HOME") or "/"
        self._directory = unit.one("WorkingDirectory") or "/"
        self._visibility = tuple(_visibility(unit))
        self._execution = (
            *((path, "NoExecPaths") for path in unit.words("NoExecPaths")),
            *((path, "") for path in unit.words("ExecPaths")),
        )
        self._unit = unit
        self._who = f"the service (user {account.name})"

    def look(self, name: str, use: Use) -> Obstacle | None:
        """See `voxd.config.files.access.View.look`."""
        if use is Use.RUN and "/" not in name:
            on_path = next((each for each in SERVICE_PATH if Path(each, name).is_file()), None)
            if on_path is None:
                return not_a_program(name)
            name = f"{on_path}/{name}"
        if name == "~" or name.startswith("~/"):
            name = self._home + name[1:]
        # Joined with an absolute path the directory has no effect.
        path = Path(os.path.normpath(Path(self._directory, name)))
        try:
            # An outer link first: the sandbox hides the place that it leads to.
            return self._look_at(path, Path(os.path.realpath(path)), use)
        except PermissionError:
            return Obstacle("cannot be examined by this user", "run `sudo voxctl config check`")
        except (OSError, ValueError) as error:
            return obstacle_of(error)

    def secret(self, kind: str, name: str) -> Reading | None:
        """See `voxd.config.files.access.View.secret`."""
        if kind == "env":
            return self._variable(name)
        if kind == "file":
            if obstacle := self.look(name, Use.READ):
                return Reading(None, f"{name} {obstacle.message}: {obstacle.hint}")
            return read_source(kind, os.path.join(self._home, name.removeprefix("~/")), {})
        # systemd itself reads it, as root: what matters is that the file is there.
        if not os.access(SYSTEM_CREDENTIALS_DIR, os.X_OK) and os.path.isdir(SYSTEM_CREDENTIALS_DIR):
            return None
        return read_credential(name, (SYSTEM_CREDENTIALS_DIR,))

    def _variable(self, name: str) -> Reading | None:
        if value := self._unit.environment(name):
            return Reading(value)
        # systemd.exec(5): the service has none of the variables of a shell.
        for file in self._unit.words("EnvironmentFile"):
            text = _text(Path(file))
            if text is None:
                return None
            if found := re.search(rf"^\s*{re.escape(name)}=(.*)$", text, re.MULTILINE):
                return Reading(found[1].strip().strip("'\""))
        hint = f"use {{ credential = ... }} and `voxctl secret set`, or `systemctl edit {UNIT}`"
        return Reading(None, f"{UNIT} does not set {name}: {hint}")

    def _look_at(self, path: Path, real: Path, use: Use) -> Obstacle | None:
        """``real`` is ``path`` with its links followed. Raises `OSError`."""
        place, mode = ("/etc/voxd/hooks.d", 755) if use is Use.RUN else ("/etc/voxd", 644)
        move = f"run `sudo install -m {mode} {path} {place}/` and use {place}/{path.name}"
        for each in (path, real):
            if setting := _nearest(each, self._visibility):
                return Obstacle(f"is hidden from the service by {setting} of {UNIT}", move)
        if obstacle := kind_obstacle(real.stat()):
            return obstacle
        for parent in reversed(real.parents):
            if not self._account.may(parent, EXECUTE):
                return Obstacle(f"cannot be reached by {self._who}: {parent} is closed to it", move)
        if not self._account.may(real, _needed(real, use)):
            return denied(use, str(path), self._who)
        if use is Use.RUN and (setting := _nearest(real, self._execution)):
            return Obstacle(f"may not be run by the service: {setting} of {UNIT}", move)
        return None


def daemon_view(file: Path | None, environ: Mapping[str, str], root: Path = Path("/")) -> View:
    """Return the view of the daemon that reads the configuration ``file`` (None: the default one).

    That is the installed service when root asks, or when the file is the one of the service; else a
    daemon of this user.
    """
    unit = installed_unit(root)
    # Set by systemd, and by scripts/run and scripts/voxctl: the daemon has the environment of this process.
    if unit is None or environ.get("STATE_DIRECTORY"):
        return OwnView(environ)
    chosen = default_config_file(environ) if file is None else file
    return service_view(unit) if os.geteuid() == 0 or chosen == unit.config_file() else OwnView(environ)


def service_view(unit: ServiceUnit) -> ServiceView:
    """Return the view of the service that ``unit`` describes."""
    name = unit.one("User", "root")
    try:
        user = pwd.getpwnam(name)
        gids = {user.pw_gid, *os.getgrouplist(name, user.pw_gid)}
        uid = user.pw_uid
    except KeyError:
        # Not made yet: then only what all users may do counts.
        uid, gids = -1, set()
    for group in unit.words("Group") + unit.words("SupplementaryGroups"):
        try:
            gids.add(grp.getgrnam(group).gr_gid)
        except KeyError:
            continue
    return ServiceView(unit, Account(name, uid, frozenset(gids)))


def _visibility(unit: ServiceUnit) -> Iterator[tuple[str, str]]:
    """Yield paths and the setting that hides what is below them, "" for a path that is shown again."""
    home = unit.one("ProtectHome", "no")
    if home.lower() in _TRUE or home == "tmpfs":
        yield from ((path, f"ProtectHome={home}") for path in _HOMES)
    if unit.one("PrivateTmp").lower() in _TRUE or unit.one("PrivateTmp") == "disconnected":
        yield from ((path, f"PrivateTmp={unit.one('PrivateTmp')}") for path in _TEMPORARY)
    for key in ("InaccessiblePaths", "TemporaryFileSystem"):
        yield from ((word.partition(":")[0], key) for word in unit.words(key))
    for key in ("BindPaths", "BindReadOnlyPaths"):
        for word in unit.words(key):
            source, _, target = word.partition(":")
            if (target.partition(":")[0] or source) == source:
                yield source, ""


def _nearest(path: Path, rules: Sequence[tuple[str, str]]) -> str:
    """Return the setting of the rule nearest to ``path``, "" when none applies."""
    matching = [rule for rule in rules if path.is_relative_to(rule[0])]
    return max(matching, key=lambda rule: (len(Path(rule[0]).parts), not rule[1]))[1] if matching else ""


def _needed(file: Path, use: Use) -> int:
    if use is Use.READ:
        return READ
    with file.open("rb") as stream:
        # Its interpreter opens a script, so it must be readable too; a binary need not be.
        is_script = stat.S_ISREG(os.fstat(stream.fileno()).st_mode) and stream.read(2) == b"#!"
    return READ | EXECUTE if is_script else EXECUTE


def _parse(text: str) -> dict[str, list[str]]:
    settings: dict[str, list[str]] = {}
    # systemd.syntax(7): a line that ends with a backslash goes on in the next one.
    for line in text.replace("\\\n", " ").splitlines():
        key, equals, value = line.strip().partition("=")
        if not equals or key.startswith(("#", ";")):
            continue
        for specifier, meaning in _SPECIFIERS.items():
            value = value.replace(specifier, meaning)
        values = settings.setdefault(key.strip(), [])
        # systemd.syntax(7): the empty value resets a list.
        if value.strip():
            values.append(value.strip())
        else:
            values.clear()
    return settings


def _text(file: Path) -> str | None:
    try:
        return file.read_text("utf-8", "replace")
    except OSError:
        return None
