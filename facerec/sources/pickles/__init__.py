"""Reads what is in a pickle without executing anything of it.

A pickle is a program that builds objects by calling what it names. Here nothing that it names is imported or
called: `operations` takes the file apart, `machine` carries the operations out, `objects` makes the few numpy
arrays and bare scikit-learn objects there may be, and `galleries` finds the faces in what came out.
"""
