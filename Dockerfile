# The Action in a container, with every family installed but PyTorch: `uses: org/cml-action/docker@v1`.
FROM python:3.12-slim

# Any git of the distribution will do, and pinned ones disappear from its index.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git \
    && rm -rf /var/lib/apt/lists/*

# The runner mounts a workspace that another user owns, which Git refuses to read. Its folder is not known
# here, and no other user can leave anything in this container: so every folder is trusted.
RUN git config --system --add safe.directory '*'

# Hash-locked wheels alone; byte code is made here, where it is made once.
COPY requirements/*.txt /app/requirements/
RUN python -m pip install --no-cache-dir --no-compile --target /tmp/uv --require-hashes \
        --requirement /app/requirements/uv.txt \
    && set -- && for list in /app/requirements/*.txt; do case "$list" in \
        */dev.txt|*/uv.txt|*/torch.txt) ;; *) set -- "$@" --requirement "$list" ;; esac; done \
    && /tmp/uv/bin/uv pip install --no-cache --python "$(command -v python)" --break-system-packages \
        --require-hashes --no-deps --only-binary :all: --compile-bytecode "$@" \
    && rm -rf /tmp/uv

COPY LICENSE /app/
COPY cml_action/ /app/cml_action/
RUN python -c "import pathlib, sysconfig; pathlib.Path(sysconfig.get_path('purelib'), 'cml_action.pth').write_text('/app')" \
    && python -m compileall -q /app/cml_action \
    && chmod -R a-w /app

# GitHub's runner needs the image to run as root: the files of the workspace and of the command files are
# the runner's, whose number is not known here ("Dockerfile support for GitHub Actions", USER).
# `-I`: nothing of the mounted workspace is ever imported.
ENTRYPOINT ["python", "-I", "-X", "utf8", "-m", "cml_action.action"]
