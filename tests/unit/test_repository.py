from __future__ import annotations

import pytest

from cml_action.data.repository import Tracked, hits

TRACKED = [
    Tracked(path=path, hash="md5:0", size_bytes=1, files=1, is_dir="." not in path, source=f"{path}.dvc")
    for path in ("big.csv", "data/big.csv", "data/shards", "data/deep/er/one.csv")
]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("*.csv", ["big.csv"]),
        ("data/*.csv", ["data/big.csv"]),
        ("*/big.csv", ["data/big.csv"]),
        ("**/big.csv", ["big.csv", "data/big.csv", "data/shards"]),
        ("data/**/*.csv", ["data/big.csv", "data/shards", "data/deep/er/one.csv"]),
        ("data/shards/*.csv", ["data/shards"]),
        ("data/s*/a/*.csv", ["data/shards"]),
        ("data/shards/a.csv", ["data/shards/a.csv"]),
        ("data/d*/*.csv", []),
        ("data/*.dvc", ["data/big.csv", "data/shards"]),
        ("./data/", ["data/big.csv", "data/shards", "data/deep/er/one.csv"]),
    ],
)
def test_a_glob_stands_for_what_it_matches_and_for_a_folder_that_it_may_reach_into(
    name: str, expected: list[str]
) -> None:
    assert hits(name, TRACKED) == expected
