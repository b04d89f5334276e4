"""`exconnect history candles`: complete, once each, and on from where it stopped, however it stopped."""

import csv
import fcntl
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from exconnect import Client
from exconnect.cli.candle_csv import COLUMNS, CandleCsv
from exconnect.cli.progress import progress, share
from exconnect.errors import ConfigurationError

pytestmark = pytest.mark.network

START = ["--start", "2026-01-01"]


@pytest.fixture
def file(tmp_path):
    return tmp_path / "candles.csv"


@pytest.fixture
def fetch(on, file):
    """`fetch("--end", "2026-01-02")`: an hour's candles of BTC/USDT into `file`, unless told otherwise."""

    def call(*words, symbol="BTC/USDT", interval="1h"):
        return on("history", "candles", symbol, "--interval", interval, "--out", str(file), *words)

    return call


def rows(file):
    with file.open(newline="") as text:
        return list(csv.DictReader(text))


def truth(mock, interval, start, end):
    with Client("binance", environment=mock) as client:
        return [
            {
                "open_time": candle.open_time.isoformat(),
                **{name: format(getattr(candle, name), "f") for name in COLUMNS[1:7]},
                "trades": str(candle.trades),
                "symbol": candle.symbol,
                "interval": interval,
            }
            for candle in client.iter_candles("BTC/USDT", interval, start=start, end=end)
        ]


def test_all_there_is(fetch, file, mock):
    ran = fetch(*START, "--end", "2026-03-01")
    assert ran.code == 0, ran.err
    assert ran.last == {
        "ok": True,
        "rows": 59 * 24,
        "first": "2026-01-01T00:00:00+00:00",
        "last": "2026-02-28T23:00:00+00:00",
        "file": str(file),
        "resumed": False,
    }
    assert rows(file) == truth(mock, "1h", "2026-01-01", "2026-03-01")
    assert ran.err == ""


def test_run_again_it_goes_on(fetch, file, mock):
    fetch(*START, "--end", "2026-01-03")
    before = file.read_bytes()
    again = fetch(*START, "--end", "2026-01-03").last
    assert (again["rows"], again["resumed"]) == (48, True)
    assert file.read_bytes() == before
    further = fetch("--end", "2026-01-10").last
    assert (further["rows"], further["resumed"]) == (9 * 24, True)
    assert file.read_bytes().startswith(before)
    assert rows(file) == truth(mock, "1h", "2026-01-01", "2026-01-10")


def test_nothing_is_asked_for_twice(fetch, mock):
    fetch(*START, "--end", "2026-01-03")
    asked = len(mock.ledger.requests)
    fetch(*START, "--end", "2026-01-03")
    assert "fetch_candles" not in [request.operation for request in mock.ledger.requests[asked:]]


def test_a_start_before_the_files_beginning_is_said_to_be_of_no_effect(fetch, file):
    fetch("--start", "2026-01-02", "--end", "2026-01-03")
    again = fetch(*START, "--end", "2026-01-03")
    assert again.err == (
        f"{file} begins at 2026-01-02 00:00:00+00:00: candles from 2026-01-01 00:00:00+00:00 on "
        "are not added before it; give another --out for them\n"
    )
    assert (again.code, again.last["first"], again.last["rows"]) == (0, "2026-01-02T00:00:00+00:00", 24)


def test_a_start_before_there_was_anything_is_nothing_to_speak_of(fetch):
    for _ in range(2):
        ran = fetch("--start", "2020-01-01", "--end", "2024-01-03", interval="1d")
        assert (ran.err, ran.last["first"]) == ("", "2024-01-01T00:00:00+00:00")


@pytest.mark.parametrize("cut", [1, 2, 30, 100])
def test_a_torn_last_line_is_mended(fetch, file, mock, cut):
    fetch(*START, "--end", "2026-01-03")
    file.write_bytes(file.read_bytes()[:-cut])
    last = fetch(*START, "--end", "2026-01-03").last
    assert (last["rows"], last["resumed"]) == (48, True)
    assert rows(file) == truth(mock, "1h", "2026-01-01", "2026-01-03")


