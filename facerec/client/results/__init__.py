"""What calls answer, as frozen dataclasses with the field names of the contract; some of it is sent, too.

Times are `datetime` in UTC. Distances are Euclidean, between encodings of one space. A caller whose key has
no `scores` learns of a distance only whether it is within the threshold: each docstring says what is then
missing.
"""
