import asyncio
import io
import math
import subprocess
import sys
import time
import wave
from pathlib import Path

import msgspec
import numpy as np
import pytest
from rich.console import Console

from scripts.benchmarks import __main__ as bench
from scripts.benchmarks import (
    engines,
    modes,
    own_share,
    processes,
    receiving,
    rows,
    sounds,
    status,
    talking,
    turns,
    waking,
)
from scripts.benchmarks.daemon import DaemonFailed, RunningDaemon
from scripts.benchmarks.options import Options, Skip
from scripts.benchmarks.rows import Row
from scripts.benchmarks.sending import Journey, waits_ms
from scripts.benchmarks.vendor import APPEND, vendor
from voxd.config.schema import Audio
from voxd.control.call import Caller
from voxd.errors import DaemonUnreachable

STAT = "42 (a) b) S 1 42 42 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 1 0 100 1000 10"
PSDUR = "pau:0.164 hh:0.277 ey:0.367 jh:0.455 aa:0.496 r:0.583 v:0.648 ax:0.753 s:0.943 pau:1.028 \n"


def usage(**changes: float) -> processes.Usage:
    values = {"pss_mb": 50, "private_mb": 40, "cpu_s": 1, "descriptors": 30, "threads": 5, "children": 2}
    return processes.Usage(**{**values, **changes})


@pytest.mark.parametrize(
    ("value", "budget", "verdict"),
    [(5, 5, "ok"), (5.1, 5, "over"), (0, 0, "ok"), (1, 0, "over"), (99, None, ""), (None, 5, "skipped")],
)
def test_a_row_is_over_when_it_exceeds_its_budget(
    value: float | None, budget: float | None, verdict: str
) -> None:
    assert Row(bench="b", what="w", value=value, budget=budget).verdict == verdict


@pytest.mark.parametrize(
    ("percent", "expected"), [(0, 1), (1, 1), (50, 50), (95, 95), (99, 99), (99.5, 100), (100, 100)]
)
def test_a_percentile_is_a_value_that_was_measured(percent: float, expected: int) -> None:
    assert rows.percentile(range(100, 0, -1), percent) == expected


def test_a_spread_keeps_its_budget_at_the_last_percentile() -> None:
    median, worst = rows.spread("b", "w", [3.0, 1.0, 2.0], (50, 99), budget=2.5, seed="< 4 ms")
    assert (median.value, median.verdict, median.seed) == (2.0, "", "")
    assert (worst.value, worst.verdict, worst.seed) == (3.0, "over", "< 4 ms")
    assert worst.note == "3 times, 1.0 to 3.0; the first 3.0"


def test_nothing_measured_is_a_skipped_row() -> None:
    assert [row.verdict for row in rows.spread("b", "w", [], (50, 99))] == ["skipped"]


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (None, "MB", ""),
        (0.123, "%", "0.12 %"),
        (12.34, "ms", "12.3 ms"),
        (1234.5, "ms", "1234 ms"),
        (2, "", "2"),
    ],
)
def test_a_figure_shows_the_digits_that_mean_something(value: float | None, unit: str, shown: str) -> None:
    assert rows.figure(value, unit) == shown


def test_the_table_shows_every_row_and_why_one_is_missing() -> None:
    written = io.StringIO()
    console = Console(width=160, file=written)
    shown = [
        Row(bench="a", what="memory", unit="MB", value=70, budget=60, seed="< 50 MB"),
        Row(bench="b", what="peer", skipped="../shared is absent"),
    ]
    console.print(rows.table(shown, "load 1.0"))
    text = written.getvalue()
    for word in ("memory", "70 MB", "60 MB", "< 50 MB", "over", "peer", "../shared is absent", "load 1.0"):
        assert word in text


def test_cpu_time_is_read_behind_a_name_with_brackets() -> None:
    assert processes.cpu_s(STAT) == pytest.approx(300 / processes.TICKS_PER_S)
    assert processes.cpu_s("") == 0


def test_a_family_is_a_process_and_its_descendants() -> None:
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1, flush=True); input()'])"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        used = processes.usage(parent.pid)
        assert len(processes.family(parent.pid)) == 2
        assert used.children == 1
        assert used.pss_mb >= used.private_mb > 1
        assert "voxd" in processes.described(parent.pid)
        parent.communicate(b"\n")
    assert processes.usage(parent.pid).pss_mb == 0


