"""A table's profile against what pandas, numpy and scipy compute of the same values."""

from __future__ import annotations

import io
import itertools
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import stats

from cml_action.data.profile import QUANTILES, Profile
from cml_action.data.tables import has_tables
from cml_action.errors import UsageError
from tests.services.tables import profiled, written

if TYPE_CHECKING:
    from pathlib import Path

MIXED_ROWS = 5_000
MANY_ROWS = 150_000
WORDS = np.array(["Adelie", "Chinstrap", "Gentoo", "@everyone", "a|b", ""])


def mixed(rows: int, seed: int = 7) -> pd.DataFrame:
    """Columns of every type that a CSV can hold, with nulls and repeated rows."""
    chance = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "id": np.arange(rows),
            "small": chance.poisson(3, rows),
            "normal": chance.normal(4200, 800, rows).round(3),
            "skewed": chance.lognormal(0, 2, rows),
            "species": WORDS[chance.choice(len(WORDS), rows, p=[0.5, 0.2, 0.1, 0.1, 0.05, 0.05])],
            "flag": chance.random(rows) < 0.3,
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(chance.integers(0, 365, rows), "D"),
            "moment": pd.Timestamp("2024-01-01") + pd.to_timedelta(chance.integers(0, 10**7, rows), "s"),
        }
    )
    frame["day"] = frame["day"].dt.strftime("%Y-%m-%d")
    frame.loc[chance.random(rows) < 0.1, "normal"] = np.nan
    return pd.concat([frame, frame.iloc[:: max(rows // 50, 1)]], ignore_index=True)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, Profile]:
    """A table small enough for every figure to be exact, as pandas reads it, and its profile."""
    root = tmp_path_factory.mktemp("small")
    text = mixed(MIXED_ROWS).to_csv(index=False)
    return pd.read_csv(io.StringIO(text)), profiled(root, "t.csv", text, label="species")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, Profile]:
    """A table so large that quantiles and distinct values are estimated."""
    root = tmp_path_factory.mktemp("large")
    frame = mixed(MANY_ROWS)
    frame["day"] = pd.to_datetime(frame["day"]).dt.date
    return frame, profiled(root, "t.parquet", pa.Table.from_pandas(frame, preserve_index=False))


def numbers_of(frame: pd.DataFrame, name: str) -> pd.Series[float]:
    """A column's values on the axis of the profile: moments as seconds."""
    if name in ("day", "moment"):
        return (pd.to_datetime(frame[name]) - pd.Timestamp(0)).dt.total_seconds()
    return frame[name].dropna()


NUMERIC = ["id", "small", "normal", "skewed", "day", "moment"]


def test_rows_nulls_distinct_and_duplicates_are_those_of_pandas(small: tuple[pd.DataFrame, Profile]) -> None:
    frame, found = small
    assert found.rows == len(frame)
    assert found.duplicates == int(frame.duplicated().sum()) > 0
    assert [column.name for column in found.columns] == list(frame.columns)
    for column in found.columns:
        assert column.nulls == int(frame[column.name].isna().sum())
        assert (column.distinct, column.distinct_exact) == (frame[column.name].nunique(), True)


def test_types_are_told_from_the_values(small: tuple[pd.DataFrame, Profile]) -> None:
    assert {column.name: column.type for column in small[1].columns} == {
        "id": "integer",
        "small": "integer",
        "normal": "number",
        "skewed": "number",
        "species": "string",
        "flag": "boolean",
        "day": "date",
        "moment": "datetime",
    }


@pytest.mark.parametrize("name", NUMERIC)
def test_mean_deviation_range_and_quantiles_are_those_of_numpy(
    small: tuple[pd.DataFrame, Profile], name: str
) -> None:
    frame, found = small
    column, values = found.column(name), numbers_of(frame, name)
    assert column is not None
    assert column.numbers is not None
    assert column.numbers.mean == pytest.approx(values.mean(), rel=1e-12)
    assert column.numbers.deviation == pytest.approx(stats.tstd(values), rel=1e-7)
    assert column.numbers.rank_error == 0
    told = [quantile.value for quantile in column.numbers.quantiles]
    assert told == pytest.approx(list(np.quantile(values, QUANTILES)), rel=1e-12)
    if name not in ("day", "moment"):
        assert (column.min, column.max) == (values.min(), values.max())


def test_the_range_of_moments_is_told_as_text(small: tuple[pd.DataFrame, Profile]) -> None:
    frame, found = small
    for name in ("day", "moment"):
        column = found.column(name)
        assert column is not None
        assert (column.min, column.max) == (frame[name].min(), frame[name].max())


@pytest.mark.parametrize("name", NUMERIC)
@pytest.mark.parametrize("size", ["small", "large"])
def test_histograms_count_every_value_in_bins_that_include_their_upper_edge(
    name: str, size: str, request: pytest.FixtureRequest
) -> None:
    frame, found = request.getfixturevalue(size)
    column, values = found.column(name), numbers_of(frame, name)
    assert column is not None
    assert column.numbers is not None
    histogram = column.numbers.histogram
    edges = np.array(histogram.edges)
    expected = [int(((values > low) & (values <= high)).sum()) for low, high in itertools.pairwise(edges)]
    expected[0] += int((values == edges[0]).sum())
    assert list(histogram.counts) == expected
    assert (histogram.below, histogram.above) == (
        int((values < edges[0]).sum()),
        int((values > edges[-1]).sum()),
    )
    assert sum(histogram.folded) == len(values)
    assert len(histogram.counts) <= 21


def test_the_most_frequent_values_have_exact_counts(small: tuple[pd.DataFrame, Profile]) -> None:
    frame, found = small
    for name in ("species", "small", "flag", "day"):
        column = found.column(name)
        assert column is not None
        expected = frame[name].value_counts()
        assert {each.value: each.count for each in column.top}.items() <= expected.to_dict().items()
        assert column.top[0].count == expected.iloc[0]
        assert [each.count for each in column.top] == sorted(
            (each.count for each in column.top), reverse=True
        )
    species = found.column("species")
    assert species is not None
    assert species.complete
    assert len(species.top) == frame["species"].nunique()


def test_the_balance_of_classes_is_exact(small: tuple[pd.DataFrame, Profile]) -> None:
    frame, found = small
    assert found.label == "species"
    assert {each.value: each.count for each in found.classes} == frame["species"].value_counts().to_dict()


def test_beyond_the_exact_size_a_quantiles_rank_is_within_its_error(
    large: tuple[pd.DataFrame, Profile],
) -> None:
    frame, found = large
    for name in NUMERIC:
        column, values = found.column(name), np.sort(numbers_of(frame, name))
        assert column is not None
        assert column.numbers is not None
        assert column.numbers.rank_error < 0.02
        for quantile in column.numbers.quantiles:
            low, high = (
                np.searchsorted(values, quantile.value, side=side) / len(values) for side in ("left", "right")
            )
            error = column.numbers.rank_error + 1 / len(values)
            assert low - error <= quantile.share <= high + error, (name, quantile)


def test_beyond_the_exact_size_counts_are_exact_and_distinct_values_are_near(
    large: tuple[pd.DataFrame, Profile],
) -> None:
    frame, found = large
    assert found.rows == len(frame)
    assert found.duplicates == int(frame.duplicated().sum())
    for column in found.columns:
        series = frame[column.name]
        assert column.nulls == int(series.isna().sum())
        assert column.distinct == pytest.approx(series.nunique(), rel=0.06)
        assert not column.distinct_exact or column.distinct == series.nunique()
        counts = series.value_counts().to_dict()
        if column.type in ("string", "integer", "boolean"):
            assert all(counts[each.value] == each.count for each in column.top)
    species = found.column("species")
    assert species is not None
    assert {each.value: each.count for each in species.top} == frame["species"].value_counts().to_dict()


def test_the_same_files_give_the_same_profile_whatever_the_number_of_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large: tuple[pd.DataFrame, Profile]
) -> None:
    import ibis

    connect = ibis.duckdb.connect
    found = []
    frame = large[0]
    written(tmp_path / "t.parquet", pa.Table.from_pandas(frame, preserve_index=False))
    for threads in (1, 4):
        monkeypatch.setattr(ibis.duckdb, "connect", partial(connect, threads=threads))
        found.append(profiled(tmp_path, "t.parquet").model_dump())
    for profile in found:
        for column in profile["columns"]:
            if column["numbers"]:  # sums of doubles depend on their order in the last digits
                column["numbers"] |= {
                    name: pytest.approx(column["numbers"][name], rel=1e-9) for name in ("mean", "deviation")
                }
    for one, other in zip(found[0]["columns"], found[1]["columns"], strict=True):
        assert {**one, "numbers": None} == {**other, "numbers": None}
        if one["numbers"]:
            for name in ("quantiles", "histogram", "rank_error", "infinite"):
                assert one["numbers"][name] == other["numbers"][name]
            for name in ("mean", "deviation"):
                assert one["numbers"][name].expected == other["numbers"][name]
    assert found[0]["duplicates"] == found[1]["duplicates"]


ADA = '{"id":1,"name":"Ada","x":1.5}\n{"id":2,"name":"Grace, Hopper"}\n'
ARROW = pa.table({"id": [1, 2, 3], "name": ["Ada", "Grace, Hopper", "two\nlines"], "x": [1.5, None, -2.0]})
TEXT = 'id,name,x\n1,Ada,1.5\n2,"Grace, Hopper",\n3,"two\nlines",-2\n'


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", TEXT),
        ("t.csv.gz", TEXT),
        ("t.csv.bz2", TEXT),
        ("t.csv.xz", TEXT),
        ("t.csv.zst", TEXT),
        ("T.CSV", TEXT),
        ("t.tsv", TEXT.replace(",", "\t").replace("Grace\t", "Grace,")),
        ("t.tab", TEXT.replace(",", "\t").replace("Grace\t", "Grace,")),
        ("bom.csv", b"\xef\xbb\xbf" + TEXT.encode()),
        ("crlf.csv", TEXT.replace("\n", "\r\n").replace("two\r\n", "two\n")),
        ("utf16le.csv", TEXT.encode("utf-16")),
        ("utf16be.csv", b"\xfe\xff" + TEXT.encode("utf-16-be")),
        ("utf16.csv.gz", TEXT.encode("utf-16")),
        ("semicolon.csv", TEXT.replace(",", ";").replace("Grace;", "Grace,")),
        ("bar.csv", TEXT.replace(",", "|").replace("Grace|", "Grace,")),
        ("no-end.csv", TEXT.rstrip()),
        (
            "t.jsonl",
            ADA + '\n\n{"id":3,"name":"two\\nlines","x":-2.0}',
        ),
        (
            "t.ndjson.gz",
            ADA + '{"id":3,"x":-2.0,"name":"two\\nlines"}\n',
        ),
        *(
            (f"t.{kind}", ARROW)
            for kind in ("parquet", "arrow", "feather", "ipc")
        ),
    ],
)  # fmt: skip
def test_every_kind_of_file_gives_the_same_profile(
    tmp_path: Path, name: str, content: str | bytes | pa.Table
) -> None:
    found = profiled(tmp_path, name, content)
    assert [(each.name, each.type, each.nulls, each.distinct) for each in found.columns] == [
        ("id", "integer", 0, 3),
        ("name", "string", 0, 3),
        ("x", "number", 1, 2),
    ]
    assert found.rows == 3
    assert found.columns[1].max == "two\nlines"
    assert (found.columns[2].min, found.columns[2].max) == (-2.0, 1.5)
    assert found.size_bytes == (tmp_path / name).stat().st_size
    assert list((tmp_path / ".scratch").iterdir()) == []


