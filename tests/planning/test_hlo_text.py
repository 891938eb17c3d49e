"""Small programs in HLO text, as the compilers write them, and what they move."""

import pytest

from liax_jax.planning import hlo_text

_HEAD = "HloModule jit_f, is_scheduled=true, num_partitions=8\n\n"
_ADD = """\
%add (a: f32[], b: f32[]) -> f32[] {
  %a = f32[] parameter(0)
  %b = f32[] parameter(1)
  ROOT %sum = f32[] add(%a, %b)
}

"""


def _moved(*lines: str, before: str = "") -> dict[str, int]:
    body = "\n".join(f"  {line}" for line in lines)
    text = f"{_HEAD}{_ADD}{before}ENTRY %main (p: f32[64,128]) -> f32[] {{\n{body}\n}}\n"
    found = hlo_text.collective_bytes(hlo_text.parse_module(text))
    return {kind: size for kind, size in found.items() if size}


_INPUT = "%p = f32[64,128]{1,0} parameter(0)"  # 32,768 bytes


@pytest.mark.parametrize(
    "groups, size",
    [
        ("{{0,1,2,3},{4,5,6,7}}", 4),
        ("[2,4]<=[8]", 4),
        ("[4,2]<=[2,4]T(1,0)", 2),
        ("{}", 8),
        ("mesh['axis_0'=2,'axis_1'=4] {'axis_1'}", 4),
        ("mesh['axis_0'=4,'axis_1'=2], device_ids=([2,4]T(1,0)) {'axis_0'}", 4),
        ("mesh['axis_0'=2,'axis_1'=4] {'axis_0','axis_1'}", 8),
        ("mesh['axis_0'=8] {'axis_0':(2)4}", 4),
    ],
)
def test_groups_are_read_however_they_are_written(groups, size):
    gather = f"%g = f32[{64 * size},128]{{1,0}} all-gather(%p), replica_groups={groups}, dims={{0}}"
    assert _moved(_INPUT, gather) == {"all-gather": 32768 * (size - 1)}


def test_an_unknown_kind_of_group_is_an_error():
    gather = "%g = f32[64,128]{1,0} all-gather(%p), replica_groups=ring(3), dimensions={0}"
    with pytest.raises(ValueError, match=r"groups of devices of a new kind: ring\(3\)"):
        _moved(_INPUT, gather)


