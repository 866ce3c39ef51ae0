"""Simulation testing: the whole control plane in virtual time, with random clients, random faults, and crashes.

A run belongs to one seed and is repeated exactly by it. ``mix`` says what happens in it, ``gates`` how the control
plane is cut off from the world when it dies, ``plane`` its lives, ``clients`` what is asked of it, ``trouble`` what
goes wrong, ``checks`` what must hold, ``run`` one run, ``several`` many.
"""