@pytest.mark.parametrize(
    "content", [b"", b"open_ti", b"open_time,open,high,low,close,volume,quote_volume,trades,symbol,in"]
)
def test_a_torn_first_line_is_mended(fetch, file, content):
    file.write_bytes(content)
    last = fetch(*START, "--end", "2026-01-02").last
    assert (last["rows"], last["resumed"]) == (24, False)
    assert len(rows(file)) == 24


def test_killed_in_the_middle(process, ended, fetch, file, mock):
    words = ["--interval", "1m", *START, "--end", "2026-01-06", "--out", str(file)]
    fault = mock.faults.add("hang", on="fetch_candles", after=4, times=None, seconds=60)
    loading = process("history", "candles", "BTC/USDT", *words, "--environment", mock.url, "--json")
    assert fault.wait(30)
    loading.kill()
    assert loading.wait(30) == -signal.SIGKILL
    mock.faults.clear()
    kept = len(rows(file))
    assert kept > 1000
    with file.open("ab") as text:
        text.write(b"2026-01-03T00:00:00+00:00,60000.1")
    last = fetch(*START, "--end", "2026-01-06", interval="1m").last
    assert (last["rows"], last["resumed"]) == (5 * 1440, True)
    assert rows(file) == truth(mock, "1m", "2026-01-01", "2026-01-06")


def test_interrupted_in_the_middle(process, ended, fetch, file, mock):
    words = ["--interval", "1m", *START, "--end", "2026-01-04", "--out", str(file)]
    fault = mock.faults.add("hang", on="fetch_candles", after=2, times=None, seconds=60)
    loading = process("history", "candles", "BTC/USDT", *words, "--environment", mock.url, "--json")
    assert fault.wait(30)
    loading.send_signal(signal.SIGINT)
    ran = ended(loading)
    ran.failed("interrupted", 130)
    assert f"{file}: 2000 rows so far" in ran.err
    mock.faults.clear()
    assert len(rows(file)) == 2000  # all that had come
    assert fetch("--end", "2026-01-04", interval="1m").last["rows"] == 3 * 1440


def test_a_failure_in_the_middle_keeps_what_came(fetch, file, mock):
    fault = mock.faults.add("status", on="fetch_candles", after=2, times=None, status=401, code=-2015)
    ran = fetch(*START, "--end", "2026-01-04", interval="1m")
    ran.failed("permission_denied", 1)
    kept = f"{file}: 2000 rows so far, to 2026-01-02 09:19:00+00:00; the same command goes on behind them"
    assert ran.err.splitlines()[0] == kept
    fault.remove()
    assert len(rows(file)) == 2000
    assert fetch("--end", "2026-01-04", interval="1m").last["rows"] == 3 * 1440


def test_the_open_candle_is_not_written(fetch, file):
    fetch("--start", (datetime.now(UTC) - timedelta(hours=5)).isoformat())
    times = [datetime.fromisoformat(row["open_time"]) for row in rows(file)]
    assert len(times) >= 4
    assert max(times) + timedelta(hours=1) <= datetime.now(UTC)


def test_closed_is_what_the_exchange_says(fetch, file, mock):
    mock.clock_offset = -7200  # this machine's clock is two hours fast
    fetch("--start", (datetime.now(UTC) - timedelta(hours=6)).isoformat())
    times = [datetime.fromisoformat(row["open_time"]) for row in rows(file)]
    assert max(times) + timedelta(hours=1) <= datetime.now(UTC) - timedelta(hours=2)


def test_from_the_first_there_is(fetch):
    last = fetch(interval="1w").last
    assert last["first"].startswith("2024-01-01")
    assert last["rows"] > 100


def test_milliseconds_are_a_time_too(fetch):
    assert fetch("--start", "1767225600000", "--end", "2026-01-02").last["first"] == "2026-01-01T00:00:00+00:00"


