"""Answers of a worklist as bytes, so that they may hold what no library would write."""

from __future__ import annotations

import struct
from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """What the hospital's system says; implicit VR."""

    patient_id: bytes = b"H-1"
    name: bytes = b"Doe^Baby"
    birth_date: bytes = b"20261001"
    sex: bytes = b"F"
    accession: bytes = b"ACC-1"
    description: bytes = b"ROP screening"
    character_set: bytes = b""
    steps: tuple[bytes, ...] = (b"S-1",)
    scheduled: bytes = b"20261122"
    modality: bytes = b"OP"
    title: bytes = b"ROPCART"
    status: bytes = b""


def answer(said: Answer) -> bytes:
    """The dataset, implicit VR, little endian."""
    steps = b"".join(_element(0xFFFEE000, _step(said, step), b"\0") for step in said.steps)
    fields = [
        (0x00080005, said.character_set),
        (0x00080050, said.accession),
        (0x00080090, b"Referrer^Rita"),
        (0x00100010, said.name),
        (0x00100020, said.patient_id),
        (0x00100030, said.birth_date),
        (0x00100040, said.sex),
        (0x0020000D, b"1.2.826.0.1.3680043.8.498.7"),
        (0x00321060, said.description),
        (0x00400100, steps),
        (0x00401001, b"RP-1"),
    ]
    return b"".join(_element(tag, value) for tag, value in fields if value or tag != 0x00080005)


def _step(said: Answer, step: bytes) -> bytes:
    fields = [
        (0x00080060, said.modality),
        (0x00400001, said.title),
        (0x00400002, said.scheduled),
        (0x00400003, b"101500"),
        (0x00400009, step),
        (0x00400020, said.status),
    ]
    return b"".join(_element(tag, value) for tag, value in fields)


def _element(tag: int, value: bytes, pad: bytes = b" ") -> bytes:
    padded = value + pad * (len(value) % 2)
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(padded)) + padded