def test_growth_is_judged_by_what_is_left_over() -> None:
    grown = {
        row.what: row.verdict for row in turns.rows(usage(), usage(pss_mb=56, threads=5, descriptors=31), "")
    }
    assert grown["growth of PSS"] == "over"
    assert grown["growth of file descriptors"] == "over"
    assert grown["growth of threads"] == "ok"


def test_of_two_hundred_turns_at_least_twenty_are_recorded_and_twenty_spoken() -> None:
    kinds = list(turns.kinds(200))
    assert len(kinds) == 200
    assert kinds.count(turns.RECORDED) >= 20
    assert kinds.count(turns.SPOKEN) >= 20


def test_the_end_of_a_word_is_where_its_energy_ends() -> None:
    samples = np.zeros(16_000, np.int16)
    samples[4_000:8_000] = 1_000
    samples[8_000:] = 10
    assert sounds.end_of_sound(samples) == 8_000


def test_flite_reports_where_its_last_phone_ends() -> None:
    assert sounds.last_phone_s(PSDUR) == 0.943


def test_a_stream_knows_where_each_of_its_words_ended() -> None:
    word = sounds.Word(np.full(8_000, 1_000, np.int16), 7_000)
    samples, ends = sounds.stream([word, word], 1.0)
    assert ends == [7_000, 24_000 + 7_000]
    assert len(samples) == 48_000


def test_a_quiet_room_is_quiet_but_never_zero(tmp_path: Path) -> None:
    with wave.open(str(sounds.write(tmp_path / "room.wav", sounds.noise(0.5)))) as file:
        room = np.frombuffer(file.readframes(16_000), np.int16)
    assert len(room) == 8_000
    assert 20 < np.sqrt(np.mean(room.astype(float) ** 2)) < 50


def test_a_detection_counts_for_the_word_that_ended_before_it() -> None:
    assert waking.delays_ms([16_000, 48_000, 96_000], [17_600, 95_200]) == [100.0, -50.0]


def test_our_share_leaves_out_the_silence_that_was_waited_for() -> None:
    turn = {
        "speech": 900.0,
        "endpoint": 710.0,
        "transcribe": 1.0,
        "think": 2.0,
        "synthesise": 0.5,
        "play": 8.0,
    }
    assert own_share.own_ms([turn]) == [11.5]


def test_ratios_say_how_many_times_less_our_ears_need() -> None:
    measured = {engines.ALONE: [6.0, 7.0, 5.0], engines.EARS: [0.3], engines.EARS_VAD: [3.0]}
    shown = {row.what: row.value for row in engines.compared(measured, "recorded speech")}
    assert shown[f"{engines.ALONE} : {engines.EARS}"] == pytest.approx(20)
    assert shown[f"{engines.ALONE} : {engines.EARS_VAD}"] == pytest.approx(2)
    assert not any(engines.PACKAGE in what for what in shown)


@pytest.mark.parametrize("engine", ["alone", "ears", "ears+vad"])
def test_each_engine_hears_a_recording_in_a_process_of_its_own(engine: str, tmp_path: Path) -> None:
    pcm = tmp_path / "speech.pcm"
    pcm.write_bytes(sounds.noise(3.0).tobytes())
    assert engines.cpu_percent([sys.executable, "-m", "scripts.benchmarks.heard", engine, str(pcm)]) > 0


def test_an_engine_that_fails_is_skipped_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(Skip, match="No such file"):
        engines.cpu_percent(
            [sys.executable, "-m", "scripts.benchmarks.heard", "ears", str(tmp_path / "none")]
        )


def test_a_daemon_is_measured_and_ended(tmp_path: Path) -> None:
    (row,) = status.measure(Options(quick=True, work=tmp_path))
    assert row.value is not None
    assert row.value > 0
    with pytest.raises(DaemonUnreachable):
        Caller(tmp_path / status.BENCH / "voxd.sock")


def test_a_daemon_that_cannot_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(DaemonFailed, match=r"(?i)config"):
        RunningDaemon(tmp_path, ("audio.nonsense=1",), {})


