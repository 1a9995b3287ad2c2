"""The gateway: both services over HTTP, as JSON, as Connect and gRPC-Web speak it, and as forms with photos.

It holds no state and adds no right: keys are passed on, and the services decide. docs/http.md is its guide.
"""