@pytest.mark.parametrize("asked", ["data", "data/", "data/**/*.csv", "data/**", "./data"])
def test_a_folder_or_a_glob_is_one_data_set(tmp_path: Path, asked: str) -> None:
    written(tmp_path / "data" / "one.csv", "a,b\n1,x\n2,y\n")
    written(tmp_path / "data" / "deep" / "two.csv", "b,a\ny,2\nz,3\n")
    written(tmp_path / "data" / ".hidden.csv", "other\n1\n")
    written(tmp_path / "data" / ".ipynb_checkpoints" / "one-checkpoint.csv", "a,b\n1,x\n2,y\n")
    written(tmp_path / "data" / "README.md", "no table")
    found = profiled(tmp_path, asked)
    assert (found.files, found.rows, found.duplicates) == (2, 4, 1)
    assert [(each.name, each.min, each.max) for each in found.columns] == [("b", "x", "z"), ("a", 1, 3)]


def test_a_folder_whose_only_tables_are_hidden_is_no_data_set(tmp_path: Path) -> None:
    written(tmp_path / "data" / ".ipynb_checkpoints" / "one-checkpoint.csv", "a,b\n1,x\n2,y\n")
    written(tmp_path / "data" / "README.md", "no table")
    assert not has_tables(tmp_path / "data")
    written(tmp_path / "data" / "deep" / "two.csv", "a\n1\n")
    assert has_tables(tmp_path / "data")


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_folder_that_is_named_like_a_partition_adds_and_changes_no_column(
    tmp_path: Path, kind: str
) -> None:
    table = pa.table({"split": ["train", "train"], "x": [1, 2]})
    text = {"csv": "split,x\ntrain,1\ntrain,2\n", "jsonl": '{"split":"train","x":1}\n{"split":"train","x":2}'}
    found = profiled(tmp_path, f"year=2024/split=test/t.{kind}", text.get(kind, table))
    assert [(each.name, each.max) for each in found.columns] == [("split", "train"), ("x", 2)]


