"""The forms of the operators. Only these modules draw fields and read them.

A form belongs to one function of the package: its fields are named after the parameters, and
their defaults are read from the signature.
"""
