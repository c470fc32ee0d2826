"""The whole stack on one machine: storage, simulated tenant, Functions host and demo."""
