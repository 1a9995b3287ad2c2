"""Reads encodings out of a pickle without executing anything of it.

A pickle is a program that builds objects by calling what it names. Here nothing that it names is imported or
called: `operations` parses the file, `machine` runs the operations, `costs` says what they take in memory,
`objects` makes numpy arrays and placeholders for scikit-learn objects, and `faces` finds the faces in these.
"""
