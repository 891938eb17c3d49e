"""What a compiled program moves: read from its HLO text, loops multiplied out.

An instruction counts once for every time it runs: the body of a loop as often as the loop turns,
every branch of a conditional (the costliest one), an asynchronous pair once, where it starts.
"""

import collections
import dataclasses
import math
import re
from collections.abc import Iterator, Mapping

# Bits per element. Others (token, opaque) take no memory to speak of.
_BITS = {
    "pred": 8, "s2": 2, "u2": 2, "s4": 4, "u4": 4, "s8": 8, "u8": 8, "s16": 16, "u16": 16,
    "bf16": 16, "f16": 16, "s32": 32, "u32": 32, "f32": 32, "s64": 64, "u64": 64, "f64": 64,
    "c64": 64, "c128": 128,
}  # fmt: skip
COLLECTIVES = (
    "all-gather",
    "reduce-scatter",
    "all-reduce",
    "all-to-all",
    "collective-permute",
)
_INSTRUCTION = re.compile(r"\s*(ROOT )?%?([\w.\-]+) = (.*)$")
_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+)[ (].*\{\s*$")
_ARRAY = re.compile(r"(\w+)\[([\d,<=]*)\](\{[^}]*\})?")
_CALLED = re.compile(
    r"\b(calls|to_apply|body|condition|true_computation|false_computation)=%?([\w.\-]+)"
)
_BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}")
_TRIPS = re.compile(r'known_trip_count"?:?\s*=?\{"?n"?:"?(\d+)')
# What moves nothing itself: names, views, and operations whose insides are counted instead.
_FREE = {
    "parameter", "constant", "tuple", "get-tuple-element", "bitcast", "while", "conditional",
    "call", "after-all", "partition-id", "replica-id", "opt-barrier", "iota", "domain",
    "async-update", "async-done", "copy-done", "send-done", "recv-done", "all-gather-done",
    "all-reduce-done", "collective-permute-done", "add-dependency",
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Instruction:
    """One line of a computation."""

    name: str
    shape: str
    opcode: str
    operands: tuple[str, ...]
    arguments: str
    attributes: str
    is_root: bool


@dataclasses.dataclass(frozen=True)
class Module:
    """A program: computations by name, and which one it starts with."""

    computations: Mapping[str, dict[str, Instruction]]
    entry: str
    num_partitions: int


def parse_module(text: str) -> Module:
    """Reads what `compiled.as_text()` gives.

    Raises:
      ValueError: the text has no entry computation.
    """
    computations: dict[str, dict[str, Instruction]] = {}
    entry, current = "", None
    for line in text.splitlines():
        if current is None:
            match = _COMPUTATION.match(line)
            if match and not line.startswith("HloModule"):
                current = computations.setdefault(match[2], {})
                entry = match[2] if match[1] else entry
        elif line.startswith("}"):
            current = None
        elif instruction := _parse_instruction(line):
            current[instruction.name] = instruction
    if not entry:
        raise ValueError("this is not the text of a compiled program: it has no entry computation")
    partitions = re.search(r"num_partitions=(\d+)", text)
    return Module(computations, entry, int(partitions[1]) if partitions else 1)


def _parse_instruction(line: str) -> Instruction | None:
    match = _INSTRUCTION.match(line)
    if not match:
        return None
    shape, rest = _split_shape(match[3])
    opcode, _, rest = rest.partition("(")
    end = _closing(rest, "(", ")")
    operands = tuple(re.findall(r"%([\w.\-]+)", rest[:end]))
    if not operands and opcode not in ("parameter", "constant"):
        # Without the % sign: the last word of every operand is its name.
        operands = tuple(part.split()[-1] for part in rest[:end].split(",") if part.strip())
    is_root = bool(match[1])
    return Instruction(match[2], shape, opcode.strip(), operands, rest[:end], rest[end:], is_root)


def _split_shape(text: str) -> tuple[str, str]:
    """ "(f32[2], f32[3]{0:T(8)}) add(…" → shape, rest; layouts may hold brackets themselves."""
    if text.startswith("("):
        end = 1 + _closing(text[1:], "(", ")") + 1
        return text[:end], text[end:].strip()
    match = _ARRAY.match(text)
    if match:
        return match[0], text[match.end() :].strip()
    shape, _, rest = text.partition(" ")
    return shape, rest


def _closing(text: str, opening: str, closing: str) -> int:
    """Where the bracket that is open at the start of `text` closes."""
    depth = 1
    for position, character in enumerate(text):
        depth += (character == opening) - (character == closing)
        if depth == 0:
            return position
    return len(text)


def bytes_of(shape: str, memory_space: int | None = None) -> int:
    """Bytes of an array or of all arrays of a tuple.

    Args:
      shape: as in HLO text, e.g. "bf16[8,256]{1,0:T(8,128)(2,1)S(1)}".
      memory_space: only arrays of that space; 0 is the device's main memory. None = all.
    """
    total = 0
    for kind, sizes, layout in _ARRAY.findall(shape):
        bits = _BITS.get(kind, 8 if kind.startswith("f8") else 0)
        space = re.search(r"S\((\d+)\)", layout or "")
        if memory_space is None or int(space[1] if space else 0) == memory_space:
            count = math.prod(int(size.lstrip("<=")) for size in sizes.split(",") if size)
            total += math.ceil(count * bits / 8)
    return total


def _runs(module: Module) -> Iterator[tuple[str, Instruction, float]]:
    """(computation, instruction, how often it runs) of everything outside of fusions."""
    yield from _runs_of(module, module.entry, 1.0)


def _runs_of(module: Module, name: str, times: float) -> Iterator[tuple[str, Instruction, float]]:
    for instruction in module.computations[name].values():
        yield name, instruction, times
        called = dict(_CALLED.findall(instruction.attributes))
        if instruction.opcode == "while":
            turns = _turns(module, instruction, called["condition"])
            yield from _runs_of(module, called["body"], times * turns)
        elif instruction.opcode == "call" or instruction.opcode.endswith("async-start"):
            inner = called.get("to_apply") or called.get("calls")
            if inner is not None and inner in module.computations:
                yield from _runs_of(module, inner, times)
        elif instruction.opcode == "conditional":
            yield from _costliest_branch(module, instruction, times)


def _turns(module: Module, loop: Instruction, condition: str) -> int:
    """How often a loop turns: as the compiler notes it, or up to the constant it compares with.

    JAX writes its scans as counters from 0 in steps of 1.
    """
    noted = _TRIPS.search(loop.attributes)
    if noted:
        return int(noted[1])
    instructions = module.computations[condition]
    limits = [int(i.arguments) for i in instructions.values() if _is_integer_constant(i)]
    compares = [i for i in instructions.values() if i.opcode in ("compare", "fusion")]
    if len(limits) == 1 and len(compares) == 1 and "direction=GT" not in compares[0].attributes:
        return limits[0]
    raise ValueError(
        f"the compiled program has a loop, {loop.name}, and how often it turns can't be read from "
        "its condition; what it moves can't be counted"
    )


def _is_integer_constant(instruction: Instruction) -> bool:
    return instruction.opcode == "constant" and instruction.arguments.lstrip("-").isdigit()


def _costliest_branch(
    module: Module, instruction: Instruction, times: float
) -> Iterator[tuple[str, Instruction, float]]:
    listed = _BRANCHES.search(instruction.attributes)
    if listed:
        branches = re.findall(r"[\w.\-]+", listed[1])
    else:
        branches = [
            name
            for kind, name in _CALLED.findall(instruction.attributes)
            if kind in ("true_computation", "false_computation")
        ]
    runs = [list(_runs_of(module, branch, times)) for branch in branches]
    yield from max(runs, key=lambda run: sum(bytes_of(i.shape) * t for _, i, t in run), default=[])


def collective_bytes(module: Module) -> dict[str, int]:
    """Bytes that each device sends (and receives) per run, by kind of collective.

    With g devices in a group and x bytes on each of them before: all-gather x·(g − 1),
    reduce-scatter and all-to-all x·(g − 1)/g, all-reduce 2·x·(g − 1)/g, collective-permute x:
    what the bandwidth-optimal ring algorithms move.
    """
    totals = dict.fromkeys(COLLECTIVES, 0.0)
    for computation, instruction, times in _runs(module):
        for kind, size, group in _collectives_of(module, computation, instruction):
            totals[kind] += times * _moved(kind, size, group)
    return {kind: round(total) for kind, total in totals.items()}


def _collectives_of(
    module: Module, computation: str, instruction: Instruction
) -> Iterator[tuple[str, int, int]]:
    """(kind, bytes before on each device, devices in the group) of an instruction."""
    kind = instruction.opcode.removesuffix("-start")
    names = module.computations[computation]
    if kind in COLLECTIVES:
        size = sum(bytes_of(names[name].shape) for name in instruction.operands if name in names)
        yield kind, size, _group_size(instruction.attributes, module.num_partitions)
    elif kind == "fusion":
        inner_name = dict(_CALLED.findall(instruction.attributes)).get("calls", "")
        inner = module.computations.get(inner_name, {})
        for operation in inner.values():
            for found, size, group in _collectives_of(module, inner_name, operation):
                # TPU: an all-reduce of which each device keeps its slice, fused as one.
                scattered = found == "all-reduce" and "all-reduce-scatter" in inner_name
                yield "reduce-scatter" if scattered else found, size, group


def _group_size(attributes: str, num_partitions: int) -> int:
    """How many devices take part together: the three ways in which XLA writes it."""
    start = attributes.find("replica_groups=")
    if start < 0:
        return num_partitions
    groups = attributes[start + len("replica_groups=") :]
    if match := re.match(r"\{\{([\d,]*)\}", groups):
        return len(match[1].split(","))
    if match := re.match(r"\[([\d,]+)\]<=", groups):
        return int(match[1].split(",")[-1])
    # Axes of a mesh, some with only a part of their size: mesh['a'=2,'b'=4] {'a','b':(2)2}
    if match := re.match(r"mesh\[([^\]]*)\].*?\{((?:'[^']+'(?::\(\d+\)\d+)?,?)+)\}", groups):
        sizes = dict(re.findall(r"'([^']+)'=(\d+)", match[1]))
        axes = re.findall(r"'([^']+)'(?::\(\d+\)(\d+))?", match[2])
        return math.prod(int(part or sizes[name]) for name, part in axes)
    if groups.startswith("{}"):
        return num_partitions
    raise ValueError(f"the compiled program has groups of devices of a new kind: {groups[:120]}")


def _moved(kind: str, size: int, group: int) -> float:
    if kind == "collective-permute":
        return size
    if kind == "all-gather":
        return size * (group - 1)
    return size * (group - 1) / group * (2 if kind == "all-reduce" else 1)


def memory_traffic(module: Module) -> int:
    """Bytes read from and written to a device's main memory per run, at most.

    Every operation outside of fusions reads its operands and writes its result once; slices read
    and updates write only what they touch. What stays in a cache isn't known and counts.
    """
    total = 0.0
    for computation, instruction, times in _runs(module):
        if instruction.opcode not in _FREE:
            total += times * _touched(module, module.computations[computation], instruction)
    return round(total)


def _touched(module: Module, names: dict[str, Instruction], instruction: Instruction) -> int:
    written = bytes_of(instruction.shape, memory_space=0)
    operands = [names[name] for name in instruction.operands if name in names]
    read = [bytes_of(operand.shape, memory_space=0) for operand in operands]
    if instruction.opcode in ("dynamic-slice", "slice", "gather"):
        return written + (min(read[0], written) if read else 0)
    if instruction.opcode == "dynamic-update-slice":
        return 2 * read[1]
    if instruction.opcode == "fusion":
        inner = module.computations.get(dict(_CALLED.findall(instruction.attributes))["calls"], {})
        return _touched_by_fusion(inner, written, read)
    return written + sum(read)


def _touched_by_fusion(inner: dict[str, Instruction], written: int, read: list[int]) -> int:
    users: dict[str, list[Instruction]] = collections.defaultdict(list)
    for instruction in inner.values():
        for name in instruction.operands:
            users[name].append(instruction)
    for parameter in (i for i in inner.values() if i.opcode == "parameter"):
        position, uses = int(parameter.arguments), users[parameter.name]
        if position < len(read) and uses:
            if all(use.opcode in ("dynamic-slice", "slice", "gather") for use in uses):
                read[position] = min(read[position], sum(bytes_of(use.shape) for use in uses))
            elif all(
                use.opcode == "dynamic-update-slice" and use.operands[0] == parameter.name
                for use in uses
            ):
                read[position] = 0
    root = next((i for i in inner.values() if i.is_root), None)
    if root is not None and root.opcode == "dynamic-update-slice":
        update = inner.get(root.operands[1])
        written = min(written, bytes_of(update.shape)) if update else written
    return written + sum(read)
