import pytest

from tests.unit.api.compute.cloud import Cloud


@pytest.fixture
def cloud():
    cloud = Cloud()
    yield cloud
    cloud.store.close()
