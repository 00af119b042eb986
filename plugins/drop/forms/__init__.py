"""Every form of the plugin, and what is read from it. Only these modules draw or parse.

A form belongs to one function of the package: its fields are named after the parameters, and
their defaults are read from the signature. Forms that import PyTorch are imported when they are
drawn, since FiftyOne loads the plugin at every request.
"""