def test_a_name_that_exists_is_no_glob(tmp_path: Path) -> None:
    written(tmp_path / "data[1]*.csv", "a\n1\n")
    written(tmp_path / "data1x.csv", "a\n2\n")
    assert profiled(tmp_path, "data[1]*.csv").columns[0].max == 1


NAMES = [
    "a b",
    'say "hi"',
    "it's",
    "a,b",
    "select",
    "😀",
    "data",
    "c0",
    "key",
    "rows",
    "{x}",
    "a\nb",
    "%",
    "<b>",
]


@pytest.mark.parametrize("kind", ["csv", "parquet", "arrow", "jsonl"])
def test_a_column_may_have_any_name(tmp_path: Path, kind: str) -> None:
    frame = pd.DataFrame({name: [at, at + 1] for at, name in enumerate(NAMES)})
    content: Any = {
        "csv": frame.to_csv(index=False),
        "jsonl": frame.to_json(orient="records", lines=True),
    }.get(kind, pa.Table.from_pandas(frame))
    found = profiled(tmp_path, f"t.{kind}", content, label=NAMES[1])
    assert [each.name for each in found.columns] == NAMES
    assert [each.min for each in found.columns] == list(range(len(NAMES)))
    assert len(found.classes) == 2


def test_names_that_differ_in_case_only_keep_their_values(tmp_path: Path) -> None:
    found = profiled(tmp_path, "t.jsonl", '{"a":1,"A":2}\n{"a":3,"A":4}\n')
    assert [(each.min, each.max) for each in found.columns] == [(1, 3), (2, 4)]


