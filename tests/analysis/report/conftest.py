"""One real Chromium for all tests of pages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from browser import Page, open_page


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """One browser for all tests."""
    with open_page(tmp_path_factory.mktemp("chromium")) as page:
        yield page


@pytest.fixture
def page(browser: Page) -> Iterator[Page]:
    """The browser with a wide window; afterwards nothing may have been complained of or asked of anybody."""
    browser.complaints.clear()
    browser.requests.clear()
    browser.show(1280)
    yield browser
    browser.settle()
    assert browser.complaints == []
    assert [url for url in browser.requests if not url.startswith(("file:", "blob:", "data:"))] == []
