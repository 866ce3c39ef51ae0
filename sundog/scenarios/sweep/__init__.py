"""Sweeps: one scenario, some of its keys varied, each combination played with the same seeds.

``plan`` says which cells there are, ``play`` plays one, ``crew`` has them played by processes (``ray_crew``: by Ray),
``folder`` keeps what is done so that a sweep can be interrupted at any time. Start at ``crew.conduct``.
"""
