"""The `cml` command: what CML 0.20.6 offers to a workflow, on this package's own parts."""
