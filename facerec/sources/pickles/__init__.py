"""Reads encodings from a pickle without executing any code of it.

A pickle is a program that builds objects by calling functions that it names. Here no named function is
imported or called: `operations` parses the file, `machine` interprets the operations, `costs` has their
memory costs, `objects` builds numpy arrays and placeholders of scikit-learn objects, and `faces` finds the
faces in these.
"""