def test_an_end_that_is_the_start(fetch, file):
    last = fetch("--start", "2026-01-01", "--end", "2026-01-01").last
    assert (last["ok"], last["rows"], last["first"]) == (True, 0, None)
    assert rows(file) == []


def test_for_people(run, mock, file):
    words = ["history", "candles", "BTC/USDT", "--interval", "1h", *START, "--end", "2026-01-02", "--out", str(file)]
    ran = run(*words, "--environment", mock.url)
    assert ran.code == 0
    assert ran.out.startswith(f"{file}: 24 candles added")


@pytest.mark.parametrize(
    "change, text",
    [
        ({"symbol": "ETH/USDT"}, "holds BTC/USDT 1h candles, not ETH/USDT 1h"),
        ({"interval": "1d"}, "holds BTC/USDT 1h candles, not BTC/USDT 1d"),
    ],
)
def test_two_kinds_do_not_go_into_one_file(fetch, file, change, text):
    fetch(*START, "--end", "2026-01-02")
    before = file.read_bytes()
    assert text in fetch("--end", "2026-01-04", **change).failed("configuration_error", 2)["message"]
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    "content", [b"not ours", b"not ours\n", ",".join(COLUMNS).encode() + b"\nnot ours\n", b"x" * 9000]
)
def test_what_is_not_ours_is_left_alone(fetch, file, content):
    file.write_bytes(content)
    assert "not written by this command" in fetch(*START).failed("configuration_error", 2)["message"]
    assert file.read_bytes() == content


def test_one_process_at_a_time(fetch, file):
    with file.open("ab") as taken:
        fcntl.flock(taken, fcntl.LOCK_EX)
        assert "another process" in fetch(*START).failed("configuration_error", 2)["message"]


def test_a_file_that_cannot_be_written(on, tmp_path):
    out = tmp_path / "no" / "such.csv"
    error = on("history", "candles", "BTC/USDT", "--out", str(out)).failed("configuration_error", 2)
    assert "No such file or directory" in error["message"]


@pytest.mark.parametrize(
    "words, kind",
    [
        (["--start", "soon"], "invalid_argument"),
        (["--interval", "7m"], "invalid_argument"),
        (["--end", "noon EST"], "invalid_argument"),
        (["--start", "2026-01-02", "--end", "2026-01-01"], "invalid_argument"),
    ],
)
def test_wrong_words_leave_no_file(fetch, file, words, kind):
    fetch(*words).failed(kind, 2)
    assert not file.exists()


def test_a_wrong_symbol_leaves_no_file(fetch, file):
    fetch(symbol="BTCUSDT").failed("unknown_symbol", 2)
    assert not file.exists()


def test_the_last_line_is_found_in_a_large_file(tmp_path):
    path = tmp_path / "large.csv"
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    lines = [
        f"{(begin + timedelta(minutes=n)).isoformat()},1,1,1,1,1,1,1,BTC/USDT,1m\n" for n in range(30_000)
    ]  # more than one block
    path.write_text(",".join(COLUMNS) + "\n" + "".join(lines))
    with CandleCsv(path, "BTC/USDT", "1m") as file:
        assert (file.rows, file.first, file.last) == (30_000, begin, begin + timedelta(minutes=29_999))


def test_progress_in_lines(capsys):
    class Clock:
        def __init__(self):
            self.time = 0.0

        def now(self):
            self.time += 0.75
            return self.time

    from exconnect.cli import progress as module
    from exconnect.cli.output import Output

    begin = datetime(2026, 1, 1, tzinfo=UTC)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "Environment", Clock)
        with progress(Output(is_json=False), "BTC/USDT 1h", begin + timedelta(hours=10)) as step:
            for hour in range(6):
                step(begin + timedelta(hours=hour), hour + 1)
    assert capsys.readouterr().err.splitlines() == [
        "BTC/USDT 1h:  20%, 3 rows, up to 2026-01-01 02:00",
        "BTC/USDT 1h:  50%, 6 rows, up to 2026-01-01 05:00",
    ]


