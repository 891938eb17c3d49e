#!/usr/bin/env bash
# One training run on a slice of Cloud TPU VMs.
#
#   export TPU_NAME=liax ZONE=us-west4-a ACCELERATOR=v5litepod-256
#   launch/cloud_tpu_vm.sh create      # asks for the slice
#   launch/cloud_tpu_vm.sh install     # this commit, on every host
#   launch/cloud_tpu_vm.sh train configs/lia_x_large.py /data/runs/large --config.data.path=/data/records
#   launch/cloud_tpu_vm.sh delete
#
# DRY_RUN=1 prints the commands instead. docs/launch.md says what to adapt.
set -euo pipefail

: "${TPU_NAME:?name the slice}" "${ZONE:?name its zone}"
ACCELERATOR=${ACCELERATOR:-v5litepod-256}
RUNTIME=${RUNTIME:-v2-alpha-tpuv5-lite}
REPOSITORY=${REPOSITORY:-}
RESTART_SECONDS=${RESTART_SECONDS:-30}

run() {
  if [ -n "${DRY_RUN:-}" ]; then
    printf '%q ' "$@"
    echo
  else
    "$@"
  fi
}

on_every_host() {
  run gcloud compute tpus tpu-vm ssh "$TPU_NAME" --zone="$ZONE" --worker=all --command="$1"
}

command=${1:-}
[ "$#" -gt 0 ] && shift
case $command in
  create)
    run gcloud compute tpus tpu-vm create "$TPU_NAME" --zone="$ZONE" \
      --accelerator-type="$ACCELERATOR" --version="$RUNTIME" "$@"
    ;;
  install)
    : "${REPOSITORY:?the address to clone from}"
    commit=$(git rev-parse HEAD)
    on_every_host "rm -rf liax && git clone -q $(printf %q "$REPOSITORY") liax && cd liax && \
git checkout -q $commit && make env && .venv/bin/python -m pip install -q 'jax[tpu]'"
    ;;
  train)
    if [ "$#" -lt 2 ]; then
      echo "usage: launch/cloud_tpu_vm.sh train CONFIG WORKDIR [--config.FIELD=VALUE ...]" >&2
      exit 2
    fi
    arguments=$(printf '%q ' --config "$1" --workdir "$2" --config.distributed.initialize=auto \
      "${@:3}")
    # 0: done. 2, 3: a mistake in config or data, a diverged loss. Else a host was lost or told to
    # stop (75): again, from the last checkpoint.
    on_every_host "cd liax && while true; do .venv/bin/python train.py $arguments; status=\$?; \
case \$status in 0|2|3) exit \$status;; esac; sleep $RESTART_SECONDS; done"
    ;;
  delete)
    run gcloud compute tpus tpu-vm delete "$TPU_NAME" --zone="$ZONE" --quiet
    ;;
  *)
    echo "usage: launch/cloud_tpu_vm.sh create|install|train|delete [...]" >&2
    exit 2
    ;;
esac
