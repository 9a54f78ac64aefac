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

"""What is wrong with who uses a volume: guests, and other processes."""

from __future__ import annotations

import collections.abc

from volume_driver.checking import chains
from volume_driver.checking import facts as seen
from volume_driver.checking import findings
from volume_driver.checking import walk as walks

Found = collections.abc.Iterator[findings.Finding]

_STOP = 'Whatever is written to a frozen image damages every image above it. '


def judge(facts: seen.Facts, walk: walks.Walk) -> Found:
    """Find what guests and processes do that they should not."""
    for guest in facts.guests:
        yield from _running(facts, walk, guest)
    for start in facts.starts:
        yield from _start(facts, walk, start)
    yield from _many(facts)
    if facts.looked_at is not None:
        yield from _elsewhere(facts)


def _is_frozen(facts: seen.Facts, walk: walks.Walk, name: str) -> bool:
    """Tell whether an image is one that nothing may write to.

    Where the chain cannot be followed to its end the headers say it.
    """
    if name == walk.active:
        return False
    if name in walk.images:
        return True
    return not walk.complete and bool(walks.above(facts, name))


def _right(facts: seen.Facts, walk: walks.Walk) -> str:
    if walk.active is not None:
        return f'{walk.active}, the active image'
    return f'the uppermost image ({", ".join(walks.tops(facts))})'


def _running(facts: seen.Facts, walk: walks.Walk, guest: seen.Guest) -> Found:
    top = guest.images[-1] if guest.images else ''
    if _is_frozen(facts, walk, top):
        yield findings.Finding(
            facts.volume,
            'frozen-guest',
            top,
            f'{guest.name} RUNS ON A FROZEN IMAGE and writes to it',
            f'it runs on {_right(facts, walk)}',
            f'{_STOP}Stop the guest now, start nothing on the volume, and '
            'copy all its images away before anything else is done.',
        )
        return
    if walk.active is not None and top != walk.active:
        yield findings.Finding(
            facts.volume,
            'guest-mismatch',
            top,
            f'{guest.name} runs on {" <- ".join(guest.images)}',
            f'{walk.active} as its active image, as .info says',
            '.info may be older than what the guest was switched to. Change '
            'no snapshot, and do not restart the guest, before .info names '
            'what it runs on.',
        )
        return
    if walk.complete and guest.images != walk.images:
        yield findings.Finding(
            facts.volume,
            'guest-mismatch',
            top,
            f'{guest.name} runs on {" <- ".join(guest.images)}',
            f'{" <- ".join(walk.images)}, as the headers say',
            'Remove no image of either. Find out what merged or switched '
            'before any snapshot is changed.',
        )
    yield from _size(facts, guest, top)
    if guest.job is not None and facts.journal is None:
        yield findings.Finding(
            facts.volume,
            'foreign-job',
            top,
            f'a block job ({guest.job}) of {guest.name} that no operation of '
            'ours began',
            '',
            'Wait for it, or cancel it with "virsh blockjob"; until then no '
            'snapshot can be changed.',
        )


def _size(facts: seen.Facts, guest: seen.Guest, top: str) -> Found:
    if top not in facts.images:
        return
    size = chains.size_of(facts, top)
    if size is not None and size != guest.size:
        yield findings.Finding(
            facts.volume,
            'size',
            top,
            f'{guest.name} sees a disk of {guest.size} bytes',
            f'{size} bytes, as the active image says',
            'Extend the volume again, or restart the guest, and see which '
            'size the service has recorded.',
        )


def _start(facts: seen.Facts, walk: walks.Walk, start: seen.Start) -> Found:
    running = {guest.name: guest.images for guest in facts.guests}
    if start.running and running.get(start.guest, ())[-1:] == (start.image,):
        return  # told of the running guest, if it is wrong
    when = 'when it is next started' if start.running else 'when it is started'
    if _is_frozen(facts, walk, start.image):
        yield findings.Finding(
            facts.volume,
            'frozen-start',
            start.image,
            f'{start.guest} WOULD WRITE TO A FROZEN IMAGE {when}',
            f'its definition names {_right(facts, walk)}',
            f'{_STOP}Do not start the guest; correct the disk in its '
            'definition ("virsh edit") first.',
        )
    elif walk.active is not None and start.image != walk.active:
        yield findings.Finding(
            facts.volume,
            'guest-mismatch',
            start.image,
            f'the definition of {start.guest} names it as the disk {when}',
            f'{walk.active}, the active image',
            'Find out which of them holds the newest data, and correct the '
            'definition ("virsh edit") or .info before the guest is started.',
        )


def _many(facts: seen.Facts) -> Found:
    users = [guest.name for guest in facts.guests]
    users += [each.guest for each in facts.starts if not each.running]
    snapshots = facts.info.snapshots if facts.info else {}
    if len(users) > 1 and snapshots:
        yield findings.Finding(
            facts.volume,
            'many-guests',
            '',
            f'disks of {", ".join(users)} use the volume, which has snapshots',
            'one guest',
            'Detach it from all but one; until then no snapshot can be '
            'changed.',
        )


def _elsewhere(facts: seen.Facts) -> Found:
    if any(guest.job is not None for guest in facts.guests):
        return  # a merge writes to images below the active one
    ours = {name for guest in facts.guests for name in guest.images[-1:]}
    for name, image in sorted(facts.images.items()):
        if image.writer and name not in ours:
            yield findings.Finding(
                facts.volume,
                'open-elsewhere',
                name,
                'a process has it open for writing that is no known guest '
                f'(looked at: {facts.looked_at})',
                '',
                'Find the process ("fuser", on every host that mounts the '
                'directory), or correct option libvirt_uri.',
            )
