"""The control plane: use cases over the store, the core and a driver. It knows no HTTP and no clock but the loop's.

It may import ``backends.contract``, ``runtime`` and ``core``. Start at ``principal`` for who is asking.
"""