def test_zero_rows_one_row_and_columns_without_values(tmp_path: Path) -> None:
    empty = profiled(tmp_path, "empty.csv", "a,b\n", label="b")
    assert (empty.rows, empty.duplicates, len(empty.columns), empty.classes) == (0, 0, 2, ())
    one = profiled(tmp_path, "one.csv", "a,b\n5,\n").columns
    assert one[0].numbers is not None
    assert (one[0].numbers.mean, one[0].numbers.deviation, one[0].numbers.quantile(0.99)) == (5, None, 5)
    assert (one[1].nulls, one[1].distinct, one[1].min, one[1].top, one[1].complete) == (1, 0, None, (), True)
    assert one[1].numbers is None


def test_a_constant_column_has_one_bin(tmp_path: Path) -> None:
    (column,) = profiled(tmp_path, "t.csv", "a\n" + "7\n" * 100).columns
    assert column.numbers is not None
    assert (column.numbers.deviation, column.numbers.histogram.counts) == (0, (100,))
    assert column.top[0].count == 100


def test_infinities_are_counted_and_nan_is_null(tmp_path: Path) -> None:
    (column,) = profiled(tmp_path, "t.csv", "a\n1.5\n2.5\ninf\n-inf\nnan\nNaN\n").columns
    assert column.numbers is not None
    assert (column.nulls, column.numbers.infinite, column.numbers.mean) == (2, 2, 2.0)
    assert (column.min, column.max, column.distinct) == (1.5, 2.5, 4)
    table = pa.table({"a": pa.array([float("nan"), None, float("inf"), -0.0, 0.0])})
    (column,) = profiled(tmp_path, "t.parquet", table).columns
    assert (column.nulls, column.distinct, column.top[0].count) == (2, 2, 2)


