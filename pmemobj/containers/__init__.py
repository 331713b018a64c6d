"""The persistent containers, one module each; they never import each other."""

from pmemobj.containers.base import PlainObject
from pmemobj.containers.dict import PersistentDict
from pmemobj.containers.list import PersistentList
from pmemobj.containers.missing import MissingCustomObject
from pmemobj.containers.object import MissingClassObject, PersistentObject
from pmemobj.containers.persistent import Persistent
from pmemobj.containers.plain import plain
from pmemobj.containers.set import PersistentSet
from pmemobj.containers.tuple import PersistentTuple

__all__ = [
    "MissingClassObject",
    "MissingCustomObject",
    "Persistent",
    "PersistentDict",
    "PersistentList",
    "PersistentObject",
    "PersistentSet",
    "PersistentTuple",
    "PlainObject",
    "plain",
]
