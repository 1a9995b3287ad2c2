"""The console: web pages that come with the package, and sessions in which a browser uses an API key.

docs/console.md is its guide. The pages are in `static/`; they call the gateway as any other page would.
"""
