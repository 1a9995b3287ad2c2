"""The answers of calls, as frozen dataclasses with the field names of the contract; some are arguments, too.

Times are `datetime` in UTC. Distances are Euclidean, between encodings of one space. A caller whose key has
no `scores` does not see distances, only whether they are within the threshold: each docstring says which
fields are then empty.
"""
