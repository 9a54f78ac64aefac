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

"""What the driver's work costs, beside Cinder's RemoteFS and the bare limit.

    python -m benchmarks [--quick]

below ``tests.fixtures.daemons``; ``tox -e bench`` does that. The parts:

============  ===============================================================
``run``       one run: which rows, and where the results go
``offline``   rows of volumes that no guest uses: create, delete
``data``      rows of deletions that copy data
``live``      rows of volumes under a guest that writes without pause
``many``      rows of several volumes at once, and of very many
``stage``     the directory that all work on, and the volumes in it
``bare``      the bare limit, and ``bare_live``
``nova``      what Nova does for Cinder, in the rows of live volumes
``gaps``      how long a guest had to wait for a write
``rounds``    who is measured when
``results``   samples and rows, as values
``aims``      what is aimed at, and whether it is reached
``table``     the tables, as text and for the documentation
``charts``    the charts
``machine``   what it was measured on
``sizes``     how much is measured
``errors``    what keeps it from measuring
============  ===============================================================
"""
