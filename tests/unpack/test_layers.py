"""Layers on top of each other, as the image specification says; each case is unpacked for real, in the jail."""

from __future__ import annotations

import errno
import json
import os

import pytest
from support.jail import Jail, Outcome
from support.tars import (
    GNU,
    PAX,
    PLAIN,
    Item,
    archive,
    descriptor,
    directory,
    file,
    gzipped,
    hard_link,
    layer,
    layout,
    opaque,
    symlink,
    whiteout,
)

SECOND = 1_000_000_000


def names(outcome: Outcome) -> set[bytes]:
    return set(outcome.ok().tree) - {b"."}


def content(outcome: Outcome, name: bytes) -> bytes:
    return outcome.ok().tree[name].content


class TestOneLayer:
    def test_everything_an_entry_says_is_kept(self, jail: Jail) -> None:
        entry = file(b"bin/su", b"program", mode=0o4755, uid=3, gid=7000, mtime=1.25, xattrs={b"user.a": b"x=\0y"})
        made = jail.unpack(layer(directory(b"bin", mode=0o1777, uid=5, mtime=7), entry)).ok()
        found, above = made.tree[b"bin/su"], made.tree[b"bin"]
        assert (found.kind, found.mode, found.uid, found.gid) == ("file", 0o4755, 3, 7000)
        assert (found.mtime, found.content) == (SECOND + SECOND // 4, b"program")
        assert found.xattrs == (("user.a", b"x=\0y"),)
        assert (above.mode, above.uid, above.mtime) == (0o1777, 5, 7 * SECOND)
        assert made.entries == 2

    def test_a_program_keeps_its_capabilities_and_its_set_id_bits(self, jail: Jail) -> None:
        capability = bytes.fromhex("0100000202000000000000000000000000000000")
        entry = file(b"ping", b"x" * 5000, mode=0o6755, uid=7, gid=8, xattrs={b"security.capability": capability})
        found = jail.unpack(layer(entry)).ok().tree[b"ping"]
        assert (found.mode, found.uid, found.xattrs) == (0o6755, 7, (("security.capability", capability),))

    @pytest.mark.parametrize("umask", [0, 0o022, 0o077, 0o777])
    def test_the_umask_takes_nothing_away(self, jail: Jail, umask: int) -> None:
        image = layer(directory(b"d", 0o777), file(b"d/f", mode=0o666), file(b"implied/f", mode=0o600))
        made = jail.unpack_archive(image_of(image), umask=umask).ok()
        modes = {name: made.tree[name].mode for name in (b".", b"d", b"d/f", b"implied")}
        assert modes == {b".": 0o755, b"d": 0o777, b"d/f": 0o666, b"implied": 0o755}

    def test_devices_fifos_and_links_are_made(self, jail: Jail) -> None:
        made = jail.unpack(
            layer(
                Item(name=b"null", type=b"3", device=(1, 3), mode=0o666, uid=4),
                Item(name=b"disk", type=b"4", device=(259, 300), mode=0o660),
                Item(name=b"pipe", type=b"6", mode=0o640, uid=6, mtime=9),
                symlink(b"link", b"/no/where", uid=8, mtime=-1.5),
            )
        ).ok()
        pipe, link = made.tree[b"pipe"], made.tree[b"link"]
        assert (pipe.kind, pipe.mode, pipe.uid, pipe.mtime) == ("fifo", 0o640, 6, 9 * SECOND)
        assert (link.kind, link.content, link.uid, link.mtime) == ("symlink", b"/no/where", 8, -SECOND * 3 // 2)
        if os.geteuid() == 0:
            null, disk = made.tree[b"null"], made.tree[b"disk"]
            assert (null.kind, null.device, null.mode, null.uid) == ("character", (1, 3), 0o666, 4)
            assert (disk.kind, disk.device, disk.mode) == ("block", (259, 300), 0o660)
            assert made.notes == ()
        else:  # root of a user namespace alone may not make devices
            assert made.notes == ("device nodes left out, for this user may not make them: 2",)

    def test_a_device_that_is_left_out_is_so_by_all_of_its_names(self, ordinary_jail: Jail) -> None:
        null = Item(name=b"dev/null", type=b"3", device=(1, 3))
        links = hard_link(b"dev/null2", b"dev/null"), hard_link(b"dev/null3", b"dev/null2")
        later = symlink(b"d", b"dev"), hard_link(b"f", b"d/null3"), hard_link(b"g", b"f")
        made = ordinary_jail.unpack(layer(null, *links, file(b"f", b"older")), layer(*later))
        assert names(made) == {b"dev", b"d"}
        assert "device nodes left out, for this user may not make them: 5" in made.notes

    def test_a_hard_link_to_what_is_in_a_left_out_devices_place_is_made(self, ordinary_jail: Jail) -> None:
        null = Item(name=b"null", type=b"3", device=(1, 3))
        made = ordinary_jail.unpack(layer(null), layer(file(b"null", b"x"), hard_link(b"b", b"null"))).ok()
        assert made.tree[b"b"].inode == made.tree[b"null"].inode

    def test_a_hard_link_to_nothing_is_told(self, jail: Jail, ordinary_jail: Jail) -> None:
        for one in (jail, ordinary_jail):
            made = one.unpack(layer(Item(name=b"null", type=b"3", device=(1, 3)), hard_link(b"b", b"nothing")))
            assert "hard link 'b': No such file or directory" in made.error

    def test_hard_links_are_one_file(self, jail: Jail) -> None:
        made = jail.unpack(layer(file(b"a", b"same"), hard_link(b"d/b", b"/a"), hard_link(b"c", b"./d/../a"))).ok()
        assert len({made.tree[name].inode for name in (b"a", b"d/b", b"c")}) == 1
        assert made.tree[b"a"].links == 3

    def test_a_hard_link_to_a_symbolic_link_is_that_link(self, jail: Jail) -> None:
        made = jail.unpack(layer(file(b"a"), symlink(b"s", b"a"), hard_link(b"t", b"s"))).ok()
        assert (made.tree[b"t"].kind, made.tree[b"t"].inode) == ("symlink", made.tree[b"s"].inode)

    @pytest.mark.parametrize("mtime", [-1, -1.5, 0, 0.000000001, 2**31, 2**33, 1.999999999])
    def test_times_are_exact(self, jail: Jail, mtime: float) -> None:
        made = jail.unpack(layer(directory(b"d", mtime=mtime), file(b"d/f", mtime=mtime))).ok()
        assert made.tree[b"d"].mtime == made.tree[b"d/f"].mtime == round(mtime * SECOND)

    def test_a_time_is_the_directorys_own_however_much_happens_in_it(self, jail: Jail) -> None:
        many = [item for n in range(300) for item in (directory(b"d/%d" % n, mtime=n), file(b"d/%d/f" % n))]
        made = jail.unpack(
            layer(directory(b"./", mtime=5), directory(b"d", mtime=6), *many),
            layer(file(b"d/7/g"), whiteout(b"d/8/f"), opaque(b"d/9")),
        ).ok()
        assert (made.tree[b"."].mtime, made.tree[b"d"].mtime) == (5 * SECOND, 6 * SECOND)
        assert [made.tree[b"d/%d" % n].mtime for n in range(300)] == [n * SECOND for n in range(300)]

    @pytest.mark.parametrize("form", [PAX, GNU])
    @pytest.mark.parametrize("length", [99, 100, 101, 255, 3000])
    def test_long_names_and_targets(self, jail: Jail, form: str, length: int) -> None:
        name = (b"n" * 90 + b"/") * (length // 91) + b"e" * (length % 91)
        made = jail.unpack(layer(file(name, b"x", form=form), symlink(b"s", name, form=form))).ok()
        assert made.tree[name].content == b"x"
        assert made.tree[b"s"].content == name

    @pytest.mark.parametrize(
        "name", [b"a\nb", b"\xff\xfe", b" ", b"-rf", b"a\\b", b"\x1b[31m", "ü\u2028".encode(), b"*"]
    )
    def test_odd_names(self, jail: Jail, name: bytes) -> None:
        assert names(jail.unpack(layer(file(name), directory(b"d" + name)))) == {name, b"d" + name}

    @pytest.mark.parametrize("name", [b"/f", b"./f", b"//f", b"f/", b"x/../f", b"../f", b"/../../f", b"./././f"])
    def test_spellings_of_one_name(self, jail: Jail, name: bytes) -> None:
        assert names(jail.unpack(layer(file(name)))) == {b"f"}

    @pytest.mark.parametrize("name", [b"", b".", b"./", b"/", b"a/.."])
    def test_spellings_of_the_root(self, jail: Jail, name: bytes) -> None:
        made = jail.unpack(layer(file(b"f"), directory(name, 0o700, uid=9, mtime=3))).ok()
        assert (made.tree[b"."].mode, made.tree[b"."].uid, made.tree[b"."].mtime) == (0o700, 9, 3 * SECOND)

    @pytest.mark.parametrize("form", [PAX, GNU, PLAIN])
    def test_the_formats_of_a_header(self, jail: Jail, form: str) -> None:
        assert content(jail.unpack(layer(file(b"d/f", b"x", form=form))), b"d/f") == b"x"

    def test_ids_and_times_that_octal_digits_cannot_hold(self, jail: Jail) -> None:
        for form in (PAX, GNU):
            found = jail.unpack(layer(file(b"f", uid=60000, gid=3000000, mtime=-5, form=form)))
            if os.geteuid():
                assert "Invalid argument" in found.error  # not an id of this user namespace
                continue
            node = found.ok().tree[b"f"]
            assert (node.uid, node.gid, node.mtime) == (60000, 3000000, -5 * SECOND)

    def test_a_name_that_comes_twice_is_its_last(self, jail: Jail) -> None:
        made = jail.unpack(layer(file(b"f", b"one"), directory(b"f"), file(b"f/x"), file(b"f", b"two"))).ok()
        assert content(made, b"f") == b"two"
        assert names(made) == {b"f"}

    def test_whiteouts_of_the_lowest_layer_do_nothing(self, jail: Jail) -> None:
        made = jail.unpack(layer(file(b"d/f"), whiteout(b"d/f"), opaque(b"d"), whiteout(b"nowhere/x")))
        assert names(made) == {b"d", b"d/f"}

    def test_global_headers_and_old_bookkeeping_are_left_out(self, jail: Jail) -> None:
        made = jail.unpack(
            layer(
                Item(name=b"pax_global_header", type=b"g", content=b"17 path=elsewhere\n"),
                directory(b".wh..wh.plnk"),
                file(b".wh..wh.plnk/1.2"),
                file(b".wh..wh.aufs"),
                file(b"f"),
            )
        )
        assert names(made) == {b"f"}

    def test_a_directory_that_is_only_implied_has_plain_attributes(self, jail: Jail) -> None:
        found = jail.unpack(layer(directory(b"g", 0o2770, gid=50), file(b"g/d/f", uid=4))).ok().tree[b"g/d"]
        assert (found.mode, found.uid, found.gid, found.mtime) == (0o755, 0, 0, 0)

    def test_a_directory_that_passes_on_its_group_does_so_to_nothing(self, jail: Jail) -> None:
        made = jail.unpack(layer(directory(b"g", 0o2770, gid=50), file(b"g/f"), directory(b"g/d", 0o755))).ok()
        assert [(made.tree[name].gid, made.tree[name].mode) for name in (b"g/f", b"g/d")] == [(0, 0o644), (0, 0o755)]

    def test_labels_of_another_machine_are_left_out(self, jail: Jail) -> None:
        xattrs = {b"security.selinux": b"a", b"trusted.overlay.opaque": b"y", b"user.kept": b"z"}
        made = jail.unpack(layer(directory(b"d", xattrs=xattrs), file(b"f", xattrs=xattrs))).ok()
        assert made.tree[b"d"].xattrs == made.tree[b"f"].xattrs == (("user.kept", b"z"),)

    def test_an_attribute_that_cannot_be_set_is_told_once(self, jail: Jail) -> None:
        made = jail.unpack(layer(*(symlink(b"s%d" % n, b"x", xattrs={b"user.a": b"b"}) for n in range(3)))).ok()
        assert made.notes == ("extended attributes left out, for they cannot be set here: user.a (3)",)

    def test_a_file_system_without_attributes_lacks_them_alone(self, jail: Jail) -> None:
        image = image_of(layer(directory(b"d", xattrs={b"user.a": b"b"}), file(b"f", xattrs={b"user.a": b"b"})))
        made = jail.unpack_archive(image, xattr_error=errno.ENOTSUP)
        assert names(made) == {b"d", b"f"}
        assert made.notes == ("extended attributes left out, for they cannot be set here: user.a (2)",)

    def test_an_attribute_that_is_too_large_is_named(self, jail: Jail) -> None:
        error = jail.unpack(layer(file(b"d/f", xattrs={b"user.big": b"b" * 70000}))).error
        refused = "the file system does not take its extended attribute 'user.big' of 70000 bytes"
        assert f"file 'd/f': {refused}: Argument list too long" in error

    def test_an_empty_image_is_an_empty_root(self, jail: Jail) -> None:
        assert names(jail.unpack()) == set()
        assert names(jail.unpack(layer())) == set()
        manifest = json.dumps({"config": descriptor(b"{}"), "layers": None}).encode()
        assert names(jail.unpack_archive(layout(b"{}", manifest, index=[descriptor(manifest)]))) == set()


class TestSeveralLayers:
    def test_a_whiteout_removes_what_is_below(self, jail: Jail) -> None:
        below = layer(directory(b"d"), file(b"d/a"), file(b"d/b"), file(b"t/x/y"), symlink(b"s", b"d"), file(b"e"))
        made = jail.unpack(below, layer(whiteout(b"d/a"), whiteout(b"t"), whiteout(b"s"), whiteout(b"missing")))
        assert names(made) == {b"d", b"d/b", b"e"}

    def test_an_opaque_directory_shows_its_own_layer_alone(self, jail: Jail) -> None:
        below = layer(file(b"d/a", b"old"), file(b"d/b"), file(b"d/sub/c"), file(b"d/keep/old"), file(b"e"))
        above = [directory(b"d", 0o700), file(b"d/a", b"new"), file(b"d/keep/new")]
        for items in ([opaque(b"d"), *above], [*above, opaque(b"d")], [above[0], opaque(b"d"), *above[1:]]):
            made = jail.unpack(below, layer(*items)).ok()
            assert names(made) == {b"d", b"d/a", b"d/keep", b"d/keep/new", b"e"}
            assert content(made, b"d/a") == b"new"

    def test_a_whiteout_spares_what_its_own_layer_brought(self, jail: Jail) -> None:
        below = layer(file(b"d/old"), file(b"f", b"old"))
        made = jail.unpack(below, layer(file(b"d/new"), whiteout(b"d"), file(b"f", b"new"), whiteout(b"f")))
        assert names(made) == {b"d", b"d/new", b"f"}
        assert content(made, b"f") == b"new"

    def test_an_opaque_root_hides_everything_below(self, jail: Jail) -> None:
        made = jail.unpack(layer(file(b"a/b"), file(b"c")), layer(file(b"a/n"), file(b".wh..wh..opq")))
        assert names(made) == {b"a", b"a/n"}

    def test_a_directory_that_is_listed_again_keeps_what_it_holds(self, jail: Jail) -> None:
        below = layer(directory(b"d", xattrs={b"user.old": b"1", b"user.both": b"1"}), file(b"d/f"))
        above = layer(directory(b"d", 0o700, uid=2, mtime=9, xattrs={b"user.both": b"2"}))
        made = jail.unpack(below, above).ok()
        found = made.tree[b"d"]
        assert names(made) == {b"d", b"d/f"}
        assert (found.mode, found.uid, found.mtime, found.xattrs) == (0o700, 2, 9 * SECOND, (("user.both", b"2"),))

    @pytest.mark.parametrize(
        "item",
        [file(b"d", b"x"), symlink(b"d", b"elsewhere"), Item(name=b"d", type=b"6"), hard_link(b"d", b"other")],
        ids=lambda item: item.type.decode(),
    )
    def test_a_full_directory_is_replaced_by_what_is_none(self, jail: Jail, item: Item) -> None:
        made = jail.unpack(layer(file(b"d/sub/f"), file(b"other")), layer(item))
        assert names(made) == {b"d", b"other"}

    @pytest.mark.parametrize("item", [file(b"d", b"x"), symlink(b"d", b"other"), Item(name=b"d", type=b"6")])
    def test_what_is_no_directory_is_replaced_by_one(self, jail: Jail, item: Item) -> None:
        made = jail.unpack(layer(item, file(b"other/f")), layer(directory(b"d"), file(b"d/x")))
        assert names(made) == {b"d", b"d/x", b"other", b"other/f"}
        assert made.tree[b"d"].kind == "directory"

    def test_a_name_leads_through_the_links_of_lower_layers(self, jail: Jail) -> None:
        below = layer(
            directory(b"usr/lib"),
            symlink(b"lib", b"usr/lib"),
            symlink(b"absolute", b"/usr/lib"),
            symlink(b"usr/up", b"../usr/lib"),
            symlink(b"twice", b"lib/../../usr/up/."),
        )
        items = [file(b"%s/%d" % (via, n)) for n, via in enumerate((b"lib", b"absolute", b"usr/up", b"twice"))]
        made = names(jail.unpack(below, layer(*items)))
        assert {name for name in made if name.startswith(b"usr/lib/")} == {b"usr/lib/%d" % n for n in range(4)}
        assert not {name for name in made if name.startswith((b"lib/", b"absolute/", b"twice/"))}

    def test_a_link_to_nowhere_leads_to_what_is_made_there(self, jail: Jail) -> None:
        assert names(jail.unpack(layer(symlink(b"s", b"a/b")), layer(file(b"s/f")))) == {b"s", b"a", b"a/b", b"a/b/f"}

    @pytest.mark.parametrize("target", [b"/a/../b", b"a/../b", b"x/y/../../b", b"/a/z/../../b/q/..", b"l/../b"])
    @pytest.mark.parametrize("there", [(), (Item(name=b"a", type=b"6"),), (file(b"a"),), (directory(b"a"),)])
    def test_what_a_link_leads_up_from_need_not_be_there(
        self, jail: Jail, target: bytes, there: tuple[Item, ...]
    ) -> None:
        below = layer(*there, symlink(b"l", b"b"), symlink(b"e", target))
        made = names(jail.unpack(below, layer(file(b"e/c"))))
        assert made == {b"b", b"b/c", b"l", b"e", *(item.name for item in there)}
        again = jail.unpack(
            below, layer(file(b"b/c")), layer(whiteout(b"e/c"), file(b"f")), layer(hard_link(b"e/g", b"f"))
        )
        assert names(again) == {b"b", b"b/g", b"f", b"l", b"e", *(item.name for item in there)}

    @pytest.mark.parametrize("target", [b"a", b"a/b", b"b/../a"])
    def test_a_link_to_what_is_no_directory_is_none(self, jail: Jail, target: bytes) -> None:
        assert "'e' is no directory" in jail.unpack(layer(file(b"a"), symlink(b"e", target), file(b"e/c"))).error

    def test_whiteouts_lead_through_links_and_spare_by_the_real_path(self, jail: Jail) -> None:
        below = layer(file(b"usr/lib/old"), symlink(b"lib", b"usr/lib"))
        made = jail.unpack(below, layer(file(b"usr/lib/new"), opaque(b"lib")))
        assert names(made) == {b"usr", b"usr/lib", b"usr/lib/new", b"lib"}
        assert names(jail.unpack(below, layer(whiteout(b"lib/old")))) == {b"usr", b"usr/lib", b"lib"}

    def test_a_changed_file_leaves_its_other_names_alone(self, jail: Jail) -> None:
        below = layer(file(b"a", b"old"), hard_link(b"b", b"a"))
        made = jail.unpack(below, layer(file(b"a", b"new")), layer(hard_link(b"c", b"b"), hard_link(b"d", b"a"))).ok()
        assert [content(made, name) for name in (b"a", b"b", b"c", b"d")] == [b"new", b"old", b"old", b"new"]
        assert made.tree[b"b"].inode == made.tree[b"c"].inode != made.tree[b"a"].inode

    def test_a_hard_link_replaces_what_has_its_name(self, jail: Jail) -> None:
        made = jail.unpack(layer(file(b"a", b"x"), file(b"b", b"y")), layer(hard_link(b"b", b"a"))).ok()
        assert made.tree[b"a"].inode == made.tree[b"b"].inode

    def test_a_hard_link_between_two_very_deep_places(self, jail: Jail) -> None:
        deep = [b"/".join([top] * 200) for top in (b"a", b"b")]
        made = jail.unpack(layer(file(deep[0] + b"/f")), layer(hard_link(deep[1] + b"/g", deep[0] + b"/f"))).ok()
        assert made.tree[deep[0] + b"/f"].inode == made.tree[deep[1] + b"/g"].inode

    def test_a_removed_directory_that_comes_back_is_new(self, jail: Jail) -> None:
        below = layer(directory(b"a/b/c", 0o700), file(b"a/b/c/f"))
        made = jail.unpack(below, layer(whiteout(b"a/b")), layer(file(b"a/b/c/g")))
        assert names(made) == {b"a", b"a/b", b"a/b/c", b"a/b/c/g"}
        assert made.tree[b"a/b/c"].mode == 0o755

    def test_a_removed_and_remade_directory_in_one_layer_is_never_the_old_one(self, jail: Jail) -> None:
        made = jail.unpack(
            layer(file(b"a/b/f")),
            layer(file(b"a/b/g"), file(b"a/b", b"file"), directory(b"a/b"), file(b"a/b/h"), symlink(b"a", b"z")),
            layer(file(b"a/b/i")),
        )
        assert names(made) == {b"a", b"z", b"z/b", b"z/b/i"}

    def test_a_link_that_changes_leads_to_its_new_target(self, jail: Jail) -> None:
        made = jail.unpack(
            layer(directory(b"one"), directory(b"two"), symlink(b"s", b"one")),
            layer(file(b"s/a"), symlink(b"s", b"two"), file(b"s/b")),
        )
        assert names(made) == {b"one", b"one/a", b"two", b"two/b", b"s"}

    def test_more_directories_than_are_kept_open(self, jail: Jail) -> None:
        below = layer(*(file(b"%d/%d/f" % (n % 20, n)) for n in range(1000)))
        made = jail.unpack(below, layer(*(whiteout(b"%d/%d/f" % (n % 20, n)) for n in range(1000))))
        assert len(names(made)) == 1020
        assert made.descriptors[0] == made.descriptors[1]


def image_of(*layers: bytes) -> bytes:
    return archive(map(gzipped, layers))
