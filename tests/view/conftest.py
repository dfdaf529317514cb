"""A browser for the tests of pages."""

from tests.browsers import browser, page  # noqa: F401
