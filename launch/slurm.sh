#!/usr/bin/env bash
# One training run on nodes of 8 A100s, one process per GPU; goes on after preemption or the time
# limit. From the root of the checkout:
#
#   sbatch [--nodes=4] launch/slurm.sh configs/lia_x_large.py runs/large --config.data.path=RECORDS
#
# docs/launch.md says what to adapt.
#SBATCH --job-name=liax
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=15
#SBATCH --mem=0
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=slurm-%j.log
# The processes get SIGTERM five minutes before the time limit: they save and end with status 75.
#SBATCH --signal=TERM@300
set -uo pipefail

if [ "$#" -lt 2 ]; then
  echo "usage: sbatch launch/slurm.sh CONFIG WORKDIR [--config.FIELD=VALUE ...]" >&2
  exit 2
fi
config=$1
workdir=$2
shift 2
max_restarts=${LIAX_MAX_RESTARTS:-100}
python=${LIAX_PYTHON:-.venv/bin/python}

echo "job ${SLURM_JOB_ID:?start it with sbatch}, start number ${SLURM_RESTART_COUNT:-0}," \
  "nodes ${SLURM_JOB_NODELIST:-?}"

# Where one process is lost the others notice and end; what still runs two minutes later is killed.
srun --kill-on-bad-exit=0 --wait=120 \
  "$python" train.py --config "$config" --workdir "$workdir" \
  --config.distributed.initialize=auto "$@"
status=$?

# 2: a mistake in config or data. 3: the loss diverged. Starting again would not mend those.
case $status in
  0 | 2 | 3) exit "$status" ;;
esac
# 75: preempted, saved. Anything else: a process or a node was lost; training goes on from the last
# checkpoint.
if [ "${SLURM_RESTART_COUNT:-0}" -ge "$max_restarts" ]; then
  echo "ended with status $status; restarted $max_restarts times already, giving up" >&2
  exit "$status"
fi
echo "ended with status $status; requeued"
scontrol requeue "$SLURM_JOB_ID"
