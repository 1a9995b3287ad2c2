"""A function for each method of the clients, which defines its request, answer and docstring.

`methods` turns these functions into the clients' methods. In the examples `encoder`, `matcher` and
`collections` are an `EncoderClient`, a `MatcherClient` and a `CollectionClient`, and `photo` is the bytes of
an image file that shows Ann.
"""
