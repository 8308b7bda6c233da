"""One headless Chromium for the pages of a module, driven by Playwright."""

from __future__ import annotations

import pytest
from playwright.sync_api import sync_playwright

from tests.browser.chromium import started


@pytest.fixture(scope="module")
def playwright():
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def context(playwright, tmp_path_factory):
    chromium = started(playwright, tmp_path_factory.mktemp("profile"))
    yield chromium
    chromium.close()