@pytest.mark.parametrize("kind", [pa.float32(), pa.float64()])
@pytest.mark.parametrize("name", ["t.parquet", "t.arrow"])
def test_nan_is_null_also_where_the_files_own_bounds_leave_it_out(
    tmp_path: Path, name: str, kind: pa.DataType
) -> None:
    table = pa.table({"a": pa.array([1.0, 2.0, float("nan")] * 10, kind)})
    (column,) = profiled(tmp_path, name, table).columns
    assert (column.nulls, column.distinct, column.min, column.max) == (10, 2, 1.0, 2.0)
    assert column.numbers is not None
    assert (column.numbers.mean, column.numbers.infinite) == (1.5, 0)
    assert sum(column.numbers.histogram.counts) == 20


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [
        (pa.int8(), -(2**7), 2**7 - 1),
        (pa.uint8(), 0, 2**8 - 1),
        (pa.int16(), -(2**15), 2**15 - 1),
        (pa.int64(), -(2**63), 2**63 - 1),
        (pa.uint64(), 0, 2**64 - 1),
    ],
)
def test_the_largest_and_smallest_integers_are_exact(tmp_path: Path, kind: Any, low: int, high: int) -> None:
    # Most values are the extremes; 30,000 rows hold some that are not among a sample of 4,096.
    values = [low, high] * 15_000 + list(range(100)) + [None]
    found = profiled(tmp_path, "t.parquet", pa.table({"a": pa.array(values, kind)}), label="a")
    (column,) = found.columns
    assert (column.min, column.max, column.nulls) == (low, high, 1)
    zero = 15_001 if low == 0 else 15_000
    assert {each.value: each.count for each in column.top[:2]} == {low: zero, high: 15_000}
    assert {each.value: each.count for each in found.classes}[high] == 15_000


def test_large_integers_of_a_csv_keep_all_their_digits(tmp_path: Path) -> None:
    found = profiled(tmp_path, "t.csv", "a\n9223372036854775807\n-9223372036854775808\n9007199254740993\n")
    assert (found.columns[0].type, found.columns[0].min) == ("integer", -(2**63))
    assert found.columns[0].max == 2**63 - 1
    assert 9007199254740993 in {each.value for each in found.columns[0].top}


