"""Scenarios: a YAML file in, a folder of results out.

``schema`` is the form, ``load`` reads it and says where an error is, ``traces`` are the readers of real workloads,
``run`` plays a scenario and ``results`` writes what came of it. May import ``sim`` and what is below. Start reading at
``run.run_study``.
"""