def test_shares():
    begin, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    assert share(begin, begin, end) == 0.0
    assert share(begin, end, end) == 1.0
    assert share(end, end, begin) == 1.0
    assert share(begin, end + timedelta(days=1), end) == 1.0


def test_the_bar_of_rich(monkeypatch, capsys):
    pytest.importorskip("rich", reason="the extra cli is not installed")
    from exconnect.cli.output import Output

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    with progress(Output(is_json=False), "BTC/USDT 1h", begin + timedelta(hours=10)) as step:
        step(begin, 1)
        step(begin + timedelta(hours=5), 6)
    assert "BTC/USDT 1h" in capsys.readouterr().err


WITHOUT = """
import sys
sys.modules["pyarrow"] = sys.modules["pandas"] = None
from exconnect.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_parquet_needs_an_extra(mock, tmp_path):
    words = [
        "history",
        "candles",
        "BTC/USDT",
        "--out",
        str(tmp_path / "x.parquet"),
        "--environment",
        mock.url,
        "--json",
    ]
    ran = subprocess.run([sys.executable, "-c", WITHOUT, *words], capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert "pip install 'exconnect[frame]'" in ran.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def pandas():
    pytest.importorskip("pyarrow", reason="the extra frame is not installed")
    return pytest.importorskip("pandas", reason="the extra frame is not installed")


@pytest.fixture
def parquet(on, tmp_path):
    path = tmp_path / "candles.parquet"
    return path, lambda *words: on(
        "history", "candles", "BTC/USDT", "--interval", "1h", *START, "--out", str(path), *words
    )


def test_parquet(pandas, parquet, mock):
    path, fetch = parquet
    last = fetch("--end", "2026-01-03").last
    assert (last["rows"], last["resumed"], last["last"]) == (48, False, "2026-01-02T23:00:00+00:00")
    last = fetch("--end", "2026-01-05").last
    assert (last["rows"], last["resumed"]) == (96, True)
    assert fetch("--end", "2026-01-05").last == last
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    frame = pandas.read_parquet(path)
    expected = truth(mock, "1h", "2026-01-01", "2026-01-05")
    assert [time.isoformat() for time in frame["open_time"]] == [row["open_time"] for row in expected]
    assert list(frame["close"]) == [Decimal(row["close"]) for row in expected]


def test_parquet_goes_on_after_a_failure(pandas, parquet, mock):
    path, fetch = parquet
    fetch("--end", "2026-01-03")
    fault = mock.faults.add("status", on="fetch_candles", after=1, times=None, status=401, code=-2015)
    fetch("--end", "2026-06-01").failed("permission_denied", 1)
    fault.remove()
    assert len(pandas.read_parquet(path)) == 48
    last = fetch("--end", "2026-06-01").last
    assert last["rows"] == 151 * 24
    times = pandas.read_parquet(path)["open_time"]
    assert times.is_unique
    assert times.is_monotonic_increasing


def test_parquet_of_another_kind(pandas, parquet, on):
    path, fetch = parquet
    fetch("--end", "2026-01-03")
    on("history", "candles", "ETH/USDT", "--out", str(path)).failed("configuration_error", 2)
    path.write_bytes(b"not ours")
    fetch().failed("configuration_error", 2)
    assert path.read_bytes() == b"not ours"


def test_the_state_of_a_file_that_is_not_ours_is_not_guessed(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text(",".join(COLUMNS) + "\n2026-01-01T00:00:00,1,1,1,1,1,1,1,BTC/USDT,1m\n")
    with pytest.raises(ConfigurationError), CandleCsv(path, "BTC/USDT", "1m"):
        pass


def test_an_interval_that_the_exchange_lacks_leaves_no_file(run, file):
    words = ["history", "candles", "BTC/USDT", "--interval", "1s", "--out", str(file), "--exchange", "bybit"]
    error = run(*words, "--environment", "mock", "--json").failed("not_supported", 2)
    assert error["message"].startswith("bybit has no 1s candles, only 1m 3m")
    assert not file.exists()
