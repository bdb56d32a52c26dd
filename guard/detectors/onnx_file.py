"""Looks into an ONNX file before any runtime does: what it would read, and what it would need.

A model may keep its weights in other files, named in it: the runtime would open them. It may use
operators the runtime does not have. Both are seen here, from the bytes alone: a walk over the
protobuf wire format (protobuf.dev/programming-guides/encoding) along the few messages of onnx.proto3
in which tensors and nodes can lie. Nothing is decoded that is not needed.

The walk must see at least what the runtime's parser sees, so it refuses what parsers read in different
ways: keys of more than 32 bits (that parser drops the upper ones) or written longer than they need be,
groups, lengths above 2^31. Of a field that comes twice every value is looked at, not the last alone; a
hint of another file counts whatever the other fields of the tensor say.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from guard.errors import ModelError

# what onnxruntime's CPU provider has: the standard's operators and its own
DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})

# message -> field number -> message (onnx.proto3)
_INSIDE: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
_NODE_TYPE, _NODE_DOMAIN = 4, 7
_FUNCTION_NAME, _FUNCTION_DOMAIN = 1, 10
_TENSOR_NAME, _TENSOR_EXTERNAL, _TENSOR_LOCATION = 8, 13, 14
# the texts that are read, by message
_TEXTS = {
    "node": {_NODE_TYPE, _NODE_DOMAIN},
    "function": {_FUNCTION_NAME, _FUNCTION_DOMAIN},
    "tensor": {_TENSOR_NAME},
}
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MOST_KEY, _MOST_LENGTH = 2**32 - 1, 2**31 - 1
# flatbuffer of onnxruntime's own format, which the runtime would take for ONNX as well
_ORT_MARK = slice(4, 8), b"ORTM"


@dataclass(slots=True)
class _Found:
    nodes: int = 0
    used: set[tuple[str, str]] = field(default_factory=set)
    made: set[tuple[str, str]] = field(default_factory=set)
    external: list[str] = field(default_factory=list)


def check_file(content: bytes, name: str) -> None:
    """Refuse a file that is no ONNX model, reads other files, or needs operators guard has not.

    Args:
        content: the file.
        name: what to call it in errors.

    Raises:
        ModelError: ``model_load``, ``model_external`` or ``model_ops``.
    """
    try:
        found = _walk(content)
    except ValueError as error:
        raise ModelError("model_load", f"{name} is no ONNX model: {error}; export it again") from None
    if found.external:
        raise ModelError(
            "model_external",
            f"{name} keeps the tensor {found.external[0]!r} in another file; "
            "export it with all weights inside (torch.onnx.export(..., external_data=False))",
        )
    strange = {(domain, op) for domain, op in found.used - found.made if domain not in DOMAINS}
    if strange:
        # as Python writes them: the file's bytes are not for a terminal
        names = ", ".join(sorted(ascii(f"{domain}.{op}") for domain, op in strange)[:5])
        raise ModelError(
            "model_ops", f"{name} needs operators of its own ({names}); export it with standard ONNX only"
        )


def _walk(content: bytes) -> _Found:
    place, mark = _ORT_MARK
    if content[place] == mark:
        raise ValueError("it is in onnxruntime's own format (ORT)")
    found = _Found()
    todo = [("model", memoryview(content))]
    while todo:
        kind, message = todo.pop()
        texts: dict[int, str] = {}
        for number, value in _fields(message):
            inside = _INSIDE.get(kind, {}).get(number)
            if inside is not None and isinstance(value, memoryview):
                todo.append((inside, value))
            elif kind == "tensor" and _points_outside(number, value):
                texts[_TENSOR_EXTERNAL] = "yes"
            elif kind in _TEXTS and number in _TEXTS[kind] and isinstance(value, memoryview):
                texts[number] = bytes(value).decode("utf-8", "backslashreplace")
        _note(found, kind, texts)
    if not found.nodes:
        raise ValueError("it holds no graph with a node")
    return found


def _points_outside(number: int, value: int | memoryview) -> bool:
    return number == _TENSOR_EXTERNAL or (number == _TENSOR_LOCATION and value != 0)


def _note(found: _Found, kind: str, texts: dict[int, str]) -> None:
    if kind == "node":
        found.nodes += 1
        found.used.add((texts.get(_NODE_DOMAIN, ""), texts.get(_NODE_TYPE, "")))
    elif kind == "function":
        found.made.add((texts.get(_FUNCTION_DOMAIN, ""), texts.get(_FUNCTION_NAME, "")))
    elif kind == "tensor" and _TENSOR_EXTERNAL in texts:
        found.external.append(texts.get(_TENSOR_NAME, ""))


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield number and value of each field; of fixed-width ones, which are not needed, the value 0.

    Raises:
        ValueError: this is no protobuf message, or not one that every parser reads alike.
    """
    at = 0
    while at < len(message):
        key, at = _key(message, at)
        number, wire = key >> 3, key & 7
        value: int | memoryview = 0
        if wire == _VARINT:
            value, at = _varint(message, at)
        elif wire == _BYTES:
            length, at = _varint(message, at)
            if length > _MOST_LENGTH:
                raise ValueError("a field of more than 2^31 bytes")
            value, at = message[at : at + length], at + length
        elif wire in (_FIXED64, _FIXED32):
            at += 8 if wire == _FIXED64 else 4
        else:
            raise ValueError(f"a field of wire type {wire}")
        if number == 0 or at > len(message):
            raise ValueError("it is cut off or damaged")
        yield number, value


def _key(message: memoryview, at: int) -> tuple[int, int]:
    """Return a field's key and where its value starts; a parser keeps only 32 bits of a longer one."""
    key, after = _varint(message, at)
    if key > _MOST_KEY or after - at > max(1, -(-key.bit_length() // 7)):
        raise ValueError("the key of a field is longer than it need be")
    return key, after


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:
        if at >= len(message):
            raise ValueError("it is cut off or damaged")
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise ValueError("a number is longer than 64 bits")
