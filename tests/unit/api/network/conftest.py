import pytest

from tests.unit.api.network.cloud import Cloud


@pytest.fixture
def cloud():
    cloud = Cloud()
    yield cloud
    cloud.store.close()
