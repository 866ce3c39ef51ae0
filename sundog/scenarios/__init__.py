"""Scenarios: a YAML file in, a folder of results out.

``schema`` is the form, ``load`` reads it and ``origin`` says where an error is, ``traces`` are the readers of real
workloads, ``inventory`` takes fleets from tables. ``run`` plays a scenario, ``results`` makes its tables,
``folder`` keeps them whole, ``lock`` makes the run repeatable. May import ``sim`` and what is below. Start reading at
``run.run_study``.
"""