def test_an_empty_text_is_a_value_in_typed_files_and_missing_in_csv(tmp_path: Path) -> None:
    typed = profiled(tmp_path, "t.parquet", pa.table({"a": ["", "", "x", None]})).columns[0]
    assert (typed.nulls, [(each.value, each.count) for each in typed.top]) == (1, [("", 2), ("x", 1)])
    assert profiled(tmp_path, "t.csv", 'a,b\n,1\nNA,2\n"",3\nx,4\n').columns[0].nulls == 3


def test_types_of_typed_files(tmp_path: Path) -> None:
    from datetime import date, datetime, time
    from decimal import Decimal
    from zoneinfo import ZoneInfo

    noon = datetime(2024, 1, 1, 12, tzinfo=ZoneInfo("Europe/Berlin"))
    table = pa.table(
        {
            "decimal": pa.array([Decimal("1.10"), Decimal("-2.25")], pa.decimal128(10, 2)),
            "date": [date(1, 1, 1), date(9999, 12, 31)],
            "fraction": [datetime(2024, 1, 1, 12, 0, 0, 500000), None],  # noqa: DTZ001 -- one without a zone
            "zone": pa.array([noon, None], pa.timestamp("us", "Europe/Berlin")),
            "pandas": pa.array([noon, None], pa.timestamp("ns", "Europe/Berlin")),
            "time": [time(1, 2, 3), None],
            "flag": [True, False],
            "list": [[1], [2]],
            "object": [{"a": 1}, {"a": 1}],
            "bytes": [b"x", b"y"],
            "category": pa.array(["x", "y"]).dictionary_encode(),
            "half": pa.array(np.array([1.5, 2.5], np.float16)),
            "nothing": pa.nulls(2),
        }
    )
    for name in ("t.parquet", "t.arrow", "t.ipc"):
        found = {each.name: each for each in profiled(tmp_path, name, table).columns}
        assert {key: column.type for key, column in found.items()} == {
            "decimal": "number", "date": "date",
            "fraction": "datetime", "zone": "datetime", "pandas": "datetime",
            "time": "time", "flag": "boolean", "list": "other", "object": "other", "bytes": "other",
            "category": "string", "half": "number", "nothing": found["nothing"].type,
        }  # fmt: skip
        assert (found["decimal"].min, found["decimal"].max) == (-2.25, 1.1)
        assert (found["date"].min, found["date"].max) == ("0001-01-01", "9999-12-31")
        assert found["fraction"].top[0].value == found["fraction"].max == "2024-01-01 12:00:00.5"
        assert str(found["zone"].min).startswith("2024-01-01 11:00:00")  # in UTC
        assert found["pandas"].min == found["zone"].min
        assert (found["nothing"].nulls, found["list"].nulls) == (2, 0)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ("true,false,True,FALSE", ("boolean", [False, True], [2, 2])),
        ("yes,no,no,yes", ("string", ["no", "yes"], [2, 2])),
        ("t,f,f,f", ("string", ["f", "t"], [3, 1])),
        ("1,0,0,1", ("integer", [0, 1], [2, 2])),
        ("0x1A,12,0x1A,0b11", ("string", ["0b11", "0x1A", "12"], [1, 2, 1])),
    ],
)
def test_words_are_kept_and_only_true_and_false_are_truth_values(
    tmp_path: Path, values: str, expected: tuple[str, list[Any], list[int]]
) -> None:
    text = "a,b\n" + "".join(f"{value},1\n" for value in values.split(","))
    found = profiled(tmp_path, "t.csv", text, label="a")
    classes = sorted(found.classes, key=lambda each: each.value)
    assert (
        found.columns[0].type,
        [each.value for each in classes],
        [each.count for each in classes],
    ) == expected


