"""A function for each method of the clients: its request, how the answer is read, and its docstring.

In their examples `encoder`, `matcher` and `collections` are an `EncoderClient`, a `MatcherClient` and a
`CollectionClient`, and `photo` is the bytes of an image file that shows Ann. `methods` makes the clients'
methods of them.
"""
