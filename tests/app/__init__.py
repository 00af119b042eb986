"""A package, so that its browser is closed before the tests of the next folder start.

While Playwright is open an event loop runs in the main thread, and no ``asyncio.run`` works there.
"""
