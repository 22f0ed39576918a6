"""Nothing that the tests decode goes to the home folder."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TG_SWEEP_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