@pytest.mark.parametrize(
    "kind, moved",
    [
        ("all-gather", 32768 * 3),
        ("reduce-scatter", 32768 * 3 // 4),
        ("all-reduce", 2 * 32768 * 3 // 4),
        ("all-to-all", 32768 * 3 // 4),
        ("collective-permute", 32768),
    ],
)
def test_each_kind_moves_what_its_ring_algorithm_moves(kind, moved):
    assert _moved(
        _INPUT, f"%x = f32[64,128]{{1,0}} {kind}(%p), replica_groups=[2,4]<=[8], to_apply=%add"
    ) == {kind: moved}


def test_several_arrays_in_one_collective_count_together():
    both = (
        "%r = (f32[64,128]{1,0}, bf16[8]{0:T(8,128)(2,1)}) all-reduce(%p, %q), "
        "replica_groups=[2,4]<=[8], to_apply=%add"
    )
    q = "%q = bf16[8]{0:T(8,128)(2,1)} parameter(1)"
    assert _moved(_INPUT, q, both) == {"all-reduce": round(2 * (32768 + 16) * 3 / 4)}


def test_an_asynchronous_pair_counts_once():
    start = (
        "%s = (f32[64,128]{1,0}, f32[256,128]{1,0}) all-gather-start(%p), "
        "replica_groups=[2,4]<=[8], dimensions={0}"
    )
    done = "%d = f32[256,128]{1,0} all-gather-done(%s)"
    assert _moved(_INPUT, start, done) == {"all-gather": 32768 * 3}


def test_a_wrapped_asynchronous_collective_counts_once():
    wrapped = """\
%wrapped (w: f32[64,128]) -> f32[16,128] {
  %w = f32[64,128]{1,0} parameter(0)
  ROOT %rs = f32[16,128]{1,0} reduce-scatter(%w), replica_groups=[2,4]<=[8], to_apply=%add
}

"""
    start = (
        "%s = ((f32[64,128]{1,0}), f32[16,128]{1,0}, u32[]) async-start(%p), "
        "async_execution_thread=parallel, calls=%wrapped"
    )
    done = "%d = f32[16,128]{1,0} async-done(%s), async_execution_thread=parallel, calls=%wrapped"
    assert _moved(_INPUT, start, done, before=wrapped) == {"reduce-scatter": 32768 * 3 // 4}


def test_a_reduce_scatter_that_is_fused_from_an_all_reduce_counts_as_one():
    fused = """\
%all-reduce-scatter.1 (w: f32[64,128]) -> f32[16,128] {
  %w = f32[64,128]{1,0} parameter(0)
  %ar = f32[64,128]{1,0} all-reduce(%w), replica_groups=[2,4]<=[8], to_apply=%add
  %i = u32[] partition-id()
  ROOT %slice = f32[16,128]{1,0} dynamic-slice(%ar, %i), dynamic_slice_sizes={16,128}
}

"""
    fusion = "%f = f32[16,128]{1,0} fusion(%p), kind=kCustom, calls=%all-reduce-scatter.1"
    assert _moved(_INPUT, fusion, before=fused) == {"reduce-scatter": 32768 * 3 // 4}


_BODY = """\
%body (t: (s32[], f32[64,128])) -> (s32[], f32[64,128]) {
  %t = (s32[], f32[64,128]{1,0}) parameter(0)
  %x = f32[64,128]{1,0} get-tuple-element(%t), index=1
  %r = f32[64,128]{1,0} all-reduce(%x), replica_groups=[2,4]<=[8], to_apply=%add
  ROOT %o = (s32[], f32[64,128]{1,0}) tuple(%t, %r)
}

%condition (u: (s32[], f32[64,128])) -> pred[] {
  %u = (s32[], f32[64,128]{1,0}) parameter(0)
  %i = s32[] get-tuple-element(%u), index=0
  %last = s32[]{:T(128)} constant(5)
  ROOT %lt = pred[] compare(%i, %last), direction=LT
}

"""
_ONE_TURN = 2 * 32768 * 3 // 4


@pytest.mark.parametrize(
    "noted, turns",
    [("", 5), (', backend_config={"known_trip_count":{"n":"7"},"known_init_step":{}}', 7)],
)
def test_a_loop_multiplies_by_its_turns(noted, turns):
    loop = "%w = (s32[], f32[64,128]{1,0}) while(%p), condition=%condition, body=%body" + noted
    assert _moved(_INPUT, loop, before=_BODY) == {"all-reduce": turns * _ONE_TURN}


def test_a_loop_without_a_known_end_is_an_error():
    endless = _BODY.replace("%last = s32[]{:T(128)} constant(5)", "%last = s32[] parameter(1)")
    loop = "%w = (s32[], f32[64,128]{1,0}) while(%p), condition=%condition, body=%body"
    with pytest.raises(ValueError, match="a loop, w, and how often it turns can't be read"):
        _moved(_INPUT, loop, before=endless)


def test_loops_inside_of_loops_and_the_costliest_branch():
    outer = """\
%outer (t: (s32[], f32[64,128])) -> (s32[], f32[64,128]) {
  %t = (s32[], f32[64,128]{1,0}) parameter(0)
  ROOT %v = (s32[], f32[64,128]{1,0}) while(%t), condition=%condition, body=%body
}

%idle (e: f32[64,128]) -> f32[64,128] {
  ROOT %e = f32[64,128]{1,0} parameter(0)
}

%busy (h: f32[64,128]) -> f32[64,128] {
  %h = f32[64,128]{1,0} parameter(0)
  ROOT %k = f32[64,128]{1,0} all-to-all(%h), replica_groups=[2,4]<=[8]
}

"""
    loop = "%w = (s32[], f32[64,128]{1,0}) while(%p), condition=%condition, body=%outer"
    branch = "%c = f32[64,128]{1,0} conditional(%n, %p, %p), branch_computations={%idle, %busy}"
    assert _moved(_INPUT, loop, branch, before=_BODY + outer) == {
        "all-reduce": 25 * _ONE_TURN,
        "all-to-all": 32768 * 3 // 4,
    }


@pytest.mark.parametrize(
    "shape, size",
    [
        ("f32[64,128]{1,0}", 32768),
        ("bf16[3]{0:T(8,128)(2,1)S(1)}", 6),
        ("(s4[3]{0}, pred[], token[])", 3),
        ("f8e4m3fn[2,2]", 4),
    ],
)
def test_bytes_of_shapes(shape, size):
    assert hlo_text.bytes_of(shape) == size


def test_memory_of_another_space_does_not_count():
    assert hlo_text.bytes_of("(f32[4]{0}, f32[8]{0:T(8,128)S(1)})", memory_space=0) == 16


def test_traffic_reads_operands_and_writes_results_once():
    fused = """\
%fused (a: f32[64,128], s: s32[]) -> f32[1,128] {
  %a = f32[64,128]{1,0} parameter(0)
  %s = s32[] parameter(1)
  ROOT %d = f32[1,128]{1,0} dynamic-slice(%a, %s), dynamic_slice_sizes={1,128}
}

"""
    entry = f"""\
ENTRY %main (p: f32[64,128]) -> f32[64,128] {{
  {_INPUT}
  %i = s32[] constant(3)
  %row = f32[1,128]{{1,0}} fusion(%p, %i), kind=kLoop, calls=%fused
  ROOT %n = f32[64,128]{{1,0}} negate(%p)
}}
"""
    module = hlo_text.parse_module(_HEAD + fused + entry)
    row, index, whole = 512, 4, 32768
    assert hlo_text.memory_traffic(module) == (row + index + row) + 2 * whole


def test_text_without_an_entry_is_an_error():
    with pytest.raises(ValueError, match="no entry computation"):
        hlo_text.parse_module("HloModule nothing\n")
