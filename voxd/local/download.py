"""Downloads a model file: resumed where it broke off, and verified before it gets its final name."""

import asyncio
import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from voxd.atomic_file import put_in_place
from voxd.clock import Clock
from voxd.errors import DeadlineExceeded, ModelError, StoreError
from voxd.local.catalogue import CatalogueModel, ModelFile, problem_of_file, sha256_of

_log = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]
"""Called with the file's name, its bytes so far and its bytes in all."""

# Left free for the database and the log, which fail when the disk is full.
_SPARE_BYTES = 64 * 1024 * 1024
_MAX_REDIRECTS = 5
# In the first minute a network often comes back; later the user runs the command again.
_RETRY_WAIT_S = (1.0, 4.0, 15.0)


@dataclass(frozen=True, slots=True)
class DownloadLimits:
    """``stall_s`` without a byte, ``total_s`` for a whole file, and ``retries`` after the first attempt."""

    stall_s: float = 30.0
    total_s: float = 3600.0
    retries: int = 3


class _Interrupted(Exception):
    """The transfer broke in a way that another attempt may repair."""


async def pull(
    model: CatalogueModel,
    models_dir: Path,
    *,
    clock: Clock,
    progress: Progress,
    limits: DownloadLimits | None = None,
) -> None:
    """Install every file of ``model`` in ``models_dir``; files already there and right are kept.

    Raises `ModelError` (not found, wrong bytes), `DeadlineExceeded` (too slow) or `StoreError` (no room).
    A file that broke off stays as ``.part`` and is resumed by the next call.
    """
    limits = limits or DownloadLimits()
    try:
        await asyncio.to_thread(models_dir.mkdir, parents=True, exist_ok=True)
    except OSError as error:
        raise _disk(models_dir, error) from error
    for file in model.files:
        if await asyncio.to_thread(problem_of_file, models_dir / file.file, file):
            await _fetch(file, models_dir, clock, progress, limits)


async def _fetch(
    file: ModelFile, models_dir: Path, clock: Clock, progress: Progress, limits: DownloadLimits
) -> None:
    target = models_dir / file.file
    part = target.with_name(target.name + ".part")
    have = _size(part)
    _check_space(models_dir, file.bytes - have)
    try:
        async with asyncio.timeout(limits.total_s):
            await _attempts(file, part, clock, progress, limits)
    except TimeoutError:
        raise DeadlineExceeded(
            f"{file.file} did not arrive within {limits.total_s:g} s", hint="run the same command to resume"
        ) from None
    await asyncio.to_thread(_install, part, target, file)


async def _attempts(
    file: ModelFile, part: Path, clock: Clock, progress: Progress, limits: DownloadLimits
) -> None:
    _check_scheme(file.url, file.url)
    # trust_env: models may be fetched through the proxy of the environment, unlike requests with a key.
    timeout = httpx.Timeout(limits.stall_s)
    async with httpx.AsyncClient(timeout=timeout, follow_redirects=False, trust_env=True) as client:
        for attempt in range(limits.retries + 1):
            try:
                await _transfer(client, file, part, progress)
                return
            except (_Interrupted, httpx.TransportError) as error:
                if attempt == limits.retries:
                    hint = "check the network and run the same command: it resumes"
                    if isinstance(error, httpx.TimeoutException):
                        msg = f"{file.file}: the server stopped sending"
                        raise DeadlineExceeded(msg, hint=hint) from error
                    msg = f"{file.file} broke off: {error or type(error).__name__}"
                    raise ModelError(msg, hint=hint) from error
                _log.info("%s broke off (%s), trying again", file.file, type(error).__name__)
                await clock.sleep(_RETRY_WAIT_S[min(attempt, len(_RETRY_WAIT_S) - 1)])


async def _transfer(client: httpx.AsyncClient, file: ModelFile, part: Path, progress: Progress) -> None:
    have = _size(part)
    if have == file.bytes:
        return
    if have > file.bytes:
        _discard(part)
        have = 0
    tag_file = _tag_file(part)
    # A compressed transfer could not be resumed at a byte of the file.
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        # RFC 9110 section 13.1.5: the rest only if it is still the rest of the same file.
        headers |= {"If-Range": tag_file.read_text()} if tag_file.exists() else {}
    response = await _open(client, file.url, headers)
    try:
        _check_status(response, file)
        if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            _discard(part)
            # 416 (RFC 9110, section 15.5.17): what is here is longer than the file on the server, so it is
            # another file.
            raise _Interrupted("the server cannot resume")
        resumed = response.status_code == httpx.codes.PARTIAL_CONTENT
        if resumed and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            _discard(part)
            # RFC 9110, section 14.4: a server may choose another range than the one requested.
            raise _Interrupted("the server resumed at another place")
        _save_tag(response, tag_file)
        await _write(response, file, part, have if resumed else 0, progress)
    finally:
        await response.aclose()


