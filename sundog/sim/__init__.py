"""The physical world: fleet, workload, faults and capacity as processes in virtual time."""
