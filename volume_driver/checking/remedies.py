# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Which repair a finding calls for: only what can be proved to lose nothing.

Everything else is refused with the reason. A repair rests on facts that all
could be looked at; it is worked out anew after each one that was done.
"""

from __future__ import annotations

import collections.abc

from volume_driver import info
from volume_driver import names
from volume_driver.checking import cases
from volume_driver.checking import facts as seen
from volume_driver.checking import findings
from volume_driver.checking import repairs
from volume_driver.checking import walk as walks
from volume_driver.images import trust

_Actions = tuple[repairs.Action, ...]

_GIB = 1 << 30


def propose(
    facts: seen.Facts,
    found: collections.abc.Sequence[findings.Finding],
    known: seen.Known | None = None,
    settle: float = 0.0,
) -> list[repairs.Remedy]:
    """Return what would be done about each finding of a volume.

    :param settle: seconds for which nothing may have been changed
    """
    return [
        _remedy(cases.Case(facts, finding, found, known, settle))
        for finding in found
    ]


def _remedy(case: cases.Case) -> repairs.Remedy:
    work_out = _REMEDIES.get(case.finding.kind)
    if work_out is None:
        return repairs.Remedy(case.finding, (), 'nothing here can mend it')
    try:
        return repairs.Remedy(case.finding, work_out(case))
    except cases.Refused as reason:
        return repairs.Remedy(case.finding, (), str(reason))


def _recover(_case: cases.Case) -> _Actions:
    return (repairs.Recover(),)


# -- files that are too many -------------------------------------------------


def _leftover(case: cases.Case) -> _Actions:
    name = case.finding.file
    case.seen_all()
    if name in case.facts.images:
        return (repairs.DropCopies(),)
    if names.is_export_of(case.facts.volume, name):
        raise cases.Refused(
            'a backup or a migration may work with it, on whichever host; '
            'the next one makes it anew'
        )
    return (repairs.SetAside(name),)


def _removable(case: cases.Case) -> str:
    """Return the image it is about; refuse where somebody may need it."""
    name = case.finding.file
    case.unused()
    case.sound()
    case.startable(name)
    for above in walks.above(case.facts, name):
        raise cases.Refused(f'{above} lies on top of it')
    return name


def _orphan(case: cases.Case) -> _Actions:
    name = _removable(case)
    case.complete()
    snapshot = case.named_after(name)
    if case.known and snapshot in (case.known.snapshots or ()):
        raise cases.Refused(f'the records have a snapshot {snapshot}')
    return (repairs.SetAside(name),)


def _orphan_overlay(case: cases.Case) -> _Actions:
    if case.facts.info is None:
        return _rebuilt_info(case)
    if case.facts.guests:
        return _follow_guest(case)
    name = _removable(case)
    return (repairs.SetAside(name, blank_over=case.complete().active),)


# -- .info -------------------------------------------------------------------


def _follow_guest(case: cases.Case) -> _Actions:
    """Name what a guest was switched to by a snapshot that was cut off."""
    case.seen_all()
    case.sound()
    content, active = case.facts.info, case.complete().active
    if content is None or active is None:
        raise cases.Refused('there is no .info to go by')
    top = case.facts.guests[0].images[-1]
    whole = walks.walk_from(case.facts, top)
    case.shown_to_guests(whole.images)
    if not whole.complete or active not in whole.images:
        raise cases.Refused(
            'what it runs on is no chain on top of the active image'
        )
    if top == active:
        raise cases.Refused('.info names what it runs on already')
    for name in whole.images[whole.images.index(active) + 1 :]:
        snapshot = case.named_after(name)
        if snapshot not in case.snapshots():
            raise cases.Refused(f'the records have no snapshot {snapshot}')
        if snapshot in content.snapshots:
            raise cases.Refused(f'.info has another overlay of {snapshot}')
        content = content.with_snapshot(snapshot, name)
    return (repairs.WriteInfo(content),)


def _rebuilt_info(case: cases.Case) -> _Actions:
    """Write ``.info`` anew from the headers and the names of the overlays.

    An overlay may outlive the snapshot that it is named after, but then that
    snapshot is in no record: where the names are just those of the records
    each is its own snapshot's.
    """
    case.seen_all()
    case.sound()
    tops = walks.tops(case.facts)
    if len(tops) != 1:
        raise cases.Refused(f'there are {len(tops)} uppermost images')
    whole = walks.walk_from(case.facts, tops[0])
    if not whole.complete or len(whole.images) != len(case.facts.images):
        raise cases.Refused('the images are not one whole chain')
    case.shown_to_guests(whole.images)
    overlays = {case.named_after(name): name for name in whole.images[1:]}
    if case.snapshots() != overlays.keys():
        raise cases.Refused(
            'the overlays are not named like the snapshots of the records '
            f'({", ".join(sorted(case.snapshots())) or "none"})'
        )
    return (repairs.WriteInfo(info.Info(tops[0], overlays)),)


def _info_mismatch(case: cases.Case) -> _Actions:
    case.seen_all()
    case.sound()
    content, walk = case.facts.info, case.complete()
    if content is None:
        raise cases.Refused('there is no .info to go by')
    name = case.finding.file
    snapshot = content.snapshot_of(name)
    if snapshot is None:
        return _listed_again(case, content, name)
    if name in walk.images:
        raise cases.Refused('nothing shows what the snapshot looked like')
    if name in case.facts.names:
        return _merged(case, content, name)
    case.shown_to_guests(walk.images)
    left = content.without_snapshot(snapshot)
    if left.snapshots.keys() != case.snapshots():
        # After a pull it is another line that is too many.
        raise cases.Refused('the records have other snapshots than the rest')
    return (repairs.WriteInfo(left),)


def _listed_again(case: cases.Case, content: info.Info, name: str) -> _Actions:
    """Give an overlay its line in ``.info`` back; see _rebuilt_info."""
    snapshot = case.named_after(name)
    missing = case.snapshots() - content.snapshots.keys()
    if snapshot not in missing or snapshot in content.snapshots:
        raise cases.Refused(
            f'the records have no snapshot {snapshot} without a line'
        )
    listed = {**content.snapshots, snapshot: name}
    return (repairs.WriteInfo(info.Info(content.active, listed)),)


def _merged(case: cases.Case, content: info.Info, name: str) -> _Actions:
    """Take back a pull, or end a commit, of which ``.info`` knows nothing."""
    case.unused()
    case.plain()
    walk, snapshot = case.complete(), str(content.snapshot_of(name))
    below = walks.below(case.facts, name)
    if below not in walk.images[:-1]:
        raise cases.Refused('it was not merged into an image of the chain')
    upper = walk.images[walk.images.index(below) + 1]
    return (
        repairs.Point(upper, name, 'qcow2', repairs.SAME_DATA),
        repairs.WriteInfo(content.without_snapshot(snapshot), (name, below)),
    )


# -- headers and the record --------------------------------------------------


def _foreign_backing(case: cases.Case) -> _Actions:
    name = case.plain()
    found = case.header(name)
    case.unused()
    case.sound()
    meant = walks.below(case.facts, name)
    if found.data_file or meant is None or meant not in case.facts.images:
        raise cases.Refused('it leads out of the volume')
    image_format = walks.format_of(case.facts, meant)
    return (repairs.Point(name, meant, image_format, repairs.SAME_FILE),)


def _format(case: cases.Case) -> _Actions:
    name = case.plain()
    case.unused()
    case.sound()
    below = walks.below(case.facts, name)
    if (
        below != case.facts.volume
        or case.facts.record is None
        or case.header(name).backing_format is not None
    ):
        raise cases.Refused('which of the formats is right cannot be told')
    recorded = case.facts.record
    return (repairs.Point(name, below, recorded, repairs.RECORDED),)


def _record_corrupt(case: cases.Case) -> _Actions:
    case.seen_all()
    base = case.facts.images.get(case.facts.volume)
    if base is None or base.problem is not None:
        raise cases.Refused('the base cannot be read')
    named = {each.backing_format for each in walks.above_base(case.facts)}
    if not named and not base.magic:
        size = case.known.size if case.known else None
        if size is None or base.length != size * _GIB:
            # Without its first bytes a qcow2 image looks so, too.
            raise cases.Refused(
                'only a file of exactly the size in the records (--records) '
                'is surely raw'
            )
        return (repairs.WriteRecord('raw'),)
    if named == {'qcow2'} and base.magic:
        return (repairs.WriteRecord('qcow2'),)
    if named == {'raw'}:
        return (repairs.WriteRecord('raw'),)
    raise cases.Refused(
        'it begins like qcow2, which a guest may have written, and no overlay '
        'says what it is'
    )


def _forged_header(case: cases.Case) -> _Actions:
    case.seen_all()
    named = {each.backing_format for each in walks.above_base(case.facts)}
    if named != {'raw'} or case.facts.record_problem is not None:
        raise cases.Refused('the overlays do not agree that it is raw')
    return (repairs.WriteRecord('raw'),)


# -- what is in an image -----------------------------------------------------


def _plain_image(case: cases.Case) -> str:
    case.unused()
    case.sound()
    for start in case.facts.starts:
        if start.image != case.walk.active:
            # When an image was last written to is proof for that.
            raise cases.Refused(f'first {start.guest} has to be put right')
    return case.plain()


def _leaks(case: cases.Case) -> _Actions:
    return (repairs.FreeLeaks(_plain_image(case)),)


def _corrupt(case: cases.Case) -> _Actions:
    name = _plain_image(case)
    backing = case.header(name).backing
    if backing is not None and trust.plain(backing) not in case.facts.images:
        raise cases.Refused('the image below it is not there')
    return (repairs.Rebuild(name),)


# -- guests ------------------------------------------------------------------


def _frozen_start(case: cases.Case) -> _Actions:
    """Name the active image where a guest would start from one below."""
    case.seen_all()
    case.sound()
    walk = case.complete()
    if case.facts.info is None or walk.active is None:
        raise cases.Refused('there is no .info to go by')
    case.shown_to_guests(walk.images)
    for start in case.facts.starts:
        if start.image == case.finding.file and start.image in walk.images:
            at = walk.images.index(start.image)
            image_format = walks.format_of(case.facts, walk.active)
            frozen = walk.images[at:]
            return (
                repairs.StartFrom(
                    start.guest, walk.active, image_format, frozen
                ),
            )
    raise cases.Refused('no definition names it any more')


def _guest_mismatch(case: cases.Case) -> _Actions:
    if case.facts.info is None:
        return _rebuilt_info(case)
    if not case.facts.guests:
        raise cases.Refused('which image holds the newest data cannot be told')
    return _follow_guest(case)


_REMEDIES: dict[str, collections.abc.Callable[[cases.Case], _Actions]] = {
    'unfinished': _recover,
    'leftover': _leftover,
    'orphan': _orphan,
    'orphan-overlay': _orphan_overlay,
    'info-corrupt': _rebuilt_info,
    'info-mismatch': _info_mismatch,
    'foreign-backing': _foreign_backing,
    'format': _format,
    'record-corrupt': _record_corrupt,
    'forged-header': _forged_header,
    'leaks': _leaks,
    'corrupt': _corrupt,
    'frozen-start': _frozen_start,
    'guest-mismatch': _guest_mismatch,
}
