"""`python __main__.py QUESTIONS ANSWERS`: serve on two inherited file descriptors.

What lies on `sys.path`, and why:

- first the working directory, which is the project's folder: there the user's loader is, and `python -m`
  would put it there, too. It is added when everything of the worker is imported, so a `json.py` of the
  project's takes nothing from it;
- then what the user's interpreter finds by itself: the standard library, what is installed (in the user's own
  folder, too, where a plain `pip install` on a runner puts it), and `PYTHONPATH`;
- not this folder, which Python put there for the script: a module named `load` or `clock` is the user's. The
  worker is a package under a name of its own instead. So this is `python -I`, less what loaders need.
"""

import os
import sys

if sys.version_info < (3, 8):  # noqa: UP036 -- the user's, not ours
    sys.exit("cml-action runs models in Python 3.8 or later, and this is " + sys.version.split()[0])

import importlib
import importlib.util

HERE = os.path.dirname(os.path.abspath(__file__))
NAME = "cml_action_worker"

if __name__ == "__main__":
    sys.path[:] = [place for place in sys.path if os.path.abspath(place or ".") != HERE]
    found = importlib.util.spec_from_file_location(
        NAME, os.path.join(HERE, "__init__.py"), submodule_search_locations=[HERE]
    )
    sys.modules[NAME] = importlib.util.module_from_spec(found)  # type: ignore[arg-type]
    serve = importlib.import_module(NAME + ".serve")
    questions, answers = int(sys.argv[1]), int(sys.argv[2])
    sys.argv[:] = [""]
    sys.path.insert(0, os.getcwd())
    serve.serve(questions, answers)