async def _open(client: httpx.AsyncClient, url: str, headers: dict[str, str]) -> httpx.Response:
    current = httpx.URL(url)
    for _ in range(_MAX_REDIRECTS + 1):
        response = await client.send(client.build_request("GET", current, headers=headers), stream=True)
        if response.next_request is None:
            return response
        following = response.next_request.url
        await response.aclose()
        _check_scheme(str(following), url)
        # Followed by hand, because each address is checked: https must not lead to http.
        current = following
    raise ModelError(f"{url} redirects too often")


async def _write(
    response: httpx.Response, file: ModelFile, part: Path, have: int, progress: Progress
) -> None:
    try:
        with part.open("ab" if have else "wb") as out:
            # No chunk size: httpx would hold back what does not fill one, and a resume would miss it.
            async for chunk in response.aiter_raw():
                have += len(chunk)
                if have > file.bytes:
                    # Not the file of the catalogue: without this the next call would resume behind its end.
                    out.truncate(0)
                    raise ModelError(f"{file.url} is larger than the {file.bytes} bytes expected")
                await asyncio.to_thread(out.write, chunk)
                progress(file.file, have, file.bytes)
            out.flush()
            os.fsync(out.fileno())
    except OSError as error:
        raise _disk(part, error) from error
    if have < file.bytes:
        raise _Interrupted(f"{have} of {file.bytes} bytes came")


def _install(part: Path, target: Path, file: ModelFile) -> None:
    found = sha256_of(part)
    if found != file.sha256:
        _discard(part)
        raise ModelError(
            f"{file.file} has SHA-256 {found}, not {file.sha256}; it was deleted",
            hint="run the same command again; if it repeats, do not trust that server",
        )
    # The service has a user of its own, and `voxctl models pull` is often run by root.
    part.chmod(0o644)
    put_in_place(part, target)
    _tag_file(part).unlink(missing_ok=True)


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _tag_file(part).unlink(missing_ok=True)


def _tag_file(part: Path) -> Path:
    return part.with_name(part.name + ".etag")


def _check_status(response: httpx.Response, file: ModelFile) -> None:
    code = response.status_code
    if code in (200, 206, 416):
        return
    if code == httpx.codes.TOO_MANY_REQUESTS or code >= 500:
        raise _Interrupted(f"the server answered {code}")
    raise ModelError(
        f"{file.url} answered {code} {response.reason_phrase}",
        hint="update voxd, or name another catalogue in VOXD_MODEL_CATALOGUE",
    )


def _save_tag(response: httpx.Response, tag_file: Path) -> None:
    tag = response.headers.get("ETag", "")
    # A weak tag does not promise the same bytes (RFC 9110, section 8.8.1), so If-Range must not use it
    # (13.1.5).
    if tag and not tag.startswith("W/"):
        tag_file.write_text(tag)
    else:
        tag_file.unlink(missing_ok=True)


def _check_scheme(url: str, origin: str) -> None:
    parsed = httpx.URL(url)
    if parsed.scheme == "https":
        return
    # Plain http only to an address that the catalogue names so: this machine, or a mirror of its owner.
    if parsed.scheme == "http" and httpx.URL(origin).scheme == "http":
        return
    raise ModelError(f"{url} is not https", hint="name an https address in the catalogue")


def _check_space(directory: Path, needed: int) -> None:
    free = shutil.disk_usage(directory).free
    if free < needed + _SPARE_BYTES:
        raise StoreError(
            f"{needed // 1_000_000} MB are needed in {directory}, {free // 1_000_000} MB are free",
            hint=f"free space, or set paths.models to another disk than {directory}",
        )


def _disk(path: Path, error: OSError) -> StoreError:
    return StoreError(f"{path} cannot be written: {error.strerror}", hint="check free space and permissions")