@pytest.mark.parametrize(
    ("first", "last", "kind", "top"),
    [
        ("1", "x", "string", "1"),
        ("1", "1.5", "number", 1.0),
        ("1", "inf", "number", 1.0),
        ("2024-01-01", "2024-01-01 10:30:00", "datetime", "2024-01-01 00:00:00"),
        ("2024-01-01", "soon", "string", "2024-01-01"),
        ("true", "t", "string", "true"),
        ("true", "1", "string", "true"),
        ("10:00:00", "late", "string", "10:00:00"),
        ("1", "9223372036854775807", "integer", 1),
        ("1", "", "integer", 1),
        ("1", "0x1A", "string", "1"),
    ],
)
def test_a_type_that_changes_after_the_sniffed_sample_is_told_from_all_rows(
    tmp_path: Path, first: str, last: str, kind: str, top: object
) -> None:
    text = "a,b\n" + f"{first},1\n" * 30_000 + f"{last},2\n"
    column = profiled(tmp_path, "t.csv", text).columns[0]
    assert (column.type, column.top[0].value, column.top[0].count) == (kind, top, 30_000)


@pytest.mark.parametrize(
    ("value", "kind"),
    [("1.5", "number"), ("7", "integer"), ("true", "boolean"), ("2024-05-01", "date"), ("x", "string")],
)
def test_a_column_that_is_empty_at_first_has_the_type_of_its_values(
    tmp_path: Path, value: str, kind: str
) -> None:
    column = profiled(tmp_path, "t.csv", "a,b\n" + ",1\n" * 30_000 + f"{value},1\n").columns[0]
    assert (column.type, column.nulls, column.distinct) == (kind, 30_000, 1)


@pytest.mark.parametrize("first", ["a,b\n", "a,b\n,x\n"])
def test_a_file_without_values_leaves_the_types_to_the_others(tmp_path: Path, first: str) -> None:
    written(tmp_path / "parts" / "1.csv", first)
    written(tmp_path / "parts" / "2.csv", "a,b\n1,x\n2,y\n")
    assert [each.type for each in profiled(tmp_path, "parts").columns] == ["integer", "string"]


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("text", "NA"),
        ("1", "None"),
        ("1.5", "nan"),
        ("true", "#N/A"),
        ("2024-05-01", "null"),
        ("2024-05-01 12:30:00", "-1.#IND"),
    ],
)
def test_a_word_for_a_missing_value_that_first_comes_late_is_one(
    tmp_path: Path, value: str, word: str
) -> None:
    rows = f"{value},{'x' * 100}\n" * 30_000 + f"{word},y\n" + f"{value},{word}\n"

    one, other = profiled(tmp_path, "t.csv", f"a,b\n{rows}").columns

    assert (one.nulls, one.distinct, one.top[0].count) == (1, 1, 30_001)
    assert one.type == profiled(tmp_path, "u.csv", f"a,b\n{value},x\n").columns[0].type
    assert (other.nulls, other.distinct) == (1, 2)


def test_a_csv_of_excel_whose_cells_have_line_breaks_may_be_looked_at_again(tmp_path: Path) -> None:
    row = f'1.5,"one\ntwo {"x" * 100}"\r\n'
    column, _ = profiled(tmp_path, "t.csv", "a,b\r\n" + row * 15_000 + 'NA,"x\ny"\r\n').columns
    assert (column.type, column.nulls) == ("number", 1)


def test_a_csv_whose_rows_end_in_two_ways_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"`t.csv` mixes line endings \(`\\n` and `\\r\\n`\)"):
        profiled(tmp_path, "t.csv", 'a,b\r\n1,"one\ntwo"\r\n2,x\n')


def test_a_key_that_comes_late_in_json_lines_is_found(tmp_path: Path) -> None:
    text = '{"a":1}\n' * 30_000 + '{"a":"x","late":[1]}\n'
    found = profiled(tmp_path, "t.jsonl", text)
    assert [(each.name, each.type, each.nulls) for each in found.columns] == [
        ("a", "other", 0),
        ("late", "other", 30_000),
    ]


