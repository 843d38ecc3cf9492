"""Checks of the installed service: configuration, secrets, socket, systemd unit and groups."""

import getpass
import grp
import importlib.util
import pwd
import shutil

from voxd.cli.doctor.check import CheckResult, DoctorContext, fail, ok, skip, warn
from voxd.cli.doctor.machine import run
from voxd.config.base_dirs import UNIT
from voxd.config.files.unit import daemon_view
from voxd.config.loading import examine, references
from voxd.config.paths import client_socket_path
from voxd.config.problems import Severity, summary
from voxd.config.secrets import to_builtins
from voxd.control.call import Caller
from voxd.errors import DaemonUnreachable
from voxd.providers.facts import config_facts

_USER = "voxd"


def config_valid(context: DoctorContext) -> CheckResult:
    """Whether the configuration has mistakes."""
    view = daemon_view(context.config_file, context.environ, context.root)
    files, _, problems = examine(
        context.config_file, get_facts=config_facts, environ=context.environ, view=view
    )
    read = ", ".join(map(str, files)) or "no file: the defaults apply"
    if not problems:
        return ok(read)
    # An error before a warning: only it keeps the daemon from starting.
    first = min(problems, key=lambda problem: problem.severity is Severity.WARNING)
    result = fail if first.severity is Severity.ERROR else warn
    return result(f"{summary(problems)}; first: {first}", "run `voxctl config check`")


def credentials_readable(context: DoctorContext) -> CheckResult:
    """Whether the daemon can read every secret that the configuration refers to."""
    view = daemon_view(context.config_file, context.environ, context.root)
    secrets = list(references(to_builtins(context.config)))
    if not secrets:
        return skip("the configuration refers to no secret")
    readings = {f"{kind} {name}": view.secret(kind, name) for _, kind, name in secrets}
    broken = [f"{name}: {found.problem}" for name, found in readings.items() if found and found.problem]
    if broken:
        return fail("; ".join(broken), "store the secret at the place that the configuration names")
    hidden = [name for name, found in readings.items() if found is None]
    if hidden:
        return skip(f"this user cannot see {', '.join(hidden)}: run `sudo voxctl doctor`")
    return ok(f"{len(secrets)} readable")


def socket_reachable(context: DoctorContext) -> CheckResult:
    """Whether a daemon responds."""
    path = context.socket or client_socket_path(context.config, context.environ)
    try:
        with Caller(path, timeout_s=5.0) as caller:
            status = caller.call("system.status")
    except DaemonUnreachable as error:
        return warn(str(error), "run `systemctl start voxd`, or `./scripts/run`")
    return ok(f"voxd {status['version']} at {path}: {status['summary']}")


def unit_state(context: DoctorContext) -> CheckResult:
    """Whether the service runs."""
    if not (context.root / "run/systemd/system").exists():
        return skip("systemd is not running")
    if not shutil.which("systemctl"):
        return skip("systemctl is not installed")
    properties = dict(
        line.partition("=")[::2]
        for line in run(["systemctl", "show", UNIT, "-p", "LoadState,ActiveState,SubState,NRestarts"]).split()
    )
    # `systemctl show` succeeds for a unit that does not exist: its LoadState says so.
    if properties.get("LoadState") != "loaded":
        return skip(f"{UNIT} is not installed")
    state = f"{properties.get('ActiveState')} ({properties.get('SubState')})"
    restarts = int(properties.get("NRestarts") or 0)
    if properties.get("ActiveState") != "active":
        return fail(state, f"run `systemctl status {UNIT}` and `journalctl -u {UNIT}`")
    # Running now, but it has failed before: a crash loop looks healthy between two crashes.
    if restarts:
        return warn(f"{state}, restarted {restarts} times", f"run `journalctl -u {UNIT} -p err`")
    return ok(state)


def unit_groups(context: DoctorContext) -> CheckResult:
    """Whether the service may use sound and GPIO, and this user the control socket."""
    try:
        pwd.getpwnam(_USER)
    except KeyError:
        return skip(f"the user {_USER} does not exist: the service is not installed")
    missing = [name for name in ("audio", "gpio", "spi") if _is_missing_from(name)]
    if missing:
        hint = f"run `sudo usermod -aG {','.join(missing)} {_USER}` and restart the service"
        return warn(f"{_USER} is not in {', '.join(missing)}", hint)
    # grp lists members by supplementary group: a new membership counts only after the next login.
    me = getpass.getuser()
    if me not in {"root", _USER} and me not in grp.getgrnam(_USER).gr_mem:
        return warn(f"{me} is not in {_USER}", f"run `sudo usermod -aG {_USER} {me}` and log in again")
    return ok(f"{_USER} may use sound and GPIO")


def _is_missing_from(group: str) -> bool:
    try:
        return _USER not in grp.getgrnam(group).gr_mem
    except KeyError:
        # A machine without GPIO does not have the group, and does not need it.
        return False


def ort_telemetry(context: DoctorContext) -> CheckResult:
    """Whether the telemetry of onnxruntime is off, if it is installed."""
    if importlib.util.find_spec("onnxruntime") is None:
        return skip("onnxruntime is not installed")
    if (value := context.environ.get("ORT_DISABLE_TELEMETRY", "1")) != "1":
        detail = f"ORT_DISABLE_TELEMETRY is {value!r} here; voxd sets it to 1 in its own processes"
        return warn(detail, "export ORT_DISABLE_TELEMETRY=1 for other programs that use onnxruntime")
    return ok("turned off in every process of voxd")
