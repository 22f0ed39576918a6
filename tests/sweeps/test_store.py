import pytest

from sweeps.run_place import RunPlace
from sweeps.store import Store, StoreError, StoreUri


def test_place_that_cannot_be_written_is_refused_and_nothing_is_left(uri, bucket, machine):
    RunPlace(uri=str(uri)).check_vacant()
    assert not [path for path in bucket.rglob("*") if path.is_file()]
    (bucket / "file").write_text("no folder")
    place = RunPlace(uri=f"fsspec+file://{bucket}/file/mine")
    with pytest.raises(StoreError, match=r"^--out fsspec.*file/mine: .*; see that the bucket"):
        place.check_vacant()
    assert not place.folder.exists()


@pytest.mark.parametrize("text", ["s3://bucket", "gs://bucket/", "s3:///a/b", "s3://bucket?a=x/y"])
def test_uri_that_names_no_folder_of_a_bucket_is_refused(text):
    with pytest.raises(StoreError, match=r"names no folder in a bucket; add one, as in \w+://b"):
        StoreUri(text)


def test_uri_of_a_store_without_buckets_need_not_name_one():
    assert StoreUri("hdfs:///runs/mine").name == "mine"
    assert StoreUri("fsspec+sftp://me@host/a/b").name == "b"


@pytest.mark.parametrize(
    "text",
    [
        "s3://key:hush@bucket/a",
        "s3://key:hu/hush@bucket/a",
        "s3://bucket/a?secret_key=hush",
        "fsspec+abfs://bucket/a?account_key=hush",
        "fsspec+abfs://bucket/a?region=x&sig=hush",
    ],
)
def test_uri_with_a_secret_is_refused_without_repeating_it(text):
    with pytest.raises(StoreError, match=r"holds a secret \(\w+\), which would be") as error:
        StoreUri(text)
    assert "hush" not in str(error.value)


def test_uri_that_is_none_is_refused():
    with pytest.raises(StoreError, match=r"\[x/y: no URI of an object store"):
        StoreUri("s3://[x/y")
    with pytest.raises(StoreError, match=r"give the path without \. and \.\."):
        StoreUri("s3://bucket/runs/..")


def test_one_place_has_one_folder_here_however_it_is_spelled(machine):
    one = StoreUri("s3://bucket/runs/mine")
    for other in ("s3://bucket/runs//mine/", "s3://bucket/runs/mine?region=eu-west-1"):
        assert StoreUri(other).folder == one.folder
    for other in ("s3://bucket/mine", "gs://bucket/runs/mine", f"{one}?endpoint_override=host:1"):
        assert StoreUri(other).folder != one.folder


def test_absence_is_not_believed_of_what_could_not_be_read(uri, bucket, machine, monkeypatch):
    """As where a connection is lost, which fsspec's own questions take for absence."""
    store = Store(uri)
    store.write("folder/name", b"content")
    files = store._by_fsspec

    def fail(*_, **__):
        raise OSError("Socket is closed")

    with monkeypatch.context() as unwell:
        for method in ("ls", "info", "isdir", "exists", "open"):
            unwell.setattr(files, method, fail)
        for ask in (store.names, store.sizes, store.read, store.has):
            with pytest.raises(StoreError, match="Socket is closed"):
                ask("folder/name")
    assert store.names("folder") == ["name"]
    assert store.names("other") == []
    assert store.read("other") is None
    assert store.has("folder/name")