def test_numbers_of_json_lines_may_be_whole_or_not(tmp_path: Path) -> None:
    found = profiled(tmp_path, "t.jsonl", '{"a":1,"d":"2024-01-01"}\n{"a":2.5,"d":"2024-02-01"}\n')
    assert [each.type for each in found.columns] == ["number", "date"]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("2024-05-01", "date"),
        ("2024-05-01 12:30:00", "datetime"),
        ("2024-05-01T12:30:00.5Z", "datetime"),
        ("2024-05-01T12:30:00+02:00", "datetime"),
        ("05-01-2024", "string"),
        ("04-03-23", "string"),
        ("01-31-2024 10:00:00 AM", "string"),
        ("23-04-03 10:00:00", "string"),
    ],
)
def test_a_moment_in_json_lines_is_one_of_iso_8601_and_others_stay_text(
    tmp_path: Path, value: str, kind: str
) -> None:
    column, _ = profiled(tmp_path, "t.jsonl", f'{{"a":"{value}","b":1}}\n{{"b":2}}\n').columns
    assert (column.type, column.nulls) == (kind, 1)
    assert kind != "string" or column.max == value


def test_many_columns(tmp_path: Path) -> None:
    header = ",".join(f"c{at}" for at in range(150))
    text = "\n".join([header, *(",".join(str(row * at) for at in range(150)) for row in range(20))])
    found = profiled(tmp_path, "t.csv", text + "\n")
    assert len(found.columns) == 150
    assert found.columns[149].max == 19 * 149


def test_the_histogram_of_the_base_gives_the_edges(tmp_path: Path) -> None:
    base = profiled(tmp_path, "base.csv", "a\n" + "".join(f"{at}\n" for at in range(100)))
    head = profiled(tmp_path, "head.csv", "a\n-5\n50\n1000\n", edges=base)
    assert base.columns[0].numbers is not None
    assert head.columns[0].numbers is not None
    histogram = head.columns[0].numbers.histogram
    assert histogram.edges == base.columns[0].numbers.histogram.edges
    assert (histogram.below, sum(histogram.counts), histogram.above) == (1, 1, 1)


def test_a_profile_survives_json(small: tuple[pd.DataFrame, Profile]) -> None:
    assert Profile.from_json(small[1].to_json()) == small[1]


class _Bar:
    def __init__(self) -> None:
        self.steps: list[float] = []

    def advance(self, amount: float = 1) -> None:
        self.steps.append(amount)

    def total(self, total: float) -> None:
        raise AssertionError(total)


@pytest.mark.parametrize("last", ["2", "x"])
def test_progress_ends_at_a_hundred_also_where_all_is_read_again(tmp_path: Path, last: str) -> None:
    bar = _Bar()
    profiled(tmp_path, "t.csv", "a\n" + "1\n" * 30_000 + f"{last}\n", progress=bar)
    assert sum(bar.steps) == pytest.approx(100)


def test_progress_advances_while_a_long_read_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cml_action.data import duck

    monkeypatch.setattr(duck, "LOOK_EVERY_S", 0.01)
    bar = _Bar()
    chance = np.random.default_rng(1)
    table = pa.table({f"c{at}": chance.normal(size=400_000) for at in range(8)})
    profiled(tmp_path, "t.parquet", table, progress=bar)
    assert len([step for step in bar.steps if step > 0]) > 4
    assert min(bar.steps) >= -1e-9
    assert sum(bar.steps) == pytest.approx(100)


def test_a_label_with_too_many_classes_looks_like_an_identifier(tmp_path: Path) -> None:
    text = "id\n" + "".join(f"{at}\n" for at in range(1500))
    with pytest.raises(UsageError, match="more than 1,000 different values: it looks like an identifier"):
        profiled(tmp_path, "t.csv", text, label="id")


def test_a_label_of_lists_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds lists, objects or bytes"):
        profiled(tmp_path, "t.jsonl", '{"a":[1]}\n', label="a")
