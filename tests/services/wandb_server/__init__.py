"""A stand-in for the W&B server, to which the real `wandb` client talks HTTP (`WANDB_BASE_URL`).

W&B's server cannot run here. This one answers a typed GraphQL schema (`schema.graphql`) that refuses what it
does not know, keeps W&B's rules (`state.py`), serves files, and goes wrong on demand. What the client sends
was seen with `wandb` 0.31.0; what the real server does beyond that is taken from W&B's documentation:

- keys are checked for each request: 401 where one is unknown or has expired;
- faults are answered with the status of the first failed field and `{"errors": [...]}`;
- a registry is a project `wandb-registry-NAME` of the organisation's entity; the old model registry is a
  team's project `model-registry`, which may have moved.
"""

from tests.services.wandb_server.door import Fault, WandbServer, running_wandb
from tests.services.wandb_server.state import Account

__all__ = ["Account", "Fault", "WandbServer", "running_wandb"]
