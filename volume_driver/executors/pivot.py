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

"""What a commit in place knows of its two images around the pivot.

The traces of both are noted once they hold the same on disk, right before the
pivot. Until the top is renewed, that is, its name is that of an empty overlay,
they tell afterwards which of the two is the truth::

    top is another file      it was renewed: the top, be it full or empty
    neither was written to   the top, which holds what the base holds
    top was written to       the top: a guest was started from it
    base was written to      the base: a guest went on with it
    both were                nobody knows
"""

from __future__ import annotations

import json

from volume_driver import exception
from volume_driver import files
from volume_driver.executors import base

_NOTE = 'pivot'


def note(progress: base.Progress, top: str, below: str) -> None:
    """Note that both images hold the same now.

    :param top: path of the active image
    :param below: path of the image that it goes into
    """
    traces = [files.trace(top), files.trace(below)]
    progress.note(_NOTE, json.dumps(traces))


def forget(progress: base.Progress) -> None:
    """Take the note back: the top is the truth, and the base may change."""
    if is_noted(progress):
        progress.note(_NOTE, None)


def is_noted(progress: base.Progress) -> bool:
    """Tell whether a pivot may have happened."""
    return _NOTE in progress.notes


def is_renewed(progress: base.Progress, top: str) -> bool:
    """Tell whether the top is another file than at the pivot."""
    return is_noted(progress) and (
        _inode(files.trace(top)) != _inode(_noted(progress)[0])
    )


def is_base_truth(progress: base.Progress, top: str, below: str) -> bool:
    """Tell whether the base has what the top has not.

    :raises ImagesDiverged: when each has
    """
    if not is_noted(progress) or is_renewed(progress, top):
        return False
    noted_top, noted_below = _noted(progress)
    if files.trace(below) == noted_below:
        return False
    if files.trace(top) != noted_top:
        raise exception.ImagesDiverged(top=top, base=below)
    return True


def _noted(progress: base.Progress) -> tuple[str, str]:
    top, below = json.loads(progress.notes[_NOTE])
    return str(top), str(below)


def _inode(trace: str) -> str:
    return trace.partition(' ')[0]
