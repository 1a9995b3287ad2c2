"""The short paths, such as /v1/verify: the contract's annotations as paths, in JSON and as forms."""
