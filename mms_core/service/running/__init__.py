"""The work on one user's calendar: found, planned, carried out under a lease, taken back; or only shown."""
