"""The pure core: what there is (``pool``) and where things go (``scheduler``).

It decides from values and returns values: no clock, loop, chance, storage or web. May import numpy, os-traits and
os-resource-classes only. Start reading at ``pool.Pool`` and ``scheduler.Scheduler``.
"""
