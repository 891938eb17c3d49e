"""Reading lists of jobs from CSV and YAML."""

import pytest

from liax_jax.animation.jobs import Job, JobsError, read_jobs


def _read(tmp_path, text, name="jobs.csv", **options):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_jobs(path, **options)


def test_csv(tmp_path):
    text = """source,driving,out,edit,edit,compare,--no_sound,arguments
anna.jpg,talk.mp4,anna.mp4,yaw=-0.3,smile=0.2,true,FALSE,

"ben, old.png", talk.mp4 ,ben.webm,,,,,"--strength 0.5 --absolute 'mouth, eyes'"
"""
    jobs = _read(tmp_path, text)
    assert [job.where for job in jobs] == ["line 2", "line 4"]
    assert jobs[0].arguments == (
        "--source=anna.jpg",
        "--driving=talk.mp4",
        "--out=anna.mp4",
        "--edit=yaw=-0.3",
        "--edit=smile=0.2",
        "--compare",
    )
    assert jobs[1].arguments == (
        "--source=ben, old.png",
        "--driving=talk.mp4",
        "--out=ben.webm",
        "--strength",
        "0.5",
        "--absolute",
        "mouth, eyes",
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("jobs.csv", "source,out\na b.png,ä.mp4\n"),
        ("jobs.csv", b"\xef\xbb\xbfsource;out\r\na b.png;\xc3\xa4.mp4\r\n"),
        ("jobs.TSV", "source\tout\na b.png\tä.mp4"),
        ("jobs.yml", "- source: a b.png\n  out: ä.mp4\n"),
        ("jobs.yaml", "defaults: {source: a b.png, out: no.mp4}\njobs: [{--out: ä.mp4}]"),
    ],
)
def test_the_same_job_in_every_kind(tmp_path, name, text):
    (job,) = _read(tmp_path, text, name)
    assert job.arguments == ("--source=a b.png", "--out=ä.mp4")


def test_yaml(tmp_path):
    text = """
defaults: {driving: talk.mp4, strength: 0.50, compare: true}
jobs:
  - source: anna.jpg
    edit: {yaw: 0.3, 25: -0.1}
    absolute: [mouth, eyes]
  - source: no
    compare: false
    align:
"""
    jobs = _read(tmp_path, text, "jobs.yaml")
    common = ("--driving=talk.mp4", "--strength=0.50")
    assert jobs[0].where == "job 1"
    assert jobs[0].arguments == (
        *common,
        "--compare",
        "--source=anna.jpg",
        "--edit=yaw=0.3",
        "--edit=25=-0.1",
        "--absolute=mouth",
        "--absolute=eyes",
    )
    assert jobs[1].arguments == (*common, "--source=no")


def test_common_arguments_come_first(tmp_path):
    (job,) = _read(tmp_path, "quality\n50\n", common=["--quality", "90"])
    assert job.arguments == ("--quality", "90", "--quality=50")


def test_yaml_executes_nothing(tmp_path):
    text = "- source: !!python/object/apply:pytest.fail ['executed']\n"
    (job,) = _read(tmp_path, text, "jobs.yaml")
    assert job.arguments == ("--source=executed",)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("jobs.txt", "", "ends in one of .csv, .tsv, .yaml, .yml"),
        ("jobs.csv", "", "holds no jobs"),
        ("jobs.csv", "source,out\n", "holds no jobs"),
        ("jobs.csv", "source,out\na.png\n", "line 2 has 1 cells and the header 2"),
        ("jobs.csv", "source,out\na.png,b,c\n", "line 2 has 3 cells"),
        ("jobs.csv", "source,\na.png,b\n", "a column of the header has no name"),
        ("jobs.csv", "source,the out\na.png,b\n", "line 2: 'the out' is no flag's name"),
        ("jobs.csv", 'source,out\n"a.png,b\n', "unexpected end of data"),
        ("jobs.csv", "out\na.mp4\nb.mp4\n./a.mp4\n", "line 2 and line 4 both write ./a.mp4"),
        ("jobs.csv", "source,arguments\na.png,'--out\n", "line 2: arguments: No closing quot"),
        ("jobs.csv", b"source\n\xff\xfe\n", "isn't text in UTF-8"),
        ("jobs.yaml", "", "holds no jobs"),
        ("jobs.yaml", "- source: [", "expected the node content"),
        ("jobs.yaml", "just text", "have to be a list"),
        ("jobs.yaml", "source: a.png", "needs a list of jobs"),
        ("jobs.yaml", "jobs: []\ndefault: {}", "needs a list of jobs"),
        ("jobs.yaml", "jobs: []\ndefaults: [a]", "the defaults a mapping"),
        ("jobs.yaml", "- a.png", "job 1 has to be a mapping"),
        ("jobs.yaml", "- out: a\n- out: b\n  out: c", "line 2: a key occurs twice"),
        ("jobs.yaml", "- edit: {yaw: [1, 2]}", "job 1: edit: lists and mappings can't be nested"),
        ("jobs.yaml", "- &x {out: a}\n- {<<: *x}", "job 2: '<<' is no flag's name"),
    ],
)
def test_wrong_lists(tmp_path, name, text, message):
    with pytest.raises(JobsError, match=message) as error:
        _read(tmp_path, text, name)
    assert name in str(error.value) and "\n" not in str(error.value)


def test_a_missing_list_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.csv"):
        read_jobs(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (("--out=a.mp4",), "a.mp4"),
        (("--out", "a.mp4", "--strict"), "a.mp4"),
        (("--out=a.mp4", "--out", "b.mp4"), "b.mp4"),
        (("--output=a.mp4", "--source", "out"), None),
    ],
)
def test_output(arguments, output):
    assert Job("line 2", arguments).output == output


def test_the_digest_follows_the_arguments():
    digests = {
        Job("line 2", arguments).digest
        for arguments in (("--a=b",), ("--a", "b"), ("--a b",), ("--a=b", ""), ("--a=c",))
    }
    assert len(digests) == 5
    assert Job("line 2", ("--a=b",)).digest == Job("line 7", ("--a=b",)).digest