def test_a_benchmark_that_fails_does_not_stop_the_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(options: Options) -> list[Row]:
        raise ValueError("no luck")

    def impossible(options: Options) -> list[Row]:
        raise Skip("no card")

    fine = [Row(bench="c", what="c", value=1, budget=2)]
    monkeypatch.setattr(bench, "BENCHMARKS", {"a": broken, "b": impossible, "c": lambda options: fine})
    measured = bench.run(["a", "b", "c"], Options(quick=True, work=tmp_path))
    assert [row.verdict for row in measured] == ["skipped", "skipped", "ok"]
    assert measured[0].skipped == "failed: ValueError: no luck"
    assert measured[1].skipped == "no card"
    assert measured[2].load in bench.footer(measured)


def test_rows_are_written_as_json() -> None:
    decoded = msgspec.json.decode(msgspec.json.encode(rows.spread("b", "w", [1.0], (50,))))
    assert decoded[0]["value"] == 1.0
    assert decoded[0]["unit"] == "ms"


def test_only_known_benchmarks_are_chosen() -> None:
    assert bench.parser().parse_args(["--only", "idle, ready"]).only == ["idle", "ready"]
    assert bench.parser().parse_args([]).only == list(bench.BENCHMARKS)
    with pytest.raises(SystemExit):
        bench.parser().parse_args(["--only", "idle,nonsense"])


def test_frames_are_timed_from_their_last_block_and_sound_from_before_is_not() -> None:
    journey = Journey(captured_s=[1.0, math.nan, 2.0], sent_s=[1.002, 1.003, 2.004])
    assert waits_ms(journey.captured_s, journey.sent_s) == pytest.approx([2.0, 4.0])


async def test_the_fake_vendor_reports_when_sound_came_and_when_it_left() -> None:
    with vendor(sound_ms=60, delta_ms=20) as fake:
        provider = fake.provider()
        finished = asyncio.Event()
        provider.on_event = lambda event: finished.set() if event.type == "response.completed" else None
        began_s = time.monotonic()
        await provider.connect()
        await provider.send_audio(bytes(4800))
        await provider.send_audio(bytes(4800))
        await provider.commit()
        async with asyncio.timeout(5):
            await finished.wait()
        await provider.disconnect()
        seen = fake.seen()
        assert (len(seen.arrived_s), len(seen.left_s)) == (2, 3)
        assert began_s < seen.arrived_s[0] <= seen.arrived_s[1] < seen.left_s[0] < time.monotonic()
        assert fake.seen().arrived_s == []
    assert APPEND == "input_audio_buffer.append"


async def test_sound_of_a_vendor_is_timed_to_the_device_and_a_cut_to_silence() -> None:
    with vendor(sound_ms=1200, delta_ms=40) as fake:
        handoff_ms = await receiving._streamed(fake)
        assert len(handoff_ms) == 30
        assert all(each > 0 for each in handoff_ms)
        (stopped_ms,) = await receiving._cut(fake, Audio(output="virtual"), 1)
    assert stopped_ms > 0


def test_a_talker_reports_what_the_library_costs() -> None:
    imported, made, memory = talking._imported(1)
    assert imported.value is not None
    assert made.value is not None
    assert memory.value is not None
    assert 0 < imported.value < made.value
    assert memory.value > 0
    assert "nothing heavy" in made.note


def test_the_first_connect_is_measured_until_it_is_refused() -> None:
    row = talking.connected(1)
    assert row.value is not None
    assert row.value > 0


def test_what_sessions_leave_behind_is_judged() -> None:
    grown = talking.session_rows(usage(), usage(pss_mb=54, descriptors=31), "1000 sessions")
    assert [row.verdict for row in grown] == ["ok", "over", "ok"]


async def test_a_latency_mode_keeps_as_much_sound_as_it_says() -> None:
    with vendor(sound_ms=400, delta_ms=20, pace_s=0.02) as fake:
        asked_ms, kept_ms = await modes._asked(fake, "balanced", 1)
    assert len(asked_ms) == len(kept_ms) == 1
    assert kept_ms[0] > 35, "60 ms are collected, in pieces of 20 ms that come every 20 ms"
