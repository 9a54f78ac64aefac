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

"""The directive ``message``: what an error says, and what to do about it.

::

    .. message:: NoSpace

       Make room, and call again.

The advice is written there; the text of the message is that of the class in
``volume_driver.exception``. A class without advice, advice without a class,
and advice that is given twice are warnings, so the build fails. The role
``message`` refers to one.
"""

from __future__ import annotations

import string

from docutils import nodes
from sphinx import addnodes
from sphinx import application
from sphinx import environment
from sphinx.domains import std
from sphinx.util import logging

from volume_driver import exception

LOG = logging.getLogger(__name__)

# These only have others derived from them.
_BASES = (exception.VolumeDriverError, exception.Refused)


def classes() -> dict[str, type[exception.VolumeDriverError]]:
    """Return all errors that may be raised, by their names."""
    return {
        name: found
        for name, found in vars(exception).items()
        if isinstance(found, type)
        and issubclass(found, exception.VolumeDriverError)
        and found not in _BASES
    }


def text(template: str) -> nodes.Element:
    """Return the text of a message, its facts as emphasised names."""
    paragraph = nodes.paragraph()
    for literal, fact, _, _ in string.Formatter().parse(template):
        paragraph += nodes.Text(literal)
        if fact is not None:
            paragraph += nodes.emphasis(fact, fact)
    return nodes.block_quote('', paragraph)


class Message(std.GenericObject):
    """An error: its class, its text, and the advice below the directive."""

    def handle_signature(
        self, sig: str, signode: addnodes.desc_signature
    ) -> str:
        self.assert_has_content()
        if sig not in classes():
            raise self.error(f'volume_driver.exception has no {sig}')
        # The page is read anew when a message has changed.
        self.env.note_dependency(exception.__file__)
        self._class = classes()[sig]
        refused = issubclass(self._class, exception.Refused)
        signode += addnodes.desc_name(sig, sig)
        signode += addnodes.desc_annotation(
            '', ' (refused)' if refused else ' (failed)'
        )
        return sig

    def transform_content(self, content_node: addnodes.desc_content) -> None:
        content_node.insert(0, text(self._class.template))


def check(app: application.Sphinx, env: environment.BuildEnvironment) -> None:
    """Warn of each error that no page has advice for."""
    objects = env.domains.standard_domain.objects
    told = {name for kind, name in objects if kind == 'message'}
    for name in sorted(classes().keys() - told):
        LOG.warning('no page has a "message" for the error %s', name)


def setup(app: application.Sphinx) -> dict[str, bool]:
    app.add_object_type('message', 'message', objname='error message')
    app.add_directive_to_domain('std', 'message', Message, override=True)
    app.connect('env-check-consistency', check)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
