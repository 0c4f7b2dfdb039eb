"""The real helm; what needs it skips, saying so, where it could not be had."""

from __future__ import annotations

import pytest
from charts import Helm, helm_path


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """The helm that the tests run."""
    binary = helm_path()
    if binary is None:
        pytest.skip("helm is not here: run scripts/fetch_helm.sh, or set ARCHIPEL_HELM")
    return Helm(binary, tmp_path_factory.mktemp("helm"))
