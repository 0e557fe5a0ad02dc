"""Random layers, unpacked, against a model in memory of what the image specification says."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.jail import Jail
from support.tars import Item, directory, file, layer, opaque, symlink, whiteout


@dataclass
class Dir:
    """A directory of the model: names to what they are, and the layer that brought it."""

    layer: int
    children: dict[bytes, Dir | Leaf] = field(default_factory=dict)


@dataclass
class Leaf:
    """A file with its content, or a link with its target."""

    layer: int
    kind: str
    content: bytes


class Model:
    """What a tree is to hold. No aliases: links are leaves, and nothing is put below them."""

    def __init__(self) -> None:
        self.root = Dir(-1)
        self.layer = -1

    def apply(self, items: list[tuple[str, bytes]]) -> list[Item]:
        """Apply the operations that make sense; returns the entries for them."""
        self.layer += 1
        return [item for operation in items if (item := self._apply(*operation)) is not None]

    def _apply(self, kind: str, path: bytes) -> Item | None:
        *parents, name = path.split(b"/")
        if kind in ("whiteout", "opaque"):
            where = self._find(parents if kind == "whiteout" else path.split(b"/"))
            if kind == "whiteout":
                if where and self.layer:
                    self._hide_one(where, name)
                return whiteout(path)
            if where and self.layer:
                self._hide_below(where)
            return opaque(path)
        where = self._make(parents)
        if where is None:
            return None
        if kind == "directory":
            found = where.children.get(name)
            if isinstance(found, Dir):
                found.layer = self.layer
            else:
                where.children[name] = Dir(self.layer)
            return directory(path)
        content = b"%d:%s" % (self.layer, path)
        where.children[name] = Leaf(self.layer, kind, content)
        return file(path, content) if kind == "file" else symlink(path, content)

    def _make(self, parents: list[bytes]) -> Dir | None:
        """The directory, made where it is missing; None when a leaf is in the way. All on the way are this layer's."""
        here = self.root
        for part in parents:  # first look, so that nothing is made in vain
            found = here.children.get(part)
            if isinstance(found, Leaf):
                return None
            if found is None:
                break
            here = found
        here = self.root
        for part in parents:
            below = here.children.setdefault(part, Dir(self.layer))
            assert isinstance(below, Dir)
            below.layer = self.layer
            here = below
        return here

    def _find(self, parts: list[bytes]) -> Dir | None:
        here = self.root
        for part in parts:
            found = here.children.get(part)
            if not isinstance(found, Dir):
                return None
            here = found
        return here

    def _hide_one(self, where: Dir, name: bytes) -> None:
        found = where.children.get(name)
        if found is None:
            return
        if found.layer != self.layer:
            del where.children[name]
        elif isinstance(found, Dir):
            self._hide_below(found)

    def _hide_below(self, where: Dir) -> None:
        for name in list(where.children):
            self._hide_one(where, name)

    def tree(self) -> dict[bytes, tuple[str, bytes]]:
        """By path: kind and content."""
        return dict(self._walk(self.root, b""))

    def _walk(self, where: Dir, prefix: bytes) -> list[tuple[bytes, tuple[str, bytes]]]:
        found: list[tuple[bytes, tuple[str, bytes]]] = []
        for name, child in where.children.items():
            if isinstance(child, Leaf):
                found.append((prefix + name, (child.kind, child.content)))
            else:
                found += [(prefix + name, ("directory", b"")), *self._walk(child, prefix + name + b"/")]
        return found


PATHS = st.lists(st.sampled_from([b"a", b"b", b"c"]), min_size=1, max_size=4).map(b"/".join)
KINDS = st.sampled_from(["file", "file", "directory", "directory", "symlink", "whiteout", "opaque"])
LAYERS = st.lists(st.lists(st.tuples(KINDS, PATHS), max_size=12), min_size=1, max_size=4)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(layers=LAYERS)
def test_random_layers_give_what_the_model_says(jail: Jail, layers: list[list[tuple[str, bytes]]]) -> None:
    model = Model()
    made = jail.unpack(*(layer(*model.apply(items)) for items in layers)).ok()
    found = {name: (node.kind, node.content) for name, node in made.tree.items() if name != b"."}
    assert found == model.tree()
