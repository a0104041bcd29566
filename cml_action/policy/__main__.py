"""`python -m cml_action.policy` writes the JSON Schema of `cml.yaml`."""

import json
import sys

from cml_action.policy import json_schema

sys.stdout.write(json.dumps(json_schema(), indent=2) + "\n")
