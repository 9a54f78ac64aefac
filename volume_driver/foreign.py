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

"""The words of others, as they stand in files and XML, made fit to be shown.

They end up in messages, and so in logs and on terminals.
"""

# Characters of such words that a message has at most.
_LONGEST = 500


def shown(words: object) -> str:
    """Return words as one line that can be printed, and not without end."""
    text = str(words)
    cut = text[:_LONGEST] + ('...' if len(text) > _LONGEST else '')
    return ''.join(
        each if each.isprintable() else ascii(each)[1:-1] for each in cut
    )
