"""Downloads over a bad line, from a bad server, onto a full disk."""

import shutil
from pathlib import Path

import pytest

from tests.fakes import FakeClock
from tests.local.hub import CONTENT, SHA256, Hub
from voxd.errors import DeadlineExceeded, ModelError, StoreError, VoxdError
from voxd.local.catalogue import CatalogueModel, ModelFile
from voxd.local.download import DownloadLimits, pull


class HastyClock(FakeClock):
    """Waits are over at once, but remembered."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


def model(hub: Hub, *, sha256: str = SHA256, size: int = len(CONTENT), url: str = "") -> CatalogueModel:
    file = ModelFile("m.bin", url or f"{hub.url}/m.bin", size, sha256)
    return CatalogueModel("m", "whisper", "MIT", (file,))


async def get(
    wanted: CatalogueModel,
    directory: Path,
    *,
    limits: DownloadLimits | None = None,
    clock: HastyClock | None = None,
) -> list[tuple[str, int, int]]:
    seen: list[tuple[str, int, int]] = []
    await pull(
        wanted,
        directory,
        clock=clock or HastyClock(),
        progress=lambda name, done, total: seen.append((name, done, total)),
        limits=limits,
    )
    return seen


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


async def test_a_file_arrives_with_its_progress(tmp_path: Path) -> None:
    async with Hub() as hub:
        seen = await get(model(hub), tmp_path / "new" / "models")
    assert (tmp_path / "new" / "models" / "m.bin").read_bytes() == CONTENT
    assert names(tmp_path / "new" / "models") == ["m.bin"]
    assert seen[-1] == ("m.bin", len(CONTENT), len(CONTENT))


async def test_a_file_that_is_there_is_not_fetched_again(tmp_path: Path) -> None:
    (tmp_path / "m.bin").write_bytes(CONTENT)
    async with Hub() as hub:
        await get(model(hub), tmp_path)
    assert hub.asked == []


async def test_a_transfer_that_breaks_off_is_resumed_where_it_stopped(tmp_path: Path) -> None:
    clock = HastyClock()
    async with Hub(cut_at=[100_000, 50_000]) as hub:
        await get(model(hub), tmp_path, clock=clock)
    assert (tmp_path / "m.bin").read_bytes() == CONTENT
    assert [asked.get("range") for asked in hub.asked] == [None, "bytes=100000-", "bytes=150000-"]
    assert clock.waits == [1.0, 4.0]


async def test_what_came_is_kept_for_the_next_call(tmp_path: Path) -> None:
    async with Hub(cut_at=[100_000]) as hub:
        with pytest.raises(ModelError, match="broke off"):
            await get(model(hub), tmp_path, limits=DownloadLimits(retries=0))
        assert names(tmp_path) == ["m.bin.part", "m.bin.part.etag"]
        await get(model(hub), tmp_path)
    assert hub.asked[1]["range"] == "bytes=100000-"
    assert names(tmp_path) == ["m.bin"]


async def test_a_server_that_cannot_resume_sends_all_again(tmp_path: Path) -> None:
    async with Hub(cut_at=[100_000], ranges=False) as hub:
        await get(model(hub), tmp_path)
    assert (tmp_path / "m.bin").read_bytes() == CONTENT


async def test_a_file_that_changed_meanwhile_is_begun_anew(tmp_path: Path) -> None:
    async with Hub(cut_at=[100_000]) as hub:
        with pytest.raises(ModelError):
            await get(model(hub), tmp_path, limits=DownloadLimits(retries=0))
        hub.etag = '"two"'
        await get(model(hub), tmp_path)
    assert hub.asked[1]["if-range"] == '"one"'
    assert (tmp_path / "m.bin").read_bytes() == CONTENT


async def test_wrong_bytes_are_deleted(tmp_path: Path) -> None:
    async with Hub() as hub:
        with pytest.raises(ModelError, match="SHA-256"):
            await get(model(hub, sha256="0" * 64), tmp_path)
    assert names(tmp_path) == []


async def test_wrong_bytes_do_not_replace_what_is_installed(tmp_path: Path) -> None:
    (tmp_path / "m.bin").write_bytes(b"old")
    async with Hub() as hub:
        with pytest.raises(ModelError):
            await get(model(hub, sha256="0" * 64), tmp_path)
    assert (tmp_path / "m.bin").read_bytes() == b"old"


async def test_more_than_was_promised_is_refused(tmp_path: Path) -> None:
    async with Hub() as hub:
        with pytest.raises(ModelError, match="larger"):
            await get(model(hub, size=1000), tmp_path)
    assert "m.bin" not in names(tmp_path)


@pytest.mark.parametrize("status", [404, 403, 401])
async def test_a_refusal_is_final(tmp_path: Path, status: int) -> None:
    async with Hub(status=[status] * 9) as hub:
        with pytest.raises(ModelError, match=str(status)):
            await get(model(hub), tmp_path)
    assert len(hub.asked) == 1


async def test_a_server_in_trouble_is_asked_four_times(tmp_path: Path) -> None:
    async with Hub(status=[503] * 9) as hub:
        with pytest.raises(ModelError, match="503"):
            await get(model(hub), tmp_path)
    assert len(hub.asked) == 4


async def test_a_server_that_stops_sending_is_left(tmp_path: Path) -> None:
    async with Hub(stall_at=1000) as hub:
        with pytest.raises(DeadlineExceeded, match="stopped sending"):
            await get(model(hub), tmp_path, limits=DownloadLimits(stall_s=0.2, retries=1))
    assert (tmp_path / "m.bin.part").stat().st_size == 2000
    assert len(hub.asked) == 2


async def test_a_download_that_takes_too_long_is_left(tmp_path: Path) -> None:
    async with Hub(stall_at=1000) as hub:
        with pytest.raises(DeadlineExceeded, match="did not arrive"):
            await get(model(hub), tmp_path, limits=DownloadLimits(total_s=0.3))


async def test_a_refused_connection_is_a_model_error(tmp_path: Path) -> None:
    async with Hub() as hub:
        pass
    with pytest.raises(ModelError, match="broke off"):
        await get(model(hub), tmp_path)


async def test_a_full_disk_is_noticed_before_the_first_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    async with Hub() as hub:
        with pytest.raises(StoreError, match="are needed"):
            await get(model(hub), tmp_path)
    assert hub.asked == []


async def test_a_disk_that_fills_up_on_the_way_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "m.bin.part").symlink_to("/dev/full")
    async with Hub() as hub:
        with pytest.raises(StoreError, match="cannot be written"):
            await get(model(hub), tmp_path)


async def test_a_redirect_is_followed(tmp_path: Path) -> None:
    async with Hub(status=[302], location="/elsewhere") as hub:
        await get(model(hub), tmp_path)
    assert names(tmp_path) == ["m.bin"]


async def test_a_redirect_in_circles_ends(tmp_path: Path) -> None:
    async with Hub(status=[302] * 99, location="/again") as hub:
        with pytest.raises(ModelError, match="redirects too often"):
            await get(model(hub), tmp_path)


async def test_another_scheme_is_refused(tmp_path: Path) -> None:
    async with Hub(status=[302], location="ftp://127.0.0.1/x") as hub:
        with pytest.raises(VoxdError):
            await get(model(hub), tmp_path)
